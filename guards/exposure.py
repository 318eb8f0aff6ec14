"""Exposure of the simulated book: shares per strategy, protocol, token, issuer and factor, pools and turnover."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from domain.market import Strategy
from domain.units import EXACT, divide
from domain.verdict import Evidence, Finding
from guards.finding import Ruler
from guards.measures import entered_strategies, holdings, moved_usd, nav_usd

RULER = Ruler("exposure")


def check_exposure(evidence: Evidence) -> tuple[Finding, ...]:
    return (*_check_shares(evidence), *_check_pools(evidence), *_check_turnover(evidence))


def _check_shares(evidence: Evidence) -> Iterator[Finding]:
    limits, reserve = evidence.policy.exposure, evidence.catalog.reserve_token
    nav = nav_usd(evidence.after, evidence)
    values = _values_by_subject(evidence)
    families = (
        ("strategy_share", limits.max_strategy_share),
        ("protocol_share", limits.max_protocol_share),
        ("token_share", limits.max_token_share),
        ("issuer_share", limits.max_issuer_share),
        ("chain_share", limits.max_chain_share),
        ("oracle_share", limits.max_oracle_share),
        ("collateral_share", limits.max_collateral_share),
        ("factor_share", limits.max_factor_share),
    )
    for code, limit in families:
        for subject, value in sorted(values[code].items()):
            yield RULER.at_most(code, subject, observed=_share(value, nav), limit=limit, unit="of value")
    cash = values["reserve_share"].get(reserve, Decimal(0))
    yield RULER.at_least(
        "reserve_share", reserve, observed=_share(cash, nav), limit=limits.min_reserve_share, unit="of value"
    )


def _values_by_subject(evidence: Evidence) -> dict[str, dict[str, Decimal]]:
    """USD per code and subject; every holding counts in each of its families."""
    catalog = evidence.catalog
    values: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for holding in holdings(evidence.after, evidence):
        subjects = [("issuer_share", catalog.token(holding.token).issuer)]
        if holding.token != catalog.reserve_token:
            subjects.append(("token_share", holding.token))
        elif holding.strategy is None:
            subjects.append(("reserve_share", holding.token))
        if holding.strategy is not None:
            subjects.append(("chain_share", str(catalog.chain_id)))
            subjects.extend(_strategy_subjects(catalog.strategy(holding.strategy)))
        for code, subject in subjects:
            values[code][subject] = EXACT.add(values[code][subject], holding.value_usd)
    return values


def _strategy_subjects(strategy: Strategy) -> Iterable[tuple[str, str]]:
    yield "strategy_share", strategy.id
    yield "protocol_share", strategy.protocol
    for code, shared in (
        ("oracle_share", strategy.oracles),
        ("collateral_share", strategy.collateral),
        ("factor_share", strategy.factors),
    ):
        for subject in sorted(set(shared)):
            yield code, subject


def _share(value: Decimal, nav: Decimal) -> Decimal | None:
    return divide(value, nav) if nav > 0 else None


def _check_pools(evidence: Evidence) -> Iterator[Finding]:
    """Of the pools entered only: a position stuck in a drained pool must not freeze everything else."""
    limits = evidence.policy.exposure
    for strategy in entered_strategies(evidence):
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
    return divide(Decimal(ours), Decimal(pool)) if pool > 0 else None


def _check_turnover(evidence: Evidence) -> Iterator[Finding]:
    limits, nav = evidence.policy.exposure, nav_usd(evidence.before, evidence)
    moved = moved_usd(evidence)
    yield RULER.at_most(
        "run_turnover", "batch", observed=_share(moved, nav), limit=limits.max_run_turnover_share, unit="of value"
    )
    day = EXACT.add(evidence.budget.turnover_day_usd, moved)
    yield RULER.at_most(
        "day_turnover", "24 hours", observed=_share(day, nav), limit=limits.max_day_turnover_share, unit="of value"
    )
