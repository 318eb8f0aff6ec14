"""Small markets for the optimizers' tests: returns from fixed seeds, limits, allocations, tail programs."""

from __future__ import annotations

import numpy as np

from tools.allocation_lines import AllocationProblem, Cap, CashLine, StrategyLine
from tools.history import FloatArray
from tools.rate_impact import EarningCurve
from tools.solvers.tail_program import TailProgram
from tools.solvers.trading_limits import TradingLimits

HORIZON_DAYS = 73  # a fifth of a year
LINEAR = np.array([0.0, 1.0])


def line(strategy: str, apr: float, **changes: float | str) -> StrategyLine:
    fields: dict[str, object] = {"token": "usdc", "current": 0.0, "max_buy": 1.0, "max_sell": 1.0, **changes}
    earnings = EarningCurve(sizes=LINEAR, earnings=LINEAR * apr)
    return StrategyLine(id=strategy, earnings=earnings, **fields)  # type: ignore[arg-type]  # built by keyword


def cash(token: str, current: float, *, cost: float = 0.001, can_swap: bool = True) -> CashLine:
    reach = 1.0 if can_swap and token != "usdc" else 0.0
    return CashLine(token=token, current=current, max_buy=reach, max_sell=reach, cost=cost)


def problem(strategies: list[StrategyLine], holdings: list[CashLine], **changes: object) -> AllocationProblem:
    fields: dict[str, object] = {
        "reserve_token": "usdc",
        "min_reserve": 0.1,
        "caps": (),
        "max_turnover": 1.0,
        "max_swaps": 1.0,
        "horizon_days": HORIZON_DAYS,
        "risk_aversion": 0.0,
        "scenarios": np.empty((0, len(strategies) + len(holdings))),
        **changes,
    }
    return AllocationProblem(strategies=tuple(strategies), cash=tuple(holdings), **fields)  # type: ignore[arg-type]


def cap(name: str, limit: float, *strategies: str, tokens: frozenset[str] = frozenset()) -> Cap:
    return Cap(
        name=name, strategies=dict.fromkeys(strategies, 1.0), tokens=dict.fromkeys(sorted(tokens), 1.0), limit=limit
    )


def make_returns(days: int = 120, size: int = 8, *, seed: int = 1) -> FloatArray:
    """One common factor, fat tails, deviations from 0.1 % to 2 %."""
    generator = np.random.default_rng(seed)
    deviations = np.geomspace(1e-3, 2e-2, size)
    common = generator.standard_t(4, (days, 1)) * 0.5
    return np.asarray((common + generator.standard_t(4, (days, size))) * deviations + deviations * 0.05)


def make_limits(
    size: int = 8, *, upper: float = 0.4, cost: float = 0.0004, group_limit: float | None = None
) -> TradingLimits:
    """The first half of the weights is one group, `protocol:a`, where a limit is given."""
    half = (np.arange(size) < size // 2).astype(np.float64)
    is_grouped = group_limit is not None
    return TradingLimits(
        upper=np.full(size, upper),
        cost=np.full(size, cost),
        groups=half[None, :] if is_grouped else np.empty((0, size)),
        group_limits=np.array([group_limit]) if group_limit is not None else np.empty(0),
        names=("protocol:a",) if is_grouped else (),
    )


def make_day(size: int = 8, *, seed: int = 2) -> tuple[FloatArray, FloatArray]:
    """Expected returns and current weights."""
    generator = np.random.default_rng(seed)
    return generator.uniform(0.0, 1e-3, size), generator.dirichlet(np.ones(size))


def make_program(seed: int = 0, *, is_floored: bool = False, size: int = 5, days: int = 60) -> TailProgram:
    """Concave gains of three segments on domains that need not begin at zero, ranged and one-sided rows."""
    generator = np.random.default_rng(seed)
    first = generator.uniform(0.0, 0.1, size)
    widths = generator.uniform(0.05, 0.3, (size, 3))
    slopes = -np.sort(-generator.normal(0.0, 2e-3, (size, 3)), axis=1)
    breakpoints = np.column_stack([first, first[:, None] + np.cumsum(widths, axis=1)])
    groups = np.array([np.ones(size), generator.uniform(0.0, 1.0, size), np.arange(size) % 2.0])
    return TailProgram(
        breakpoints=breakpoints,
        slopes=slopes,
        offsets=generator.normal(0.0, 1e-3, size),
        matrix=groups,
        lower=np.array([0.5, -np.inf, 0.05]),
        upper=np.array([1.2, 0.9, np.inf]),
        names=("total", "factor", "least"),
        scenarios=make_returns(days, size, seed=seed),
        risk_aversion=float(generator.uniform(0.05, 2.0)),
        is_floored=is_floored,
    )
