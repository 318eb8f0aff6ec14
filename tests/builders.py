"""Domain values for tests: one small, consistent treasury, every part replaceable by keyword."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from domain.market import (
    Catalog,
    Contracts,
    MarketSnapshot,
    PriceObservation,
    RateCurve,
    RateObservation,
    Strategy,
    StrategyKind,
    Token,
    Venue,
)
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CHAIN_ID = 31_337
POLICY_PATH = Path(__file__).parent.parent / "config" / "policy.toml"


def address(number: int) -> str:
    return f"0x{number:040x}"


ACCOUNT = address(0xACC)
OPERATOR = address(0x09E2)
CONTRACTS = Contracts(
    aave_pool=address(0xA1),
    aave_data_provider=address(0xA2),
    swap_router=address(0x51),
    quoter=address(0x52),
    multicall=address(0x61),
    multisend_call_only=address(0x62),
    permit2=address(0x63),
)


def make_token(token_id: str, number: int, *, decimals: int = 18, is_stable: bool = True) -> Token:
    return Token(
        id=token_id,
        address=address(number),
        decimals=decimals,
        issuer=f"{token_id}-issuer",
        feed=address(number + 0x1000),
        feed_heartbeat_seconds=86_400,
        is_stable=is_stable,
    )


def make_catalog() -> Catalog:
    tokens = _make_tokens()
    return Catalog(
        chain_id=CHAIN_ID,
        account=ACCOUNT,
        operator=OPERATOR,
        reserve_token="usdc",
        native_token="weth",
        contracts=CONTRACTS,
        tokens=tokens,
        strategies=(*_make_reserves(tokens), _make_vault()),
        venues=(
            Venue(id="usdc-dai-100", pool=address(0x401), token_0="usdc", token_1="dai", fee_pips=100),
            Venue(id="usdc-usdx-100", pool=address(0x402), token_0="usdc", token_1="usdx", fee_pips=100),
            Venue(id="usdc-weth-500", pool=address(0x403), token_0="usdc", token_1="weth", fee_pips=500),
        ),
    )


def _make_tokens() -> tuple[Token, ...]:
    return (
        make_token("usdc", 0x101, decimals=6),
        make_token("dai", 0x102),
        make_token("usdx", 0x103),
        make_token("weth", 0x104, is_stable=False),
        make_token("wbtc", 0x105, decimals=8, is_stable=False),
    )


def _make_reserves(tokens: tuple[Token, ...]) -> tuple[Strategy, ...]:
    return tuple(
        Strategy(
            id=f"aave-{token.id}",
            kind=StrategyKind.AAVE_V3,
            protocol="aave-v3",
            token=token.id,
            contract=CONTRACTS.aave_pool,
            receipt=address(0x201 + index),
            receipt_decimals=token.decimals,
            oracles=("chainlink",),
            collateral=("weth", "wbtc"),
        )
        for index, token in enumerate(tokens)
    )


def _make_vault() -> Strategy:
    return Strategy(
        id="vault-limited-dai",
        kind=StrategyKind.ERC4626,
        protocol="limited-vault",
        token="dai",
        contract=address(0x301),
        receipt=address(0x301),
        receipt_decimals=18,
        factors=("vault-owner",),
    )


def make_policy(**sections: dict[str, object]) -> Policy:
    """The demo's policy with keys of sections replaced: make_policy(exposure={"max_strategy_share": "0.1"})."""
    raw = tomllib.loads(POLICY_PATH.read_text(), parse_float=Decimal)
    for section, keys in sections.items():
        raw[section] = {**raw[section], **keys}
    return Policy.model_validate(raw)


PRICES = {"usdc": "1", "dai": "1", "usdx": "1", "weth": "3500", "wbtc": "60000"}


def make_price(token: str, price_usd: str, *, source: str = "oracle", age_seconds: int = 60) -> PriceObservation:
    return PriceObservation(
        token=token, source=source, price_usd=Decimal(price_usd), observed_at=NOW - timedelta(seconds=age_seconds)
    )


def make_rate(
    strategy: str, *, apr: float = 0.04, decimals: int = 18, supplied_tokens: int = 20_000_000
) -> RateObservation:
    supplied = supplied_tokens * 10**decimals
    return RateObservation(
        strategy=strategy,
        source="onchain",
        chain_id=CHAIN_ID,
        block_number=100,
        observed_at=NOW,
        supply_apr=apr,
        supplied=supplied,
        borrowed=supplied * 7 // 10,
        withdrawable=supplied * 3 // 10,
        share_price=Decimal(1),
        curve=RateCurve(base=0.0, slope_1=0.05, slope_2=0.75, optimal_utilization=0.8, reserve_factor=0.1),
    )


def make_snapshot(catalog: Catalog | None = None, **changes: object) -> MarketSnapshot:
    catalog = catalog or make_catalog()
    fields: dict[str, object] = {
        "chain_id": CHAIN_ID,
        "block_number": 100,
        "block_hash": "0x" + "ab" * 32,
        "block_time": NOW,
        "taken_at": NOW,
        "base_fee_wei": 20 * 10**9,
        "priority_fee_wei": 10**9,
        "prices": tuple(make_price(t, p, source=s) for t, p in PRICES.items() for s in ("oracle", "uniswap")),
        "rates": tuple(
            make_rate(s.id, apr=0.03 + 0.005 * i, decimals=catalog.token(s.token).decimals)
            for i, s in enumerate(catalog.strategies)
        ),
    }
    return MarketSnapshot.model_validate({**fields, **changes})


def make_portfolio(
    *, cash: dict[str, int] | None = None, positions: dict[str, int] | None = None, block_number: int = 100
) -> Portfolio:
    """Amounts in base units; 700,000 USDC, 100,000 DAI, 100,000 USDX in Aave and 20 WETH in Aave by default."""
    cash = {"usdc": 700_000 * 10**6, "dai": 100_000 * 10**18} if cash is None else cash
    held = {"aave-usdx": 100_000 * 10**18, "aave-weth": 20 * 10**18} if positions is None else positions
    return Portfolio(
        account=ACCOUNT,
        chain_id=CHAIN_ID,
        block_number=block_number,
        taken_at=NOW,
        cash=tuple(Balance(token=token, amount=amount) for token, amount in cash.items()),
        positions=tuple(Position(strategy=s, shares=amount, amount=amount) for s, amount in held.items()),
        native_wei=10**18,
    )
