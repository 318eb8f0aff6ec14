"""The treasury of the corpus: the demo's catalog, pinned limits, two books, and a simple chain that plays moves."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot, StrategyKind
from domain.plan import Move, MoveKind, RebalancePlan
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position, net_asset_value_usd
from domain.risk import ProtocolScore, RiskReport, StressLoss
from domain.stress import StressFamily, scenario_set
from domain.transaction import BalanceDelta
from domain.verdict import Economics, Evidence, TradingState
from guards.decode import decode_batch
from tests.builders import NOW, make_snapshot
from tests.builders_evidence import DAI, USDC, make_budget, make_limits, make_report, make_simulation
from tests.repository import ROOT
from tools.transactions.batch import build_plan

RUN_ID: Final = "run-1"
FEE_CAP_WEI: Final = 2 * 10**16
WETH: Final = 10**18
CATALOG: Final = Catalog.model_validate(tomllib.loads((ROOT / "config/strategies.toml").read_text()))
POLICY: Final = make_limits()
SNAPSHOT: Final = make_snapshot(CATALOG)
CALM: Final = {StressFamily.EXPLOIT: 0.25, StressFamily.GAS: 0.001, StressFamily.REWARD: 0.001}
OTHERWISE: Final = 0.02
"""Loss of every other stress family."""

CASH: Final = {"usdc": 700_000 * USDC, "dai": 100_000 * DAI}
SUPPLIED: Final = {"aave-usdx": 100_000 * DAI, "aave-weth": 20 * WETH}
INVESTED: Final = {
    "aave-usdc": 100_000 * USDC,
    "aave-usdx": 50_000 * DAI,
    "vault-aave-usdc": 60_000 * USDC,
    "vault-limited-dai": 50_000 * DAI,
    "vault-usdx": 40_000 * DAI,
    "vault-weth": 10 * WETH,
}


def _book(cash: dict[str, int], positions: dict[str, int]) -> Portfolio:
    return Portfolio(
        account=CATALOG.account,
        chain_id=CATALOG.chain_id,
        block_number=SNAPSHOT.block_number,
        taken_at=NOW,
        cash=tuple(Balance(token=token, amount=amount) for token, amount in cash.items()),
        positions=tuple(_position(strategy, amount) for strategy, amount in positions.items()),
        native_wei=10**18,
    )


def _position(strategy: str, amount: int) -> Position:
    return Position(strategy=strategy, shares=shares_for(strategy, amount), amount=amount)


def shares_for(strategy_id: str, amount: int) -> int:
    """Receipt tokens for so much of the token, at a share price of one."""
    strategy = CATALOG.strategy(strategy_id)
    return amount * int(10 ** (strategy.receipt_decimals - CATALOG.token(strategy.token).decimals))


BOOKS: Final = {
    "treasury": _book(CASH, SUPPLIED),
    "invested": _book({"usdc": 400_000 * USDC, "dai": 100_000 * DAI, "weth": 10 * WETH}, INVESTED),
}
"""As the local chain begins, worth 970,000 USD; and the same kind of money spread over seven strategies."""


def stress_of(book: Portfolio, **losses: float) -> tuple[StressLoss, ...]:
    """A mild loss in every scenario that the book must be measured in; `losses` are by family."""
    return tuple(
        StressLoss(family=family, subject=subject, loss=losses.get(family.value, CALM.get(family, OTHERWISE)))
        for family, subject in sorted(scenario_set(book, CATALOG))
    )


def risk_of(book: Portfolio, subject: str = "after") -> RiskReport:
    return report_on(book, make_report(subject, stress=stress_of(book)), SNAPSHOT)


def report_on(book: Portfolio, report: RiskReport, snapshot: MarketSnapshot) -> RiskReport:
    """The report with the value that this book has at these prices; unknown where one is missing."""
    read = MarketSnapshot.model_validate(dict(snapshot))  # a copy keeps what the original has looked up
    try:
        value = float(net_asset_value_usd(book, read, CATALOG))
    except StaleOrDisputed:
        value = None
    return report.model_copy(update={"net_asset_value_usd": value})


def surrounding(base: str) -> dict[str, object]:
    """Everything of the evidence but plan, batch, simulation and the book after: such that it denies nothing."""
    return {
        "now": NOW,
        "head_block_number": SNAPSHOT.block_number,
        "catalog": CATALOG,
        "policy": POLICY,
        "snapshot": SNAPSHOT,
        "before": BOOKS[base],
        "risk_before": risk_of(BOOKS[base], "current"),
        "scores": tuple(
            ProtocolScore(protocol=protocol, score=80.0, has_open_incident=False, reasons=())
            for protocol in sorted({strategy.protocol for strategy in CATALOG.strategies})
        ),
        "economics": Economics(lower_gain_usd=120.0, cost_usd=20.0, break_even_days=5.0),
        "budget": make_budget(),
        "trading_state": TradingState.ACTIVE,
        "approval": None,
    }


def make_plan(
    moves: Sequence[Move],
    *,
    policy: Policy = POLICY,
    snapshot: MarketSnapshot = SNAPSHOT,
    fee_cap_wei: int = FEE_CAP_WEI,
) -> RebalancePlan:
    plan = build_plan(
        moves=moves,
        run_id=RUN_ID,
        candidate_id="optimal",
        catalog=CATALOG,
        policy_digest=policy.digest(),
        snapshot_digest=snapshot.digest(),
        fee_cap_wei=fee_cap_wei,
        expires_at=NOW + timedelta(minutes=10),
    )
    return plan.model_copy(update={"moves": ()})  # nobody judges them, and they are not in the digest


def make_evidence(
    moves: Sequence[Move], *, base: str = "treasury", haircut_bps: int = 0, gas_used: int = 400_000, **changes: object
) -> Evidence:
    """Consistent evidence about the moves; swaps pay `haircut_bps` less than a dollar's worth."""
    around = {**surrounding(base), **changes}
    fee_cap = around.pop("fee_cap_wei", FEE_CAP_WEI)
    plan = make_plan(moves, policy=around["policy"], snapshot=around["snapshot"], fee_cap_wei=fee_cap)  # type: ignore[arg-type]
    after, deltas = play(moves, around["before"], haircut_bps=haircut_bps)  # type: ignore[arg-type]
    simulated = {
        "plan": plan,
        "batch": decode_batch(plan.envelope, catalog=CATALOG),
        "simulation": make_simulation(plan, deltas, gas_used=gas_used),
        "after": after,
    }
    report = around.pop("risk_after", risk_of(after))
    measured = report_on(after, report, around["snapshot"]) if report is not None else None  # type: ignore[arg-type]
    return Evidence.model_validate({**simulated, **around, "risk_after": measured})


class _Chain:
    """Balances while the moves are played."""

    def __init__(self, before: Portfolio) -> None:
        self.before = before
        self.cash = {balance.token: balance.amount for balance in before.cash}
        self.held = {position.strategy: position.amount for position in before.positions}
        self.net: Counter[tuple[str, str]] = Counter()

    def transfer(self, token: str, sender: str, receiver: str, amount: int) -> None:
        self.net[sender, token] -= amount
        self.net[receiver, token] += amount

    def swap(self, move: Move, *, haircut_bps: int) -> None:
        """At the oracle's prices, less the haircut."""
        sold, bought = CATALOG.token(move.token_in), CATALOG.token(move.token_out)
        pool = next(venue.pool for venue in CATALOG.venues if venue.id == move.venue)
        prices = SNAPSHOT.price_usd(move.token_in), SNAPSHOT.price_usd(move.token_out)
        worth = move.amount_in * int(prices[0] or 0) * 10**bought.decimals // (int(prices[1] or 1) * 10**sold.decimals)
        paid = worth * (10_000 - haircut_bps) // 10_000
        self.transfer(sold.address, CATALOG.account, pool, move.amount_in)
        self.transfer(bought.address, pool, CATALOG.account, paid)
        self.cash[sold.id] = self.cash.get(sold.id, 0) - move.amount_in
        self.cash[bought.id] = self.cash.get(bought.id, 0) + paid

    def invest(self, move: Move) -> None:
        """Into a strategy, or out of it again."""
        strategy = CATALOG.strategy(move.strategy or "")
        amount = self.held[strategy.id] if move.is_whole else move.amount_in
        signed = amount if move.kind in {MoveKind.SUPPLY, MoveKind.DEPOSIT} else -amount
        holder = strategy.receipt if strategy.kind is StrategyKind.AAVE_V3 else strategy.contract
        self.transfer(CATALOG.token(strategy.token).address, CATALOG.account, holder, signed)
        self.net[CATALOG.account, strategy.receipt] += shares_for(strategy.id, signed)
        self.cash[strategy.token] = self.cash.get(strategy.token, 0) - signed
        self.held[strategy.id] = self.held.get(strategy.id, 0) + signed


def play(moves: Sequence[Move], before: Portfolio, *, haircut_bps: int) -> tuple[Portfolio, tuple[BalanceDelta, ...]]:
    """The book after the moves, and every holder's net change."""
    chain = _Chain(before)
    for move in moves:
        if move.kind is MoveKind.SWAP:
            chain.swap(move, haircut_bps=haircut_bps)
        else:
            chain.invest(move)
    after = _book(chain.cash, chain.held)
    deltas = (BalanceDelta(holder=h, token=t, amount=amount) for (h, t), amount in chain.net.items() if amount)
    return after, tuple(deltas)
