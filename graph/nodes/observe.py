"""Observe: read the market and the account, keep what was seen, and tell whether anything changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from domain.digest import digest_of
from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.policy import Policy
from domain.portfolio import Portfolio, net_asset_value_usd, value_holdings
from domain.run import RiskEvent, Workflow
from domain.stages import Observation
from domain.verdict import TradingState
from graph.breakers import apply_breakers, held_protocols
from graph.dependencies import Dependencies
from graph.state import State, request_of
from tools.mitigation import can_mitigate, detect_events

HISTORY_DAYS: Final = 180
RATE_DIGITS: Final = 3  # a tenth of a percentage point of APR
PRICE_DIGITS: Final = 2
SHARE_DIGITS: Final = 2


def observe(state: State, dependencies: Dependencies) -> State:
    """Write `observation`. Raises ChainUnavailable or StaleOrDisputed: without eyes the run holds, exits apart."""
    request = request_of(state)
    dependencies.runs.start(request)  # a host that is not our conductor admits nothing itself
    dependencies.budgets.count_run(request.run_id, at=dependencies.clock.now())
    snapshot = dependencies.market.snapshot()
    portfolio = dependencies.market.portfolio(snapshot.block_number)
    dependencies.observations.append(snapshot)
    net_asset_value = _note_value(request.run_id, portfolio, snapshot, dependencies)
    trading_state = apply_breakers(dependencies)  # before anything is decided
    history = dependencies.observations.history(days=HISTORY_DAYS, until=snapshot.block_time)
    catalog, policy = dependencies.catalog, dependencies.policy
    events = detect_events(portfolio=portfolio, snapshot=snapshot, history=history, catalog=catalog, policy=policy)
    is_urgent = can_mitigate(events, portfolio=portfolio, snapshot=snapshot, catalog=catalog, policy=policy)
    if not is_urgent:
        value_holdings(portfolio, snapshot, catalog)  # raises where a holding has no price
    input_digest = digest_inputs(
        snapshot,
        portfolio,
        catalog=catalog,
        policy=policy,
        trading_state=trading_state,
        incidents=dependencies.open_incidents(),
        events=events,
    )
    return State(
        observation=Observation(
            snapshot_digest=dependencies.artifacts.put(snapshot.model_dump_json().encode()),
            history_digest=dependencies.artifacts.put(history.model_dump_json().encode()),
            block_number=snapshot.block_number,
            portfolio=portfolio,
            net_asset_value_usd=None if net_asset_value is None else float(net_asset_value),
            events=events,
            input_digest=input_digest,
            is_unchanged=input_digest == dependencies.runs.last_input_digest(),
            workflow=Workflow.MITIGATE if is_urgent else request.workflow,
        )
    )


def _note_value(
    run_id: str, portfolio: Portfolio, snapshot: MarketSnapshot, dependencies: Dependencies
) -> Decimal | None:
    """Positions are valued, not token balances: what is lent is still ours. None, and nothing noted, when unpriced."""
    try:
        net_asset_value = net_asset_value_usd(portfolio, snapshot, dependencies.catalog)
    except StaleOrDisputed:
        return None
    dependencies.budgets.note_value(
        run_id,
        net_asset_value_usd=net_asset_value,
        protocols=held_protocols(portfolio, dependencies),
        at=dependencies.clock.now(),
    )
    return net_asset_value


def digest_inputs(
    snapshot: MarketSnapshot,
    portfolio: Portfolio,
    *,
    catalog: Catalog,
    policy: Policy,
    trading_state: TradingState,
    incidents: frozenset[str],
    events: tuple[RiskEvent, ...],
) -> str:
    """Digest of everything a decision depends on, rounded to what could change it.

    Interest accrues every block, so exact amounts would never be equal twice.
    """
    rates = [(rate.strategy, str(round(rate.supply_apr, RATE_DIGITS)), rate.is_paused) for rate in snapshot.rates]
    prices = [(price.token, price.source, str(round(price.price_usd, PRICE_DIGITS))) for price in snapshot.prices]
    return digest_of(
        {
            "catalog": digest_of(catalog, domain="autofi-catalog-v1"),
            "events": [event.model_dump(mode="json") for event in events],
            "incidents": sorted(incidents),
            "policy": policy.digest(),
            "prices": sorted(prices),
            "rates": sorted(rates),
            "shares": _rounded_shares(portfolio, snapshot, catalog),
            "trading_state": trading_state,
        },
        domain="autofi-inputs-v1",
    )


def _rounded_shares(
    portfolio: Portfolio, snapshot: MarketSnapshot, catalog: Catalog
) -> list[tuple[str, str, str]] | str:
    """Of a book that cannot be valued the exact one, which is never the last run's."""
    try:
        holdings = value_holdings(portfolio, snapshot, catalog)
    except StaleOrDisputed:
        return portfolio.model_dump_json()
    total = sum(holding.value_usd for holding in holdings)
    return sorted(
        (holding.token, holding.strategy or "", str(round(holding.value_usd / total, SHARE_DIGITS)))
        for holding in holdings
    )
