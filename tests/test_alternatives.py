"""The part of a denied batch that a denial names passes its limit, and one basis point more does not."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.plan import Move
from domain.policy import Policy
from domain.portfolio import Portfolio
from domain.risk import RiskReport
from domain.stress import StressFamily
from domain.units import BPS_PER_ONE
from domain.verdict import Denial, Economics, Evidence, Verdict
from guards import check
from guards.case import Case
from guards.measures import moved_usd
from tests.builders import make_catalog, make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    deposit,
    make_evidence,
    make_limits,
    make_report,
    report_on,
    rows_of,
    supply,
    swap,
    withdraw,
)
from tools.stress import stress_losses

CATALOG = make_catalog()
BEFORE = make_portfolio(cash={"usdc": 800_000 * USDC, "dai": 300_000 * DAI}, positions={"aave-usdx": 100_000 * DAI})
EXACT_GUARDS = {"exposure", "budgets", "slippage"}
HAIRCUT_BPS = 6
hundreds = st.integers(1, 2_000)
"""Of whole tokens: so large that every basis point of them is a whole number of base units."""


def part_of(moves: Sequence[Move], bps: int) -> list[Move]:
    return [
        move.model_copy(
            update={
                "amount_in": move.amount_in * bps // BPS_PER_ONE,
                "minimum_out": move.minimum_out * bps // BPS_PER_ONE,
            }
        )
        for move in moves
    ]


def judge(moves: Sequence[Move], bps: int = BPS_PER_ONE, **parts: object) -> Evidence:
    return make_evidence(part_of(moves, bps), before=parts.pop("before", BEFORE), haircut_bps=HAIRCUT_BPS, **parts)


def passes(denial: Denial, guard: str, evidence: Evidence) -> bool:
    return all(
        row.passed for row in rows_of(guard, evidence) if (row.code, row.subject) == (denial.code, denial.subject)
    )


def guard_of(denial: Denial, verdict: Verdict) -> str:
    return next(row.guard for row in verdict.findings if (row.code, row.subject) == (denial.code, denial.subject))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Move, ...]:
    choices = {
        "supply": lambda n: supply(100 * n),
        "deposit": lambda n: deposit(100 * n * DAI),
        "withdraw": lambda n: withdraw("aave-usdx", "usdx", min(n, 1_000) * 100 * DAI),
        "buy": lambda n: swap("usdc", "dai", 100 * n * USDC, n * 100 * DAI * 996 // 1000),
        "sell": lambda n: swap("dai", "usdc", min(n, 400) * 100 * DAI, min(n, 400) * 100 * USDC * 997 // 1000),
    }
    picked = draw(st.lists(st.sampled_from(sorted(choices)), min_size=1, max_size=3, unique=True))
    order = sorted(picked, key=["withdraw", "sell", "buy", "supply", "deposit"].index)
    return tuple(choices[name](draw(hundreds)) for name in order)


shares = st.integers(0, 1_000).map(lambda n: Decimal(n) / 1000)
dollars = st.integers(0, 300_000)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    keys = ["strategy", "protocol", "token", "chain", "issuer", "oracle", "collateral", "factor"]
    caps = {f"max_{key}_share": draw(shares) for key in draw(st.sets(st.sampled_from(keys)))}
    pools = {f"max_pool_{kind}_share": draw(shares) / 10 for kind in ("supplied", "withdrawable")}
    turnover = {f"max_{window}_turnover_share": draw(shares) for window in ("run", "day")}
    budget = {f"max_{window}_value_usd": draw(dollars) for window in ("transaction", "day", "week")}
    losses = {f"max_{window}_loss_usd": draw(st.integers(0, 300)) for window in ("day", "week")}
    slippage = {f"max_{window}_slippage_usd": draw(st.integers(0, 1_500)) for window in ("day", "week")}
    return make_limits(
        exposure={**caps, **pools, **turnover, "min_reserve_share": draw(shares)},
        budgets={**budget, **losses},
        slippage=slippage,
    )


@settings(max_examples=80, deadline=None)
@given(batches(), policies())
def test_the_part_named_passes_and_one_basis_point_more_does_not(moves: tuple[Move, ...], policy: Policy) -> None:
    verdict = check(judge(moves, policy=policy))

    for denial in verdict.denials:
        guard = guard_of(denial, verdict)
        if guard in EXACT_GUARDS and denial.feasible_bps is not None:
            assert passes(denial, guard, judge(moves, denial.feasible_bps, policy=policy))
            assert not passes(denial, guard, judge(moves, denial.feasible_bps + 1, policy=policy))


@settings(max_examples=60, deadline=None)
@given(batches(), policies())
def test_where_a_straight_limit_names_no_part_the_smallest_fails_too(moves: tuple[Move, ...], policy: Policy) -> None:
    verdict = check(judge(moves, policy=policy))

    for denial in verdict.denials:
        guard = guard_of(denial, verdict)
        if guard in EXACT_GUARDS and denial.feasible_bps is None:
            assert not passes(denial, guard, judge(moves, 1, policy=policy))


def measured(portfolio: Portfolio) -> RiskReport:
    losses = stress_losses(portfolio, make_snapshot(), CATALOG, utilization_days=7)
    return make_report(stress=losses)


def judge_measured(moves: Sequence[Move], bps: int = BPS_PER_ONE, **parts: object) -> Evidence:
    """With the stress that the tools measure on either book, and what a part of the batch would earn."""
    evidence = judge(moves, bps, **parts)
    economics = Economics(
        lower_gain_usd=120.0 * bps / BPS_PER_ONE, cost_usd=20.0, break_even_days=5.0 * BPS_PER_ONE / bps
    )
    return evidence.model_copy(
        update={
            "risk_before": measured(evidence.before),
            "risk_after": report_on(evidence.after, measured(evidence.after), evidence.snapshot, evidence.catalog),
            "economics": economics,
        }
    )


@st.composite
def stress_policies(draw: st.DrawFn) -> Policy:
    largest = {StressFamily.DEPEG_3: 30, StressFamily.GAS: 1, StressFamily.REWARD: 3, StressFamily.BAD_DEBT: 20}
    limits = {
        f"max_{family}_loss_share": Decimal(draw(st.integers(0, 10 * largest.get(family, 40)))) / 10_000
        for family in draw(st.sets(st.sampled_from(StressFamily), min_size=1))
    }
    return make_limits(stress=limits)


@settings(max_examples=80, deadline=None)
@given(batches(), stress_policies())
def test_the_chord_of_a_stress_loss_is_safe(moves: tuple[Move, ...], policy: Policy) -> None:
    verdict = check(judge_measured(moves, policy=policy))

    for denial in verdict.denials:
        if denial.code == "stress_loss" and denial.feasible_bps is not None:
            assert passes(denial, "risk", judge_measured(moves, denial.feasible_bps, policy=policy))


@settings(max_examples=100, deadline=None)
@given(batches(), st.one_of(policies(), stress_policies()))
def test_the_value_named_for_the_whole_verdict_passes_every_limit(moves: tuple[Move, ...], policy: Policy) -> None:
    verdict = check(judge_measured(moves, policy=policy))

    if verdict.feasible_usd is not None:
        part = int(verdict.feasible_usd * BPS_PER_ONE / moved_usd(Case(judge(moves))))
        assert check(judge_measured(moves, part, policy=policy)).denials == ()
