"""A large treasury for measurements: 30 strategies in 10 protocols on 12 tokens, every stress scenario, one batch."""

from __future__ import annotations

from decimal import Decimal

from domain.market import Catalog, MarketSnapshot, Strategy, StrategyKind, Token, Venue
from domain.plan import Move, MoveKind
from domain.portfolio import Portfolio
from domain.risk import ProtocolScore, RiskReport, StressLoss
from domain.stress import scenario_set
from domain.verdict import Evidence
from tests.builders import (
    ACCOUNT,
    CHAIN_ID,
    CONTRACTS,
    OPERATOR,
    address,
    make_portfolio,
    make_price,
    make_snapshot,
    make_token,
)
from tests.builders_evidence import make_evidence, make_report

STABLES = ("usdc", "dai", "usdt", "gho")
VOLATILE = {
    "weth": "3500",
    "wbtc": "60000",
    "wsteth": "4000",
    "reth": "3900",
    "cbbtc": "60000",
    "link": "15",
    "aave": "180",
    "uni": "8",
}
DECIMALS = {"usdc": 6, "usdt": 6, "wbtc": 8, "cbbtc": 8}
TOKENS = (*STABLES, *VOLATILE)
VAULT_PROTOCOLS = tuple(f"vaults-{letter}" for letter in "abcdefghi")
VAULTS = 18
POSITION_USD = 25_000
SOURCES = ("oracle", "uniswap")
MILD_LOSS = 0.001


def make_wide_catalog() -> Catalog:
    tokens = tuple(
        make_token(name, 0x1_0000 + number, decimals=DECIMALS.get(name, 18), is_stable=name in STABLES)
        for number, name in enumerate(TOKENS)
    )
    return Catalog(
        chain_id=CHAIN_ID,
        account=ACCOUNT,
        operator=OPERATOR,
        reserve_token="usdc",
        native_token="weth",
        contracts=CONTRACTS,
        tokens=tokens,
        strategies=(*(_make_reserve(*item) for item in enumerate(tokens)), *_make_vaults(tokens)),
        venues=tuple(
            Venue(id=f"usdc-{token.id}", pool=address(0x4_0000 + n), token_0="usdc", token_1=token.id, fee_pips=500)
            for n, token in enumerate(tokens[1:])
        ),
    )


def _make_reserve(number: int, token: Token) -> Strategy:
    return Strategy(
        id=f"aave-{token.id}",
        kind=StrategyKind.AAVE_V3,
        protocol="aave-v3",
        token=token.id,
        contract=CONTRACTS.aave_pool,
        receipt=address(0x2_0000 + number),
        receipt_decimals=token.decimals,
        oracles=("chainlink",),
        collateral=("weth", "wbtc"),
    )


def _make_vaults(tokens: tuple[Token, ...]) -> tuple[Strategy, ...]:
    return tuple(
        Strategy(
            id=f"vault-{number}",
            kind=StrategyKind.ERC4626,
            protocol=VAULT_PROTOCOLS[number % len(VAULT_PROTOCOLS)],
            token=tokens[number % len(tokens)].id,
            contract=address(0x3_0000 + number),
            receipt=address(0x3_0000 + number),
            receipt_decimals=tokens[number % len(tokens)].decimals,
            oracles=("pyth",) if number % 3 else ("chainlink", "redstone"),
            collateral=("wsteth",),
            factors=(f"curator-{number % 4}",),
        )
        for number in range(VAULTS)
    )


def make_wide_snapshot(catalog: Catalog) -> MarketSnapshot:
    prices = {**dict.fromkeys(STABLES, "1"), **VOLATILE}
    return make_snapshot(
        catalog, prices=tuple(make_price(t, p, source=source) for t, p in prices.items() for source in SOURCES)
    )


def make_wide_portfolio(catalog: Catalog) -> Portfolio:
    """The same value in each strategy, and as much again in the reserve token."""
    positions = {strategy.id: _units(POSITION_USD, catalog.token(strategy.token)) for strategy in catalog.strategies}
    reserve = _units(POSITION_USD * len(positions), catalog.token("usdc"))
    return make_portfolio(cash={"usdc": reserve, "dai": 20_000 * 10**18}, positions=positions)


def _units(usd: int, token: Token) -> int:
    return int(Decimal(usd) / Decimal(VOLATILE.get(token.id, "1")) * 10**token.decimals)


def make_wide_report(subject: str, portfolio: Portfolio, catalog: Catalog) -> RiskReport:
    losses = (
        StressLoss(family=family, subject=hit, loss=MILD_LOSS)
        for family, hit in sorted(scenario_set(portfolio, catalog))
    )
    return make_report(subject, stress=tuple(losses))


def make_wide_evidence() -> Evidence:
    """Passes every guard: four calls enter an Aave reserve and a vault."""
    catalog = make_wide_catalog()
    before = make_wide_portfolio(catalog)
    return make_evidence(
        (
            _entry(MoveKind.SUPPLY, "usdc", 5_000 * 10**6, "aave-usdc"),
            _entry(MoveKind.DEPOSIT, "dai", 5_000 * 10**18, "vault-1"),
        ),
        catalog=catalog,
        snapshot=make_wide_snapshot(catalog),
        before=before,
        risk_before=make_wide_report("current", before, catalog),
        risk_after=make_wide_report("after", before, catalog),
        scores=tuple(
            ProtocolScore(protocol=protocol, score=80.0, has_open_incident=False, reasons=())
            for protocol in sorted({strategy.protocol for strategy in catalog.strategies})
        ),
    )


def _entry(kind: MoveKind, token: str, amount: int, strategy: str) -> Move:
    return Move(kind=kind, token_in=token, token_out=token, amount_in=amount, strategy=strategy)
