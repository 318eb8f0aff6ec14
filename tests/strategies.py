"""Hypothesis strategies for what guards judge: treasuries, batches, ways out, policies, circumstances and garbage.

Everything is drawn around the small world of tests.builders; `make_evidence` keeps what is drawn consistent.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import BaseModel

from domain.market import MarketSnapshot, SequencerReading
from domain.oracle import healthy_oracle_price
from domain.plan import Move, MoveKind
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.risk import ProtocolScore, RiskReport
from domain.verdict import Approval, ApprovalStatus, BudgetState, Economics, Evidence, TradingState
from tests.builders import NOW, make_catalog, make_portfolio, make_price, make_snapshot
from tests.builders_evidence import (
    DAI,
    LIMITS,
    USDC,
    deposit,
    make_approval,
    make_budget,
    make_estimate,
    make_limits,
    make_plan,
    make_report,
    make_stress,
    make_tail,
    redeem,
    supply,
    swap,
    withdraw,
)

CATALOG: Final = make_catalog()
STRATEGIES: Final[Mapping[str, str]] = {strategy.id: strategy.token for strategy in CATALOG.strategies}
VENUES: Final = {"dai": "usdc-dai-100", "usdx": "usdc-usdx-100", "weth": "usdc-weth-500"}
"""Where a token is sold for the reserve token."""
DECIMALS: Final = {token.id: token.decimals for token in CATALOG.tokens}
USUAL: Final = {"now": NOW, "snapshot": make_snapshot(), "policy": make_limits()}
FLOOR_BPS: Final = 110
"""Emergency floor and simulation tolerance of the pinned limits together: what a way out must keep."""
FREE_SETTINGS: Final = {"horizon_days", "utilization_days", "expiry_seconds", "loosening_delay_seconds"}
"""Keys of a policy that are no limit of a guard: how something is measured, or how long something waits."""

amounts = st.integers(min_value=10**13, max_value=10**27)
shares_of_one = st.decimals(min_value=0, max_value=1, places=4)
moments = st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)).map(lambda shift: NOW + shift)


def portfolios(*, min_positions: int = 0) -> st.SearchStrategy[Portfolio]:
    positions = st.dictionaries(st.sampled_from(sorted(STRATEGIES)), amounts, min_size=min_positions, max_size=6)
    cash = st.dictionaries(st.sampled_from(sorted(DECIMALS)), amounts, max_size=5)
    return st.builds(lambda c, p: make_portfolio(cash=c, positions=p), cash, positions)


@st.composite
def exits(draw: st.DrawFn) -> tuple[list[Move], Portfolio]:
    """A treasury and any way out of it: whole or in part, one or several positions, perhaps sold for the reserve."""
    before = draw(portfolios(min_positions=1))
    leaving = draw(
        st.lists(st.sampled_from([p.strategy for p in before.positions]), min_size=1, max_size=3, unique=True)
    )
    moves: list[Move] = []
    for strategy in leaving:
        held = before.position_of(strategy)
        amount = draw(st.integers(min_value=held // 2, max_value=held))
        is_whole = draw(st.booleans()) and not strategy.startswith("vault")
        amount = held if is_whole else amount
        token = STRATEGIES[strategy]
        left = redeem(amount) if strategy.startswith("vault") else withdraw(strategy, token, amount, is_whole=is_whole)
        moves.append(left)
        if token in VENUES and draw(st.booleans()):
            moves.append(draw(sales(token, amount)))
    return moves, before


@st.composite
def sales(draw: st.DrawFn, token: str, amount: int) -> Move:
    """Into the reserve, for at least the emergency floor of what the sample world pays."""
    paid = amount // 10 ** (DECIMALS[token] - DECIMALS["usdc"])
    least = draw(st.integers(min_value=-(-paid * (10_000 - FLOOR_BPS) // 10_000), max_value=paid))
    return swap(token, "usdc", amount, max(least, 1), venue=VENUES[token])


@st.composite
def batches(draw: st.DrawFn) -> list[Move]:
    """One to four affordable moves in the treasury of make_portfolio, entries and exits mixed."""
    tokens = st.integers(min_value=1, max_value=20_000)
    kinds = [
        st.builds(supply, tokens),
        st.builds(lambda n: deposit(n * DAI), tokens),
        st.builds(lambda n: withdraw("aave-usdx", "usdx", n * DAI), tokens),
        st.builds(lambda n: withdraw("aave-weth", "weth", n * 10**14), tokens),
        st.just(withdraw("aave-usdx", "usdx", 100_000 * DAI, is_whole=True)),
        st.builds(lambda n, m: swap("usdc", "dai", n * USDC, n * DAI * m // 10_000), tokens, least_outs),
        st.builds(lambda n, m: swap("dai", "usdc", n * DAI, n * USDC * m // 10_000), tokens, least_outs),
    ]
    return draw(
        st.lists(st.one_of(kinds), min_size=1, max_size=4, unique_by=lambda m: (m.kind, m.token_in, m.strategy))
    )


def as_planned(moves: Sequence[Move], parts: Mapping[str, object]) -> list[Move]:
    """As a plan would have it in these circumstances: what healthy oracles do not let be sold at a dollar is kept."""
    planned = []
    for move in moves:
        least = _oracle_floor(move, parts) if move.kind is MoveKind.SWAP else 0
        if move.kind is not MoveKind.SWAP or least <= _paid(move):
            planned.append(move.model_copy(update={"minimum_out": max(move.minimum_out, least)}))
    return planned


def _oracle_floor(move: Move, parts: Mapping[str, object]) -> int:
    """0 where an oracle cannot be rested on."""
    now, snapshot, policy = (parts.get(name, usual) for name, usual in USUAL.items())
    tokens = (CATALOG.token(move.token_in), CATALOG.token(move.token_out))
    sold, bought = (healthy_oracle_price(token, snapshot, policy, now=now) for token in tokens)
    if sold is None or bought is None:
        return 0
    kept_bps = 10_000 - policy.slippage.emergency_floor_bps
    scale = Fraction(10) ** (DECIMALS[move.token_out] - DECIMALS[move.token_in])
    return math.ceil(move.amount_in * Fraction(sold) / Fraction(bought) * scale * kept_bps / 10_000)


def _paid(move: Move) -> int:
    return move.amount_in // 10 ** (DECIMALS[move.token_in] - DECIMALS[move.token_out])


def gifts(before: Portfolio, left: Collection[str]) -> st.SearchStrategy[Portfolio]:
    """Cash of any token and positions in any strategy that is not left: a stranger gives them, whenever he likes."""
    cash = st.dictionaries(st.sampled_from(sorted(DECIMALS)), st.sampled_from([1, 10**18]), max_size=3)
    others = sorted(set(STRATEGIES) - set(left))
    positions = st.dictionaries(st.sampled_from(others), st.sampled_from([1, 10**24]), max_size=3)
    return st.builds(lambda c, p: make_portfolio(cash=c, positions=p), cash, positions)


def with_gift(evidence: Evidence, gift: Portfolio) -> Evidence:
    """What came between observation and simulation: only the book afterwards shows it, no transfer of the batch."""
    cash, positions = (*evidence.after.cash, *gift.cash), (*evidence.after.positions, *gift.positions)
    after = evidence.after.model_copy(update={"cash": cash, "positions": positions})
    return evidence.model_copy(update={"after": after})


least_outs = st.integers(min_value=9_900, max_value=10_000)


def numeric_limits() -> list[tuple[str, str]]:
    """Section and key of every limit in the policy."""
    return [
        (section, key)
        for section, keys in LIMITS.items()
        for key in keys
        if key not in FREE_SETTINGS and key != "requires_four_eyes"
    ]


def is_tighter_when_higher(key: str) -> bool:
    """Minima, except the amount that passes without a human."""
    return key.startswith("min_") and key != "min_value_without_approval_usd"


@st.composite
def tightened(draw: st.DrawFn, section: str, key: str, current: object) -> object:
    """The limit itself or any tighter one; the word `unlimited` may become a number."""
    value = Decimal(str(current))
    part = draw(shares_of_one)
    if not is_tighter_when_higher(key):
        tight = value * part
    elif key.endswith("_share"):
        tight = min(value + (1 - value) * part, Decimal("0.9999"))
    else:
        tight = value * (1 + part) + (1 if part else 0)
    return int(tight) if isinstance(LIMITS[section][key], int) and not isinstance(current, Decimal) else tight


@st.composite
def policies(draw: st.DrawFn, *, pinned: Collection[str] = ()) -> Policy:
    """Some limits moved anywhere in their range, some lifted altogether; those that are pinned stay."""
    sections: dict[str, dict[str, object]] = {}
    movable = [limit for limit in numeric_limits() if limit[1] not in pinned]
    for section, key in draw(st.lists(st.sampled_from(movable), max_size=6, unique=True)):
        current = LIMITS[section][key]
        loose = st.just("unlimited") if _may_be_unlimited(section, key) else st.just(current)
        sections.setdefault(section, {})[key] = draw(st.one_of(tightened(section, key, current), loose))
    return make_limits(**sections)


def _may_be_unlimited(section: str, key: str) -> bool:
    kind = type(getattr(make_limits(), section)).model_fields[key].annotation
    return "unlimited" in str(kind)


def snapshots() -> st.SearchStrategy[MarketSnapshot]:
    """Prices missing, old or in dispute; rates missing or paused; gas at any price; any state of a sequencer."""
    full = make_snapshot()
    price = st.builds(
        make_price,
        st.sampled_from(sorted(DECIMALS)),
        st.sampled_from(["0.000001", "0.5", "0.99", "1", "1.2", "3500", "10000000"]),
        source=st.sampled_from(["oracle", "uniswap", "third"]),
        age_seconds=st.sampled_from([-86_400, 0, 60, 87_001, 10**8]),
    )
    paused = tuple(rate.model_copy(update={"is_paused": True}) for rate in full.rates)
    market = st.builds(
        make_snapshot,
        prices=st.one_of(st.just(full.prices), st.lists(price, max_size=8).map(tuple)),
        rates=st.sampled_from([full.rates, (), full.rates[:2], paused]),
        taken_at=moments,
        block_number=st.sampled_from([100, 0, 10**9]),
        sequencer=st.sampled_from([None, SequencerReading(is_up=False, since=NOW)]),
    )
    gas_prices = st.sampled_from([(0, 0), (10**9, 10**9), (20 * 10**9, 10**9), (10**15, 10**9)])
    return st.builds(
        lambda seen, gas: seen.model_copy(update={"base_fee_wei": gas[0], "priority_fee_wei": gas[1]}),
        market,
        gas_prices,
    )


def reports() -> st.SearchStrategy[RiskReport | None]:
    """Nothing, what is usual, what is terrible and what nobody measured."""
    terrible = make_report(tails=(make_tail(0.95, 0.9, 0.9), make_tail(0.99, 0.9, 0.9)), volatility=make_estimate(9.0))
    unmeasured = make_report(tails=(), volatility=None, max_drawdown=None, stress=())
    stressed = make_report(stress=make_stress(exploit=1.0, combined=1.0))
    return st.sampled_from([None, make_report(), terrible, unmeasured, stressed])


def budgets() -> st.SearchStrategy[BudgetState]:
    names = [name for name in BudgetState.model_fields if name.endswith("_usd")]
    used = st.fixed_dictionaries(dict.fromkeys(names, st.sampled_from([0, 1_000, 10**9])))
    return st.builds(
        lambda spent, intact, runs: make_budget(is_intact=intact, runs_hour_count=runs, **spent),
        used,
        st.booleans(),
        st.sampled_from([0, 1, 10**6]),
    )


def approvals() -> st.SearchStrategy[Approval | None]:
    """Any answer a human may have given, to this digest or another."""
    answer = st.builds(
        lambda status, role, expires, by: make_approval(
            make_plan(), status=status, role=role, expires_at=expires, answered_by=by
        ),
        st.sampled_from(ApprovalStatus),
        st.sampled_from([None, "approver", "operator"]),
        moments,
        st.sampled_from([None, "alice", "scheduler"]),
    )
    return st.one_of(st.none(), answer)


@st.composite
def circumstances(draw: st.DrawFn, *, least: int = 0) -> dict[str, object]:
    """Whatever may surround a batch without being about what it does: any part may be as bad as it gets.

    A trading state always, and at least so many other parts.
    """
    parts = _circumstances()
    names = draw(st.lists(st.sampled_from(sorted(parts)), min_size=least, unique=True))
    return {"trading_state": draw(st.sampled_from(TradingState)), **{name: draw(parts[name]) for name in names}}


def _circumstances() -> dict[str, st.SearchStrategy[Any]]:
    gains, costs = (st.sampled_from([None, *worst, 0.0, 5.0, 1e9]) for worst in ((-1e9,), ()))
    return {
        "now": moments,
        "head_block_number": st.sampled_from([0, 99, 100, 105, 10**9]),
        "policy": policies(pinned=("emergency_floor_bps", "max_delta_tolerance_bps")),
        "snapshot": snapshots(),
        "risk_before": reports(),
        "risk_after": reports(),
        "scores": st.sampled_from([(), *(_scored(points) for points in (0.0, 49.9, 100.0))]),
        "economics": st.one_of(
            st.none(), st.builds(Economics, lower_gain_usd=gains, cost_usd=costs, break_even_days=costs)
        ),
        "budget": budgets(),
        "approval": approvals(),
    }


def _scored(points: float) -> tuple[ProtocolScore, ...]:
    protocols = {strategy.protocol for strategy in CATALOG.strategies}
    return tuple(
        ProtocolScore(protocol=protocol, score=points, has_open_incident=points == 0, reasons=())
        for protocol in sorted(protocols)
    )


class Trap:
    """A value that fails however it is touched, even while it explains itself."""

    def __getattr__(self, name: str) -> object:
        raise ArithmeticError

    __str__ = __repr__ = __eq__ = __bool__ = __len__ = __iter__ = __index__ = __getattr__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


JUNK: Final = (
    None,
    Decimal("NaN"),
    Decimal("-Infinity"),
    math.nan,
    math.inf,
    -1,
    0,
    True,
    "",
    "NaN",
    (),
    10**400,
    b"x",
)


@st.composite
def spoiled(draw: st.DrawFn, value: Any, *, depth: int = 4) -> Any:
    """The same value with junk in one place, at any depth: fields of values, elements of tuples."""
    if isinstance(value, BaseModel) and depth and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(type(value).model_fields)))
        return value.model_copy(update={name: draw(spoiled(getattr(value, name), depth=depth - 1))})
    if isinstance(value, tuple) and value and depth and draw(st.booleans()):
        index = draw(st.integers(min_value=0, max_value=len(value) - 1))
        return (*value[:index], draw(spoiled(value[index], depth=depth - 1)), *value[index + 1 :])
    return draw(st.one_of(st.sampled_from(JUNK), st.builds(Trap), st.text(max_size=3), st.integers()))
