"""The consistent cases that the fuzzer starts from: entries, exits, swaps, rotations, vaults, many and no decimals."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from domain.market import MarketSnapshot, SequencerReading
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position
from domain.risk import ProtocolScore
from domain.verdict import Economics, Evidence, TradingState
from tests.builders import ACCOUNT, CHAIN_ID, NOW, address, make_catalog, make_policy, make_price, make_snapshot
from tests.builders_evidence import LIMITS, make_approval, make_budget, make_limits
from tests.oracle.actions import EVERYTHING
from tests.oracle.calldata import Call, write_words
from tests.oracle.sample import assembled, changed

USDC: Final = 10**6
COIN: Final = 10**18
WBTC: Final = 10**8
FEES: Final = {frozenset({"usdc", "dai"}): 100, frozenset({"usdc", "usdx"}): 100, frozenset({"usdc", "weth"}): 500}
VAULT: Final = "vault-limited-dai"
OPEN_SECTIONS: Final = ("exposure", "risk", "stress", "economics", "slippage", "budgets")
CATALOG: Final = make_catalog()
ON_ROLLUP: Final = changed(CATALOG, contracts=changed(CATALOG.contracts, sequencer_feed=address(0x77)))
"""The same treasury on a chain with a sequencer."""


def supply(token: str, amount: int) -> list[Call]:
    asset, pool = CATALOG.token(token).address, CATALOG.contracts.aave_pool
    return [
        Call(asset, 0, False, write_words("approve", pool, amount)),
        Call(pool, 0, False, write_words("supply", asset, amount, ACCOUNT, 0)),
    ]


def withdraw(token: str, amount: int = EVERYTHING) -> list[Call]:
    data = write_words("withdraw", CATALOG.token(token).address, amount, ACCOUNT)
    return [Call(CATALOG.contracts.aave_pool, 0, False, data)]


def deposit(amount: int) -> list[Call]:
    vault, dai = CATALOG.strategy(VAULT).contract, CATALOG.token("dai").address
    return [
        Call(dai, 0, False, write_words("approve", vault, amount)),
        Call(vault, 0, False, write_words("deposit", amount, ACCOUNT)),
    ]


def redeem(shares: int) -> list[Call]:
    return [Call(CATALOG.strategy(VAULT).contract, 0, False, write_words("redeem", shares, ACCOUNT, ACCOUNT))]


def swap(sold: str, bought: str, amount: int, minimum: int) -> list[Call]:
    token_in, token_out, router = CATALOG.token(sold), CATALOG.token(bought), CATALOG.contracts.swap_router
    fee = FEES[frozenset({sold, bought})]
    words = (token_in.address, token_out.address, fee, ACCOUNT, amount, minimum, 0)
    return [
        Call(token_in.address, 0, False, write_words("approve", router, amount)),
        Call(router, 0, False, write_words("exactInputSingle", *words)),
    ]


BATCHES: Final[dict[str, tuple[Sequence[Call], ...]]] = {
    "supply": (supply("usdc", 50_000 * USDC),),
    "supply dai": (supply("dai", 60_000 * COIN),),
    "supply wbtc": (supply("wbtc", WBTC // 2),),
    "supply weth": (supply("weth", 3 * COIN + 1),),
    "deposit": (deposit(70_000 * COIN),),
    "deposit odd": (deposit(333_333_333_333_333_333_333),),
    "buy dai": (swap("usdc", "dai", 40_000 * USDC, 39_960 * COIN),),
    "buy weth": (swap("usdc", "weth", 35_000 * USDC, 9_990_000_000_000_000_000),),
    "sell dai": (swap("dai", "usdc", 30_000 * COIN, 29_975 * USDC),),
    "sell weth": (swap("weth", "usdc", 2 * COIN, 6_990 * USDC),),
    "sell twice": (swap("dai", "usdc", 30_000 * COIN, 29_975 * USDC), swap("dai", "usdc", 7 * COIN, 6_990_000)),
    "withdraw": (withdraw("usdx", 40_000 * COIN),),
    "withdraw all": (withdraw("usdx"),),
    "withdraw weth": (withdraw("weth", 5 * COIN),),
    "redeem": (redeem(20_000 * COIN),),
    "redeem and sell": (redeem(20_000 * COIN), swap("dai", "usdc", 20_000 * COIN, 19_980 * USDC)),
    "leave usdx": (withdraw("usdx"), swap("usdx", "usdc", 100_000 * COIN, 99_900 * USDC)),
    "leave in two swaps": (
        withdraw("usdx"),
        swap("usdx", "usdc", 60_000 * COIN, 59_950 * USDC),
        swap("usdx", "usdc", 40_000 * COIN, 39_960 * USDC),
    ),
    "leave two": (withdraw("usdx"), withdraw("weth", 4 * COIN), swap("weth", "usdc", 4 * COIN, 13_980 * USDC)),
    "rotate": (
        withdraw("usdx", 50_000 * COIN),
        swap("usdx", "usdc", 50_000 * COIN, 49_950 * USDC),
        supply("usdc", 45_000 * USDC),
    ),
    "rotate dai": (swap("usdc", "dai", 20_000 * USDC, 19_985 * COIN), supply("dai", 50_000 * COIN), deposit(9 * COIN)),
    "three entries": (supply("usdc", 10_000 * USDC), supply("dai", 10_000 * COIN), supply("wbtc", WBTC // 10)),
    "large": (supply("usdc", 300_000 * USDC),),
}
HOLDINGS: Final = {
    "usdc": 700_000 * USDC,
    "dai": 100_000 * COIN,
    "weth": 5 * COIN,
    "wbtc": 2 * WBTC,
}
POSITIONS: Final = {"aave-usdx": 100_000 * COIN, "aave-weth": 20 * COIN, VAULT: 50_000 * COIN}


def book(cash: dict[str, int], positions: dict[str, int], snapshot: MarketSnapshot) -> Portfolio:
    prices = {rate.strategy: rate.share_price for rate in snapshot.rates}
    return Portfolio(
        account=ACCOUNT,
        chain_id=CHAIN_ID,
        block_number=100,
        taken_at=NOW,
        cash=tuple(Balance(token=token, amount=amount) for token, amount in cash.items()),
        positions=tuple(
            Position(strategy=name, shares=shares, amount=int(shares * prices[name]))
            for name, shares in positions.items()
        ),
        native_wei=10**18,
    )


def _snapshots() -> dict[str, MarketSnapshot]:
    plain = make_snapshot(CATALOG)
    rates = tuple(
        changed(rate, share_price=Decimal("1.0625")) if rate.strategy == VAULT else rate for rate in plain.rates
    )
    odd = {"usdc": "0.9997", "dai": "0.99975", "usdx": "0.99971234567", "weth": "3498.123456789", "wbtc": "61234.5"}
    prices = [make_price(token, price) for token, price in odd.items()]
    prices += [make_price(t, str(Decimal(p) * Decimal("1.0007")), source="uniswap") for t, p in odd.items()]
    sequencer = SequencerReading(is_up=True, since=NOW.replace(hour=1))
    return {"plain": plain, "odd": changed(plain, rates=rates, prices=tuple(prices), sequencer=sequencer)}


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
    found: dict[str, Evidence] = {}
    for market, snapshot in _snapshots().items():
        catalog = CATALOG if market == "plain" else ON_ROLLUP
        before = book(HOLDINGS, POSITIONS, snapshot)
        for limits, policy in _policies().items():
            for name, parts in BATCHES.items():
                calls = [call for part in parts for call in part]
                evidence = assembled(
                    calls,
                    catalog=catalog,
                    policy=policy,
                    snapshot=snapshot,
                    before=before,
                    is_direct=len(calls) == 1 and market == "odd",
                    circumstances=circumstances(),
                )
                found[f"{name}, {limits}, {market}"] = _approved(evidence, limits)
    return found


def _approved(evidence: Evidence, limits: str) -> Evidence:
    if limits != "careful":
        return evidence
    return changed(evidence, approval=make_approval(evidence.plan))


def circumstances() -> dict[str, object]:
    return {
        "scores": tuple(
            ProtocolScore(protocol=name, score=80.0, has_open_incident=False, reasons=())
            for name in ("aave-v3", "limited-vault")
        ),
        "economics": Economics(lower_gain_usd=120.0, cost_usd=20.0, break_even_days=5.0),
        "budget": make_budget(),
        "trading_state": TradingState.ACTIVE,
        "approval": None,
    }
