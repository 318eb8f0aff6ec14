"""The policy's shares and stress losses as linear caps on an allocation, subject by subject as guards judge them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from domain.policy import ExposureLimits
from domain.portfolio import Portfolio, value_holdings
from domain.stress import StressFamily, scenario_name
from tools.allocation_lines import Cap
from tools.market import Market, number
from tools.plan_draft import CAP_MARGIN
from tools.stress import Circumstances, Line, Scenario, gas_shock_usd, line_of, stress_scenarios

MARGIN: Final = float(CAP_MARGIN)


def policy_caps(market: Market, *, scale: float = 1.0) -> tuple[Cap, ...]:
    """Each approached to half a percent; `scale` below one asks for more distance, but never forces a sale."""
    caps = (*_exposure_caps(market), *_stress_caps(market))
    return tuple(_with_distance(market, cap, scale) for cap in caps if cap.limit < float("inf"))


def exceeded_shares(market: Market, after: Portfolio) -> tuple[str, ...]:
    """Names of the exposure limits that a portfolio breaks, measured on its own value as the guards do."""
    values = {
        (line.token, line.strategy): float(line.value_usd)
        for line in value_holdings(after, market.snapshot, market.catalog)
    }
    total = sum(values.values())
    names = [cap.name for cap in _exposure_caps(market) if _weigh(cap, values) > cap.limit * total]
    least = number(market.policy.exposure.min_reserve_share, unlimited=0.0)
    is_short = values.get((market.catalog.reserve_token, None), 0.0) < least * total
    return (*names, "reserve") if is_short else tuple(names)


def _weigh(cap: Cap, values: Mapping[tuple[str, str | None], float]) -> float:
    return sum(
        value * (cap.tokens.get(token, 0.0) if strategy is None else cap.strategies.get(strategy, 0.0))
        for (token, strategy), value in values.items()
    )


def _with_distance(market: Market, cap: Cap, scale: float) -> Cap:
    allowed = cap.limit * MARGIN
    limit = max(allowed * scale, min(_weigh(cap, market.shares), allowed))
    return Cap(cap.name, strategies=cap.strategies, tokens=cap.tokens, limit=limit)


def _exposure_caps(market: Market) -> Iterator[Cap]:
    exposure, catalog = market.policy.exposure, market.catalog
    strategies = catalog.strategies
    for strategy in strategies:
        yield _share(f"strategy:{strategy.id}", [strategy.id], [], number(exposure.max_strategy_share))
    for protocol in sorted({strategy.protocol for strategy in strategies}):
        own = [s.id for s in strategies if s.protocol == protocol]
        yield _share(f"protocol:{protocol}", own, [], number(exposure.max_protocol_share))
    for kind, limit in _shared_factor_limits(exposure):
        for factor in sorted({factor for strategy in strategies for factor in getattr(strategy, kind)}):
            sharing = [s.id for s in strategies if factor in getattr(s, kind)]
            yield _share(f"{kind}:{factor}", sharing, [], limit)
    yield _share(f"chain:{catalog.chain_id}", [s.id for s in strategies], [], number(exposure.max_chain_share))
    for token in [token.id for token in catalog.tokens if token.id != catalog.reserve_token]:
        invested = [s.id for s in strategies if s.token == token]
        yield _share(f"token:{token}", invested, [token], number(exposure.max_token_share))
    for issuer in sorted({token.issuer for token in catalog.tokens}):
        issued = [token.id for token in catalog.tokens if token.issuer == issuer]
        invested = [s.id for s in strategies if s.token in issued]
        yield _share(f"issuer:{issuer}", invested, issued, number(exposure.max_issuer_share))


def _shared_factor_limits(exposure: ExposureLimits) -> tuple[tuple[str, float], ...]:
    """Fields of a strategy that name shared risks, each with the most of them together."""
    return (
        ("oracles", number(exposure.max_oracle_share)),
        ("collateral", number(exposure.max_collateral_share)),
        ("factors", number(exposure.max_factor_share)),
    )


def _share(name: str, strategies: Iterable[str], tokens: Iterable[str], limit: float) -> Cap:
    return Cap(name, strategies=dict.fromkeys(strategies, 1.0), tokens=dict.fromkeys(tokens, 1.0), limit=limit)


def _stress_caps(market: Market) -> Iterator[Cap]:
    """Every scenario that could hit anything listed: the same rates of loss that the report is made of."""
    lines = _possible_lines(market)
    stress = market.policy.stress
    gas = _most_gas(market, lines)
    for scenario in stress_scenarios(
        lines, Circumstances(market.snapshot, market.catalog, stress.utilization_days, market.history)
    ):
        limit = number(getattr(stress, f"max_{scenario.family}_loss_share"))
        if any(scenario.rates):
            yield _loss(scenario, lines, limit - gas if scenario.pays_gas else limit)


def _possible_lines(market: Market) -> list[Line]:
    catalog, snapshot = market.catalog, market.snapshot
    cash = [line_of(token.id, None, snapshot, catalog) for token in catalog.tokens]
    return cash + [line_of(s.token, s.id, snapshot, catalog) for s in catalog.strategies]


def _most_gas(market: Market, lines: list[Line]) -> float:
    """What leaving everything may cost in gas: its own limit, or the gas of leaving every listed strategy at once."""
    all_of_them = gas_shock_usd(lines, market.snapshot, market.catalog) / market.net_value_usd
    return min(all_of_them, number(market.policy.stress.max_gas_loss_share))


def _loss(scenario: Scenario, lines: list[Line], limit: float) -> Cap:
    name = scenario_name(StressFamily(scenario.family), scenario.subject)
    struck = [(line, rate) for line, rate in zip(lines, scenario.rates, strict=True) if rate]
    return Cap(
        f"stress:{name}",
        strategies={line.strategy.id: rate for line, rate in struck if line.strategy},
        tokens={line.token: rate for line, rate in struck if not line.strategy},
        limit=limit,
    )
