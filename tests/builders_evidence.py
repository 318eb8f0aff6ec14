"""Evidence for guard tests: real builders and the real decoder, and a small model of what a node would report.

`make_evidence()` passes every guard; every part can be replaced by keyword.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from domain.errors import StaleOrDisputed
from domain.market import Catalog, MarketSnapshot
from domain.plan import Move, MoveKind, RebalancePlan
from domain.policy import Policy
from domain.portfolio import Balance, Portfolio, Position, net_asset_value_usd
from domain.risk import Estimate, ProtocolScore, RiskReport, StressLoss, TailRisk
from domain.stress import StressFamily, scenario_set
from domain.transaction import BalanceDelta, SimulationReport
from domain.verdict import Approval, ApprovalStatus, BudgetState, Economics, Evidence, Finding, TradingState
from guards import GUARDS
from guards.case import Case
from guards.decode import decode_batch
from guards.finding import findings_of
from tests.builders import ACCOUNT, CHAIN_ID, NOW, make_catalog, make_policy, make_portfolio, make_snapshot
from tools.transactions.batch import build_plan

RUN_ID = "run-1"
LIMITS: dict[str, dict[str, object]] = {
    "freshness": {
        "max_price_age_over_heartbeat_seconds": 600,
        "max_rate_age_seconds": 900,
        "max_snapshot_age_seconds": 900,
        "max_block_lag_blocks": 30,
        "min_price_sources_count": 2,
        "max_price_disagreement_bps": 100,
        "max_stable_deviation_bps": 100,
        "min_sequencer_uptime_seconds": 3_600,
    },
    "exposure": {
        "max_strategy_share": "0.35",
        "max_protocol_share": "0.7",
        "max_token_share": "0.4",
        "max_chain_share": "0.9",
        "max_issuer_share": "0.8",
        "max_oracle_share": "0.8",
        "max_collateral_share": "0.8",
        "max_factor_share": "0.8",
        "min_reserve_share": "0.1",
        "max_pool_supplied_share": "0.1",
        "max_pool_withdrawable_share": "0.3",
        "max_run_turnover_share": "0.35",
        "max_day_turnover_share": "0.8",
    },
    "risk": {
        "horizon_days": 1,
        "min_sample_days_count": 60,
        "max_var_95_share": "0.02",
        "max_var_99_share": "0.03",
        "max_cvar_95_share": "0.03",
        "max_cvar_99_share": "0.05",
        "max_volatility_share": "0.25",
        "max_drawdown_share": "0.15",
        "min_interval_confidence_share": "0.9",
    },
    "stress": {
        "utilization_days": 7,
        "max_depeg_3_loss_share": "0.03",
        "max_depeg_12_loss_share": "0.12",
        "max_depeg_50_loss_share": "0.45",
        "max_volatile_fall_loss_share": "0.15",
        "max_utilization_loss_share": "0.05",
        "max_bad_debt_loss_share": "0.05",
        "max_exploit_loss_share": "0.45",
        "max_gas_loss_share": "0.01",
        "max_oracle_lag_loss_share": "0.05",
        "max_reward_loss_share": "0.02",
        "max_combined_loss_share": "0.6",
    },
    "protocol": {"min_score_points": 50},
    "economics": {
        "horizon_days": 30,
        "min_net_gain_usd": 5,
        "max_break_even_days": 30,
        "max_gas_cost_usd": 100,
        "max_gas_price_wei": 200 * 10**9,
    },
    "slippage": {
        "max_trade_slippage_bps": 50,
        "max_day_slippage_usd": 2_000,
        "max_week_slippage_usd": 5_000,
        "emergency_floor_bps": 100,
    },
    "budgets": {
        "max_transaction_value_usd": 500_000,
        "max_day_value_usd": 1_500_000,
        "max_week_value_usd": 3_000_000,
        "max_day_loss_usd": 5_000,
        "max_week_loss_usd": 10_000,
        "max_day_gas_usd": 300,
        "max_hour_runs_count": 30,
    },
    "simulation": {"max_age_blocks": 5, "max_delta_tolerance_bps": 10},
    "approval": {"min_value_without_approval_usd": 400_000, "expiry_seconds": 1_800, "requires_four_eyes": True},
    "breakers": {
        "max_day_drawdown_share": "0.03",
        "max_week_drawdown_share": "0.05",
        "max_peak_drawdown_share": "0.1",
        "max_failed_runs_count": 3,
        "max_blind_runs_count": 5,
    },
    "changes": {"loosening_delay_seconds": 86_400, "requires_four_eyes": True},
}
"""The limits of guard tests, pinned here so that nobody's tuning of the demo's policy moves an edge."""
USDC, DAI = 10**6, 10**18
SAMPLE_NAV_USD = 970_000.0
"""Of the sample portfolio; a report that says no other value is given that of the book it is made for."""


def make_limits(**sections: dict[str, object]) -> Policy:
    """A policy with the pinned limits and keys of sections replaced."""
    return make_policy(**{name: {**keys, **sections.get(name, {})} for name, keys in LIMITS.items()})


def supply(amount_usdc: int) -> Move:
    return Move(
        kind=MoveKind.SUPPLY, token_in="usdc", token_out="usdc", amount_in=amount_usdc * USDC, strategy="aave-usdc"
    )


def withdraw(strategy: str, token: str, amount: int, *, is_whole: bool = False) -> Move:
    return Move(
        kind=MoveKind.WITHDRAW,
        token_in=token,
        token_out=token,
        amount_in=amount,
        strategy=strategy,
        is_whole=is_whole,
    )


def deposit(amount: int) -> Move:
    return Move(kind=MoveKind.DEPOSIT, token_in="dai", token_out="dai", amount_in=amount, strategy="vault-limited-dai")


def redeem(shares: int) -> Move:
    return Move(
        kind=MoveKind.REDEEM,
        token_in="dai",
        token_out="dai",
        amount_in=shares,
        shares=shares,
        strategy="vault-limited-dai",
    )


def swap(token_in: str, token_out: str, amount_in: int, minimum_out: int, *, venue: str = "usdc-dai-100") -> Move:
    return Move(
        kind=MoveKind.SWAP,
        token_in=token_in,
        token_out=token_out,
        amount_in=amount_in,
        minimum_out=minimum_out,
        venue=venue,
    )


def make_plan(
    moves: Sequence[Move] | None = None,
    *,
    catalog: Catalog | None = None,
    policy: Policy | None = None,
    snapshot: MarketSnapshot | None = None,
    fee_cap_wei: int = 2 * 10**16,
) -> RebalancePlan:
    """50,000 USDC into Aave by default, good for ten minutes."""
    catalog = catalog or make_catalog()
    return build_plan(
        moves=(supply(50_000),) if moves is None else moves,
        run_id=RUN_ID,
        candidate_id="optimal",
        catalog=catalog,
        policy_digest=(policy or make_limits()).digest(),
        snapshot_digest=(snapshot or make_snapshot(catalog)).digest(),
        fee_cap_wei=fee_cap_wei,
        expires_at=NOW + timedelta(minutes=10),
    )


def play(
    plan: RebalancePlan, before: Portfolio, catalog: Catalog, *, haircut_bps: int = 0
) -> tuple[Portfolio, tuple[BalanceDelta, ...]]:
    """Portfolio and transfers after the moves, at one dollar per token; swaps pay `haircut_bps` less than that."""
    cash = {balance.token: balance.amount for balance in before.cash}
    held = {position.strategy: position.amount for position in before.positions}
    net: Counter[tuple[str, str]] = Counter()
    for move in plan.moves:
        _play_move(move, catalog, cash, held, net, haircut_bps=haircut_bps)
    after = before.model_copy(
        update={
            "cash": tuple(Balance(token=token, amount=amount) for token, amount in cash.items()),
            "positions": tuple(Position(strategy=s, shares=amount, amount=amount) for s, amount in held.items()),
        }
    )
    deltas = (BalanceDelta(holder=h, token=t, amount=amount) for (h, t), amount in net.items() if amount)
    return after, tuple(deltas)


def _play_move(move, catalog, cash, held, net, *, haircut_bps) -> None:
    token_in, token_out = catalog.token(move.token_in), catalog.token(move.token_out)
    if move.kind is MoveKind.SWAP:
        pool = next(venue.pool for venue in catalog.venues if venue.id == move.venue)
        scaled = Decimal(move.amount_in).scaleb(token_out.decimals - token_in.decimals)
        paid = int(scaled) * (10_000 - haircut_bps) // 10_000
        _transfer(net, token_in.address, ACCOUNT, pool, move.amount_in)
        _transfer(net, token_out.address, pool, ACCOUNT, paid)
        cash[move.token_in] = cash.get(move.token_in, 0) - move.amount_in
        cash[move.token_out] = cash.get(move.token_out, 0) + paid
        return
    strategy = catalog.strategy(move.strategy)
    is_entry = move.kind in {MoveKind.SUPPLY, MoveKind.DEPOSIT}
    amount = held[strategy.id] if move.is_whole else move.amount_in
    signed = amount if is_entry else -amount
    _transfer(net, token_in.address, ACCOUNT, strategy.receipt, signed)
    net[ACCOUNT, strategy.receipt] += signed
    cash[move.token_in] = cash.get(move.token_in, 0) - signed
    held[strategy.id] = held.get(strategy.id, 0) + signed


def _transfer(net: Counter[tuple[str, str]], token: str, sender: str, receiver: str, amount: int) -> None:
    net[sender, token] -= amount
    net[receiver, token] += amount


def make_estimate(value: float, *, sample_size: int = 90) -> Estimate:
    return Estimate(
        value=value, lower=value * 0.8, upper=value * 1.2, confidence=0.9, sample_size=sample_size, method="historical"
    )


def make_tail(level: float, var: float, cvar: float, *, horizon_days: int = 1, sample_size: int = 90) -> TailRisk:
    return TailRisk(
        level=level,
        horizon_days=horizon_days,
        var=make_estimate(var, sample_size=sample_size),
        cvar=make_estimate(cvar, sample_size=sample_size),
    )


def make_stress(portfolio: Portfolio | None = None, **losses: float) -> tuple[StressLoss, ...]:
    """A mild loss in every scenario of the portfolio; `losses` are by family."""
    scenarios = scenario_set(portfolio or make_portfolio(), make_catalog())
    calm = {StressFamily.EXPLOIT: 0.25, StressFamily.GAS: 0.001, StressFamily.REWARD: 0.001}
    return tuple(
        StressLoss(family=family, subject=subject, loss=losses.get(family.value, calm.get(family, 0.02)))
        for family, subject in sorted(scenarios)
    )


def make_report(subject: str = "after", **changes: object) -> RiskReport:
    fields: dict[str, object] = {
        "subject": subject,
        "net_asset_value_usd": SAMPLE_NAV_USD,
        "tails": (make_tail(0.95, 0.004, 0.006), make_tail(0.99, 0.008, 0.011)),
        "volatility": make_estimate(0.05),
        "max_drawdown": make_estimate(0.03),
        "stress": make_stress(),
        "herfindahl": 0.3,
    }
    return RiskReport.model_validate({**fields, **changes})


def make_budget(**changes: object) -> BudgetState:
    zeros = dict.fromkeys(
        (
            "value_day_usd",
            "value_week_usd",
            "loss_day_usd",
            "loss_week_usd",
            "gas_day_usd",
            "slippage_day_usd",
            "slippage_week_usd",
            "turnover_day_usd",
        ),
        0,
    )
    return BudgetState.model_validate({"is_intact": True, **zeros, "runs_hour_count": 1, **changes})


def make_simulation(plan: RebalancePlan, deltas: Sequence[BalanceDelta] = (), **changes: object) -> SimulationReport:
    fields: dict[str, object] = {
        "batch_digest": plan.batch_digest(),
        "chain_id": CHAIN_ID,
        "block_number": 100,
        "block_hash": "0x" + "ab" * 32,
        "simulated_at": NOW,
        "succeeded": True,
        "gas_used": 400_000,
        "deltas": tuple(deltas),
        "leftover_approvals": (),
    }
    return SimulationReport.model_validate({**fields, **changes})


def make_approval(plan: RebalancePlan, **changes: object) -> Approval:
    fields: dict[str, object] = {
        "batch_digest": plan.batch_digest(),
        "run_id": plan.run_id,
        "status": ApprovalStatus.APPROVED,
        "requested_by": "scheduler",
        "answered_by": "alice",
        "role": "approver",
        "requested_at": NOW - timedelta(minutes=1),
        "expires_at": NOW + timedelta(minutes=5),
    }
    return Approval.model_validate({**fields, **changes})


def make_evidence(
    moves: Sequence[Move] | None = None,
    *,
    catalog: Catalog | None = None,
    policy: Policy | None = None,
    snapshot: MarketSnapshot | None = None,
    before: Portfolio | None = None,
    haircut_bps: int = 0,
    simulated: dict[str, object] | None = None,
    **changes: object,
) -> Evidence:
    """Consistent evidence about a batch of `moves`; `simulated` changes the report, `changes` the evidence itself."""
    catalog = catalog or make_catalog()
    policy = policy or make_limits()
    snapshot = snapshot or make_snapshot(catalog)
    before = before or make_portfolio()
    plan = make_plan(moves, catalog=catalog, policy=policy, snapshot=snapshot)
    after, deltas = play(plan, before, catalog, haircut_bps=haircut_bps)
    fields: dict[str, object] = {
        "now": NOW,
        "head_block_number": 100,
        "catalog": catalog,
        "policy": policy,
        "plan": plan,
        "batch": decode_batch(plan.envelope, catalog=catalog),
        "simulation": make_simulation(plan, **{"deltas": deltas, **(simulated or {})}),
        "snapshot": snapshot,
        "before": before,
        "after": after,
    }
    around = {**fields, **_calm_circumstances(), **changes}
    around["risk_after"] = report_on(around["after"], around["risk_after"], snapshot, catalog)
    return Evidence.model_validate(around)


def report_on(
    book: Portfolio, report: RiskReport | None, snapshot: MarketSnapshot, catalog: Catalog
) -> RiskReport | None:
    """The report with the value of this book, unless it says another one than the sample's."""
    if report is None or report.net_asset_value_usd != SAMPLE_NAV_USD:
        return report
    try:
        value = float(net_asset_value_usd(book, snapshot, catalog))
    except StaleOrDisputed:
        value = None
    return report.model_copy(update={"net_asset_value_usd": value})


def _calm_circumstances() -> dict[str, object]:
    """Whatever surrounds a batch, such that it denies nothing."""
    return {
        "risk_before": make_report("current"),
        "risk_after": make_report("after"),
        "scores": (
            ProtocolScore(protocol="aave-v3", score=80.0, has_open_incident=False, reasons=()),
            ProtocolScore(protocol="limited-vault", score=70.0, has_open_incident=False, reasons=()),
        ),
        "economics": Economics(lower_gain_usd=120.0, cost_usd=20.0, break_even_days=5.0),
        "budget": make_budget(),
        "trading_state": TradingState.ACTIVE,
        "approval": None,
    }


def exit_moves() -> tuple[Move, ...]:
    """Out of USDX in Aave altogether and into the reserve."""
    amount = 100_000 * DAI
    return (
        withdraw("aave-usdx", "usdx", amount, is_whole=True),
        swap("usdx", "usdc", amount, 99_500 * USDC, venue="usdc-usdx-100"),
    )


def rows_of(guard: str, evidence: Evidence) -> tuple[Finding, ...]:
    """One guard's rows as the verdict would show them."""
    return tuple(Finding.model_validate(row) for row in findings_of(GUARDS[guard](Case(evidence))))


def codes(rows: Sequence[object]) -> set[str]:
    """Codes of denials, or of findings that did not pass."""
    return {row.code for row in rows if not getattr(row, "passed", False)}
