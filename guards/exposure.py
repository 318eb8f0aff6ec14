"""Exposure of the simulated book: shares per strategy, protocol, token, issuer and factor, pools and turnover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from domain.market import Strategy
from domain.policy import ExposureLimits
from domain.units import EXACT, divide_down, divide_up
from guards.case import Case
from guards.finding import Quantity, Row, Ruler
from guards.measures import ZERO, Worth, entered_strategies, holdings_after, moved_usd, nav_after, nav_before

RULER = Ruler("exposure")
Values = defaultdict[str, defaultdict[str, Decimal]]


def check_exposure(case: Case) -> tuple[Row, ...]:
    return (*_check_shares(case), *_check_pools(case), *_check_turnover(case))


def _check_shares(case: Case) -> Iterator[Row]:
    limits, reserve = case.evidence.policy.exposure, case.evidence.catalog.reserve_token
    nav, values = nav_after(case), values_of(holdings_after(case), case)
    for code, limit in share_limits(limits):
        for subject, value in sorted(values[code].items()):
            yield RULER.at_most(code, subject, observed=_share(value, nav), limit=limit, unit="of value")
    kept = divide_down(values["reserve_share"][reserve], nav) if nav else None
    yield RULER.at_least("reserve_share", reserve, observed=kept, limit=limits.min_reserve_share, unit="of value")


def share_limits(limits: ExposureLimits) -> tuple[tuple[str, Quantity | str], ...]:
    """The most that one subject of each family may have; the reserve's least stands apart."""
    return (
        ("strategy_share", limits.max_strategy_share),
        ("protocol_share", limits.max_protocol_share),
        ("token_share", limits.max_token_share),
        ("issuer_share", limits.max_issuer_share),
        ("chain_share", limits.max_chain_share),
        ("oracle_share", limits.max_oracle_share),
        ("collateral_share", limits.max_collateral_share),
        ("factor_share", limits.max_factor_share),
    )


def values_of(holdings: Iterable[Worth], case: Case) -> Values:
    """USD per code and subject; every holding counts in each of its families. An unpriced one makes NAV unknown."""
    values: Values = defaultdict(lambda: defaultdict(Decimal))
    for holding in holdings:
        worth = holding.value_usd or ZERO
        for code, subject in _subjects(holding, case):
            family = values[code]
            family[subject] = EXACT.add(family[subject], worth)
    return values


def _subjects(holding: Worth, case: Case) -> Iterator[tuple[str, str]]:
    catalog = case.evidence.catalog
    yield "issuer_share", catalog.token(holding.token).issuer
    if holding.token != catalog.reserve_token:
        yield "token_share", holding.token
    elif holding.strategy is None:
        yield "reserve_share", holding.token
    if holding.strategy is not None:
        yield "chain_share", str(catalog.chain_id)
        yield from _strategy_subjects(catalog.strategy(holding.strategy))


def _strategy_subjects(strategy: Strategy) -> Iterable[tuple[str, str]]:
    yield "strategy_share", strategy.id
    yield "protocol_share", strategy.protocol
    for code, shared in (
        ("oracle_share", strategy.oracles),
        ("collateral_share", strategy.collateral),
        ("factor_share", strategy.factors),
    ):
        for subject in set(shared):
            yield code, subject


def _share(value: Decimal | None, nav: Decimal | None) -> Decimal | None:
    return divide_up(value, nav) if value is not None and nav is not None and nav > 0 else None


def _check_pools(case: Case) -> Iterator[Row]:
    """Of the pools entered only: a position stuck in a drained pool must not freeze everything else."""
    evidence, limits = case.evidence, case.evidence.policy.exposure
    for strategy in entered_strategies(case):
        rate = evidence.snapshot.rate(strategy)
        ours = evidence.after.position_of(strategy)
        added = max(ours - evidence.before.position_of(strategy), 0)
        supplied = _pool_share(ours, rate.supplied + added) if rate else None
        yield RULER.at_most(
            "pool_supplied_share", strategy, observed=supplied, limit=limits.max_pool_supplied_share, unit="of pool"
        )
        withdrawable = _pool_share(ours, rate.withdrawable) if rate else None
        yield RULER.at_most(
            "pool_withdrawable_share",
            strategy,
            observed=withdrawable,
            limit=limits.max_pool_withdrawable_share,
            unit="of pool",
        )


def _pool_share(ours: int, pool: int) -> Decimal | None:
    return divide_up(Decimal(ours), Decimal(pool)) if pool > 0 else None


def _check_turnover(case: Case) -> Iterator[Row]:
    limits, nav, moved = case.evidence.policy.exposure, nav_before(case), moved_usd(case)
    yield RULER.at_most(
        "run_turnover", "batch", observed=_share(moved, nav), limit=limits.max_run_turnover_share, unit="of value"
    )
    day = None if moved is None else EXACT.add(case.evidence.budget.turnover_day_usd, moved)
    yield RULER.at_most(
        "day_turnover", "24 hours", observed=_share(day, nav), limit=limits.max_day_turnover_share, unit="of value"
    )
