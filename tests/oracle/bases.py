"""The consistent cases that the fuzzer starts from: entries, exits, swaps, rotations, vaults, many and no decimals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

from domain.market import Catalog, MarketSnapshot, SequencerReading
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position
from domain.risk import ProtocolScore
from domain.verdict import Economics, Evidence, TradingState
from tests.builders import CHAIN_ID, NOW, make_policy, make_price, make_snapshot
from tests.builders_evidence import LIMITS, make_approval, make_budget, make_limits
from tests.oracle.calldata import Call
from tests.oracle.catalogs import CATALOG, ENTANGLED, ON_ROLLUP, SECOND_VAULT, SHIPPED
from tests.oracle.desk import COIN, USDC, VAULT, WBTC, Batches, Desk, entries, exits, second_vault
from tests.oracle.sample import assembled, changed
from tests.oracle.world import redeemable

OPEN_SECTIONS: Final = ("exposure", "risk", "stress", "economics", "slippage", "budgets")


class Market(NamedTuple):
    """One treasury, its prices, what it holds and what it may want to do."""

    catalog: Catalog
    snapshot: MarketSnapshot
    before: Portfolio
    batches: Batches


HOLDINGS: Final = {
    "usdc": 700_000 * USDC,
    "dai": 100_000 * COIN,
    "weth": 5 * COIN,
    "wbtc": 2 * WBTC,
}
HELD: Final = {"weth": 4 * COIN}
POSITIONS: Final = {"aave-usdx": 100_000 * COIN, "aave-weth": 20 * COIN, VAULT: 50_000 * COIN}


def book(positions: dict[str, int], snapshot: MarketSnapshot, catalog: Catalog) -> Portfolio:
    return Portfolio(
        account=catalog.account,
        chain_id=CHAIN_ID,
        block_number=100,
        taken_at=NOW,
        cash=tuple(Balance(token=token, amount=amount) for token, amount in HOLDINGS.items()),
        positions=tuple(
            Position(strategy=name, shares=shares, amount=int(shares * redeemable(name, catalog, snapshot)))
            for name, shares in positions.items()
        ),
        native_wei=10**18,
    )


def _odd(snapshot: MarketSnapshot, share_prices: dict[str, str]) -> MarketSnapshot:
    """Prices with many digits that differ by source, and vaults that have earned something."""
    rates = tuple(changed(rate, share_price=Decimal(share_prices.get(rate.strategy, "1"))) for rate in snapshot.rates)
    odd = {"usdc": "0.9997", "dai": "0.99975", "usdx": "0.99971234567", "weth": "3498.123456789", "wbtc": "61234.5"}
    prices = [make_price(token, price) for token, price in odd.items()]
    prices += [make_price(t, str(Decimal(p) * Decimal("1.0007")), source="uniswap") for t, p in odd.items()]
    return changed(snapshot, rates=rates, prices=tuple(prices))


@lru_cache(maxsize=1)
def markets() -> dict[str, Market]:
    sequencer = SequencerReading(is_up=True, since=NOW.replace(hour=1))
    odd = changed(_odd(make_snapshot(ON_ROLLUP), {VAULT: "1.0625"}), sequencer=sequencer)
    return {
        "plain": _market(CATALOG, make_snapshot(CATALOG)),
        "odd": _market(ON_ROLLUP, odd),
        "entangled": _market(
            ENTANGLED, _odd(make_snapshot(ENTANGLED), {VAULT: "1.0625", SECOND_VAULT: "1.00731"}), SECOND_VAULT
        ),
        "shipped": _market(SHIPPED, make_snapshot(SHIPPED), "vault-aave-usdc", "vault-weth"),
    }


def _market(catalog: Catalog, snapshot: MarketSnapshot, *vaults: str) -> Market:
    """Some of each vault is held, and the first of them is traded."""
    desk = Desk(catalog)
    more = second_vault(desk, vaults[0]) if vaults else {}
    held = {**POSITIONS, **{vault: HELD.get(catalog.strategy(vault).token, 30_000 * COIN) for vault in vaults}}
    return Market(catalog, snapshot, book(held, snapshot, catalog), {**entries(desk), **exits(desk), **more})


def parts_for(account: str) -> list[Sequence[Call]]:
    """Of every batch of a treasury with this account, the parts."""
    return [part for m in markets().values() if m.catalog.account == account for b in m.batches.values() for part in b]


def _policies() -> dict[str, Policy]:
    """The pinned limits, the same with room on every side, and the demo's."""
    unlimited: dict[str, dict[str, object]] = {
        section: {key: "unlimited" for key in LIMITS[section] if key.startswith("max_") and key not in COUNTED}
        for section in OPEN_SECTIONS
    }
    unlimited["exposure"]["min_reserve_share"] = "0"
    approval: dict[str, object] = {"min_value_without_approval_usd": "unlimited"}
    return {
        "pinned": make_limits(exposure={"max_pool_supplied_share": "0.2"}),
        "open": make_limits(**unlimited, approval=approval),
        "demo": make_policy(),
        "careful": make_limits(approval={"min_value_without_approval_usd": "100"}),
    }


COUNTED: Final = {"max_trade_slippage_bps", "max_hour_runs_count"}


@lru_cache(maxsize=1)
def bases() -> dict[str, Evidence]:
    """Every batch under every policy, in both markets; each passes, but for the approval that careful ones wait for."""
    return {
        f"{name}, {limits}, {title}": _approved(_base(parts, policy, market, is_direct=title == "odd"), limits)
        for title, market in markets().items()
        for limits, policy in _policies().items()
        for name, parts in market.batches.items()
    }


def _base(parts: Sequence[Sequence[Call]], policy: Policy, market: Market, *, is_direct: bool) -> Evidence:
    calls = [call for part in parts for call in part]
    return assembled(
        calls,
        catalog=market.catalog,
        policy=policy,
        snapshot=market.snapshot,
        before=market.before,
        is_direct=len(calls) == 1 and is_direct,
        circumstances=circumstances(market.catalog),
    )


def _approved(evidence: Evidence, limits: str) -> Evidence:
    if limits != "careful":
        return evidence
    return changed(evidence, approval=make_approval(evidence.plan))


def circumstances(catalog: Catalog) -> dict[str, object]:
    protocols = sorted({strategy.protocol for strategy in catalog.strategies})
    return {
        "scores": tuple(
            ProtocolScore(protocol=name, score=80.0, has_open_incident=False, reasons=()) for name in protocols
        ),
        "economics": Economics(lower_gain_usd=120.0, cost_usd=20.0, break_even_days=5.0),
        "budget": make_budget(),
        "trading_state": TradingState.ACTIVE,
        "approval": None,
    }
