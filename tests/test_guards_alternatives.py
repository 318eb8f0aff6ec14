"""Hand-calculated parts of denied batches, and denials that have none."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.render import print_verdict
from domain.portfolio import Position
from domain.risk import StressLoss
from domain.stress import StressFamily
from domain.verdict import Economics, Evidence
from guards import check
from guards.render import alternative_rows, verdict_sentence
from tests.builders import make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    deposit,
    make_budget,
    make_limits,
    make_report,
    make_stress,
    supply,
    swap,
    withdraw,
)
from tests.test_alternatives import judge, judge_measured


def bps_by_code(evidence: Evidence) -> dict[str, int | None]:
    return {denial.code: denial.feasible_bps for denial in check(evidence).denials}


# The batch supplies 50,000 USDC to Aave; of the book's 1,200,000 dollars 100,000 are there in USDX.
EXAMPLES = [
    ("budgets", "max_transaction_value_usd", 37_500, "transaction_value", 7_500),
    ("budgets", "max_day_value_usd", 12_345, "day_value", 2_469),
    ("budgets", "max_week_value_usd", 49_999, "week_value", 9_999),
    ("exposure", "max_run_turnover_share", "0.025", "run_turnover", 6_000),
    ("exposure", "max_protocol_share", "0.1", "protocol_share", 4_000),
    ("exposure", "max_oracle_share", "0.085", "oracle_share", 400),
    ("exposure", "min_reserve_share", "0.65", "reserve_share", 4_000),
]


@pytest.mark.parametrize(("section", "key", "limit", "code", "bps"), EXAMPLES, ids=str)
def test_hand_calculated_parts(section: str, key: str, limit: object, code: str, bps: int) -> None:
    found = bps_by_code(judge([supply(50_000)], policy=make_limits(**{section: {key: limit}})))

    assert found == {code: bps}


@pytest.mark.parametrize(
    ("used", "bps"), [(1_460_000, 8_000), (1_499_995, 1), (1_499_996, None), (1_500_000, None), (1_600_000, None)]
)
def test_a_window_has_room_for_the_part_that_is_left(used: int, bps: int | None) -> None:
    evidence = judge([supply(50_000)], budget=make_budget(value_day_usd=used))

    assert bps_by_code(evidence) == {"day_value": bps}


def test_a_book_that_is_above_its_cap_before_has_no_part_that_passes() -> None:
    policy = make_limits(exposure={"max_collateral_share": Decimal("0.08")})

    verdict = check(judge([supply(50_000)], policy=policy))

    assert {denial.feasible_bps for denial in verdict.denials} == {None}
    assert verdict.feasible_usd is None


def test_the_value_named_is_of_the_smallest_part() -> None:
    policy = make_limits(budgets={"max_day_value_usd": 30_000, "max_week_value_usd": 20_000})

    verdict = check(judge([supply(50_000)], policy=policy))

    assert [denial.feasible_bps for denial in verdict.denials] == [6_000, 4_000]
    assert verdict.feasible_usd == 20_000


def test_a_denial_without_a_line_leaves_the_verdict_without_an_alternative() -> None:
    verdict = check(judge([supply(50_000)], policy=make_limits(budgets={"max_day_value_usd": 30_000}), scores=()))

    assert {denial.code: denial.feasible_bps for denial in verdict.denials} == {
        "protocol_score": None,
        "open_incident": None,
        "day_value": 6_000,
    }
    assert verdict.feasible_usd is None


@pytest.mark.parametrize(("share", "expected"), [("0.05", 56_000), ("0.0499", None)])
def test_a_part_of_a_way_out_of_an_excess_may_still_exceed(share: str, expected: int | None) -> None:
    # All of a twelfth leaves Aave USDX; four tenths of that leave 60,000 of 1,200,000 dollars there.
    moves = [withdraw("aave-usdx", "usdx", 100_000 * DAI), supply(40_000)]
    policy = make_limits(exposure={"max_strategy_share": share}, budgets={"max_day_value_usd": 56_000})

    verdict = check(judge(moves, policy=policy))

    assert [(denial.code, denial.feasible_bps) for denial in verdict.denials] == [("day_value", 4_000)]
    assert verdict.feasible_usd == expected


@pytest.mark.parametrize(("window", "bps"), [("day", 7_500), ("week", 2_500)])
def test_slippage_adds_up_over_its_window(window: str, bps: int) -> None:
    # 50,000 USDC for at least 49,800 DAI may lose 200 dollars, and 50 were lost before.
    limit = 50 + 200 * bps // 10_000
    policy = make_limits(slippage={f"max_{window}_slippage_usd": limit})
    used = make_budget(**{f"slippage_{window}_usd": 50})

    verdict = check(judge([swap("usdc", "dai", 50_000 * USDC, 49_800 * DAI)], policy=policy, budget=used))

    assert [(denial.code, denial.feasible_bps) for denial in verdict.denials] == [(f"{window}_slippage", bps)]
    assert verdict.feasible_usd == 5 * bps


@pytest.mark.parametrize(("window", "bps"), [("day", 8_000), ("week", 3_000)])
def test_losses_add_up_over_their_window(window: str, bps: int) -> None:
    # The pool takes 6 basis points of 50,000 dollars, and 40 dollars were lost before.
    policy = make_limits(budgets={f"max_{window}_loss_usd": 40 + 30 * bps // 10_000})
    used = make_budget(**{f"loss_{window}_usd": 40})

    found = bps_by_code(judge([swap("usdc", "dai", 50_000 * USDC, 49_800 * DAI)], policy=policy, budget=used))

    assert found == {f"{window}_loss": bps}


def test_the_day_s_turnover_has_room_for_a_part() -> None:
    # 1,200,000 dollars may turn over once a day: 960,000, of which 950,000 are used.
    found = bps_by_code(judge([supply(50_000)], budget=make_budget(turnover_day_usd=950_000)))

    assert found == {"day_turnover": 2_000}


@pytest.mark.parametrize(
    ("kind", "share", "bps"),
    [("supplied", "0.0049", 9_848), ("supplied", "0.002", 4_008), ("withdrawable", "0.01", 6_000)],
)
def test_a_pool_is_filled_up_to_its_share(kind: str, share: str, bps: int) -> None:
    # A part p of 100,000 USDC joins 20,000,000, of which 6,000,000 could leave: 100,000 p of 20,000,000 + 100,000 p.
    policy = make_limits(exposure={f"max_pool_{kind}_share": share})

    found = bps_by_code(judge([supply(100_000)], policy=policy))

    assert found == {f"pool_{kind}_share": bps}


def test_a_book_that_cannot_be_read_leaves_every_denial_without_a_part() -> None:
    evidence = judge([supply(50_000)], policy=make_limits(budgets={"max_day_value_usd": 30_000}))
    unlisted = evidence.after.model_copy(update={"positions": (Position(strategy="unlisted", shares=1, amount=1),)})

    verdict = check(evidence.model_copy(update={"after": unlisted}))

    assert {denial.code for denial in verdict.denials} == {"evidence_invalid"}
    assert {denial.feasible_bps for denial in verdict.denials} == {None}
    assert verdict.feasible_usd is None


@pytest.mark.parametrize(("gain", "expected"), [(41.7, 30_000), (41.6, None)])
def test_a_part_must_still_earn_what_it_costs(gain: float, expected: int | None) -> None:
    # Three fifths of the gain, less 20 dollars of gas, are at least 5 from a gain of 41.67 on.
    economics = Economics(lower_gain_usd=gain, cost_usd=20.0, break_even_days=5.0)
    policy = make_limits(budgets={"max_day_value_usd": 30_000})

    assert check(judge([supply(50_000)], policy=policy, economics=economics)).feasible_usd == expected


@pytest.mark.parametrize(
    "parts",
    [
        {"risk_before": None},
        {"risk_before": make_report(stress=make_stress()[1:])},
        {"risk_before": make_report(stress=make_stress(exploit=1.0))},
        {"economics": None},
    ],
)
def test_what_is_unknown_about_the_way_leaves_no_alternative(parts: dict[str, object]) -> None:
    policy = make_limits(budgets={"max_day_value_usd": 30_000})

    assert check(judge([supply(50_000)], policy=policy, **parts)).feasible_usd is None


def test_a_loss_of_everything_was_cut_and_has_no_chord() -> None:
    losses = tuple(StressLoss(family=hit.family, subject=hit.subject, loss=1.0) for hit in make_stress())

    found = bps_by_code(judge([supply(50_000)], risk_after=make_report(stress=losses)))

    assert found == {"stress_loss": None}


def test_a_scenario_that_starts_with_the_batch_grows_from_nothing() -> None:
    # A sixth of the book goes into a vault that nothing was in; 100,000 in Aave are a twelfth and stay below.
    policy = make_limits(stress={"max_exploit_loss_share": "0.1334"}, exposure={"max_factor_share": "unlimited"})

    found = check(judge_measured([deposit(200_000 * DAI)], policy=policy)).denials

    assert [(denial.subject, denial.feasible_bps) for denial in found] == [("exploit limited-vault", 8_004)]


NOTHING_PRICED = make_snapshot(prices=())
NO_WETH = make_snapshot(prices=tuple(price for price in make_snapshot().prices if price.token != "weth"))
UNKNOWN = [
    {"snapshot": NOTHING_PRICED},
    {"snapshot": make_snapshot(rates=())},
    {"economics": Economics(lower_gain_usd=None, cost_usd=1.0, break_even_days=None)},
    {
        "risk_before": None,
        "policy": make_limits(stress={"max_exploit_loss_share": Decimal("0.01")}),
    },
]


@pytest.mark.parametrize("parts", UNKNOWN)
def test_what_is_unknown_has_no_line(parts: dict[str, object]) -> None:
    assert set(bps_by_code(judge([supply(50_000)], **parts)).values()) == {None}


def test_a_sale_without_a_price_has_no_line() -> None:
    # Bought and sold in one batch: nothing of it is held on either side, so that the books themselves have a value.
    venue = "usdc-weth-500"
    there_and_back = [
        swap("usdc", "weth", 10_000 * USDC, 1, venue=venue),
        swap("weth", "usdc", 9_994 * DAI, 1, venue=venue),
    ]

    found = bps_by_code(judge(there_and_back, snapshot=NO_WETH))

    assert {found["run_turnover"], found["day_slippage"]} == {None}


def test_what_is_unlimited_binds_no_part() -> None:
    policy = make_limits(
        budgets={"max_day_value_usd": 30_000, "max_week_value_usd": "unlimited"},
        economics={"max_break_even_days": "unlimited"},
        stress={f"max_{family}_loss_share": "unlimited" for family in StressFamily},
    )

    assert check(judge([supply(50_000)], policy=policy)).feasible_usd == 30_000


def test_a_passing_verdict_names_no_part() -> None:
    verdict = check(judge([supply(50_000)]))

    assert (verdict.is_pass, verdict.feasible_usd) == (True, None)


def test_the_sentence_ends_with_the_largest_part_within_every_limit() -> None:
    policy = make_limits(budgets={"max_day_value_usd": 30_001, "max_week_value_usd": "unlimited"})

    verdict = check(judge([supply(50_000)], policy=policy))

    assert verdict_sentence(verdict) == (
        "Denied: day_value (24 hours: 50000 usd, limit 30001)."
        " The largest part within every limit: 60 % of this batch, 30,000 USD."
    )


def test_no_alternative_is_no_word() -> None:
    verdict = check(judge([supply(50_000)], budget=make_budget(value_day_usd=1_500_000)))

    assert verdict_sentence(verdict).endswith("limit 1500000).")
    assert alternative_rows(verdict) == []


def test_each_denial_with_a_part_is_printed_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    policy = make_limits(budgets={"max_day_value_usd": 12_345})
    verdict = check(judge([supply(50_000)], policy=policy, scores=()))

    print_verdict(verdict)

    assert alternative_rows(verdict) == [("day_value", "24 hours", "24.69 %")]
    assert "day_value (24 hours) would have passed 24.69 % of this batch" in capsys.readouterr().out
