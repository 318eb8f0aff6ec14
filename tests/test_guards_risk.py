"""Risk limits hold for the upper end of an interval, and every scenario of the stress set stands in the report."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from domain.risk import StressLoss
from domain.stress import BOOK, CRASH, StressFamily, scenario_name, scenario_set
from domain.verdict import Finding
from tests.builders import make_catalog, make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    make_estimate,
    make_evidence,
    make_limits,
    make_report,
    make_stress,
    make_tail,
    rows_of,
    supply,
    swap,
)

DATA_CODES = {"sample_too_small", "interval_confidence"}


def judge(**parts: object) -> tuple[Finding, ...]:
    return rows_of("risk", make_evidence([supply(50_000)], **parts))


def denied(**parts: object) -> set[str]:
    return codes(judge(**parts))


# code, section, key, the upper end of the sample report's estimate, one unit stricter
AT_LIMIT = [
    ("var_95", "risk", "max_var_95_share", "0.0048", "0.004799999"),
    ("var_99", "risk", "max_var_99_share", "0.0096", "0.009599999"),
    ("cvar_95", "risk", "max_cvar_95_share", "0.0072", "0.007199999"),
    ("cvar_99", "risk", "max_cvar_99_share", "0.0132", "0.013199998"),
    ("volatility", "risk", "max_volatility_share", "0.06", "0.059999999"),
    ("drawdown", "risk", "max_drawdown_share", "0.036", "0.035999999"),
    ("sample_too_small", "risk", "min_sample_days_count", 90, 91),
    ("interval_confidence", "risk", "min_interval_confidence_share", "0.9", "0.900000001"),
]


@pytest.mark.parametrize(("code", "section", "key", "limit", "stricter"), AT_LIMIT, ids=str)
def test_at_the_limit_passes_and_one_unit_over_denies(
    code: str, section: str, key: str, limit: str | int, stricter: str | int
) -> None:
    at_limit = denied(policy=make_limits(**{section: {key: as_limit(limit)}}))
    over = denied(policy=make_limits(**{section: {key: as_limit(stricter)}}))

    assert (at_limit, over) == (set(), {code})


def as_limit(value: str | int) -> Decimal | int:
    return Decimal(value) if isinstance(value, str) else value


@pytest.mark.parametrize("family", list(StressFamily))
def test_each_stress_family_has_its_own_limit(family: StressFamily) -> None:
    key = f"max_{family}_loss_share"
    report = make_report(stress=make_stress(**{family.value: 0.02}))

    at_limit = denied(risk_after=report, policy=make_limits(stress={key: Decimal("0.02")}))
    rows = judge(risk_after=report, policy=make_limits(stress={key: Decimal("0.019999999")}))

    over = [row for row in rows if not row.passed]
    assert at_limit == set()
    assert {row.code for row in over} == {"stress_loss"}
    assert all(row.subject.startswith(family) for row in over)


@pytest.mark.parametrize("key", ["max_var_95_share", "max_volatility_share"])
def test_unlimited_lets_any_known_value_pass(key: str) -> None:
    report = make_report(
        tails=(make_tail(0.95, 0.8, 0.8), make_tail(0.99, 0.8, 0.8)),
        volatility=make_estimate(9.0),
    )
    code = key.removeprefix("max_").removesuffix("_share")

    assert code in denied(risk_after=report)
    assert code not in denied(risk_after=report, policy=make_limits(risk={key: "unlimited"}))


def test_unlimited_stress_still_wants_the_scenario_measured() -> None:
    policy = make_limits(stress={"max_reward_loss_share": "unlimited"})
    unmeasured = tuple(hit for hit in make_stress() if hit.family is not StressFamily.REWARD)

    assert denied(policy=policy, risk_after=make_report(stress=make_stress(reward=0.9))) == set()
    assert denied(policy=policy, risk_after=make_report(stress=unmeasured)) == {"stress_loss"}


def test_no_risk_report_denies() -> None:
    assert denied(risk_after=None) == {"risk_missing"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tails": ()}, {"var_95", "var_99", "cvar_95", "cvar_99", *DATA_CODES}),
        ({"volatility": None}, {"volatility", *DATA_CODES}),
        ({"max_drawdown": None}, {"drawdown", *DATA_CODES}),
        ({"stress": ()}, {"stress_loss"}),
    ],
)
def test_a_risk_that_nobody_measured_denies(changes: dict[str, object], expected: set[str]) -> None:
    assert denied(risk_after=make_report(**changes)) == expected


def test_a_tail_over_another_horizon_is_unknown() -> None:
    tails = (make_tail(0.95, 0.0, 0.0, horizon_days=10), make_tail(0.99, 0.0, 0.0))

    assert denied(risk_after=make_report(tails=tails)) == {"var_95", "cvar_95", *DATA_CODES}


def test_a_portfolio_that_only_rose_has_no_loss_and_passes() -> None:
    tails = (make_tail(0.95, 0.0, 0.0), make_tail(0.99, 0.0, 0.0))

    assert denied(risk_after=make_report(tails=tails)) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upper": 0.15}, set()),
        ({"upper": 0.150001}, {"drawdown"}),
        ({"upper": 0.029}, {"interval_confidence"}),
        ({"lower": 0.031}, {"interval_confidence"}),
        ({"lower": 0.03, "upper": 0.03}, set()),
        ({"confidence": 0.899}, {"interval_confidence"}),
    ],
)
def test_an_interval_must_contain_its_value_and_is_judged_at_its_upper_end(
    changes: dict[str, float], expected: set[str]
) -> None:
    drawdown = make_estimate(0.03).model_copy(update=changes)

    assert denied(risk_after=make_report(max_drawdown=drawdown)) == expected


STABLES_AND_ETHER = make_portfolio(positions={"aave-usdc": 1, "aave-usdx": 1, "aave-weth": 1})


def test_every_scenario_of_the_simulated_book_has_a_row() -> None:
    rows = judge()

    expected = scenario_set(STABLES_AND_ETHER, make_catalog())
    assert len([row for row in rows if row.code == "stress_loss"]) == len(expected) == 19
    assert {"depeg_12 dai", "exploit aave-v3", "utilization", f"combined {CRASH}"} <= {row.subject for row in rows}


@pytest.mark.parametrize("missing", sorted(scenario_set(make_portfolio(), make_catalog())))
def test_a_scenario_that_was_not_measured_is_unknown(missing: tuple[StressFamily, str]) -> None:
    others = tuple(hit for hit in make_stress() if (hit.family, hit.subject) != missing)

    (row,) = (row for row in judge(risk_after=make_report(stress=others)) if not row.passed)

    assert (row.code, row.observed) == ("stress_loss", "unknown")


def test_a_stable_token_that_the_batch_brings_in_must_be_measured_too() -> None:
    only_usdc = make_portfolio(cash={"usdc": 1_000_000 * USDC}, positions={})
    report = make_report(stress=make_stress(only_usdc))
    buy = [swap("usdc", "dai", 1_000 * USDC, 999 * DAI)]

    rows = rows_of("risk", make_evidence(buy, before=only_usdc, risk_after=report))

    assert {row.subject for row in rows if not row.passed} == {"depeg_3 dai", "depeg_12 dai", "depeg_50 dai"}


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_scenario_measured_twice_the_larger_loss_counts(order: int) -> None:
    twice = [StressLoss(family=StressFamily.GAS, subject=BOOK, loss=loss) for loss in (0.001, 0.011)][::order]
    others = [hit for hit in make_stress() if hit.family is not StressFamily.GAS]

    (row,) = (row for row in judge(risk_after=make_report(stress=(*others, *twice))) if not row.passed)

    assert (row.subject, row.observed) == ("gas", "0.011")


@pytest.mark.parametrize("losses", [(math.nan, 0.001), (0.001, math.nan), (math.nan,)])
def test_a_loss_that_is_no_number_makes_its_scenario_unknown(losses: tuple[float, ...]) -> None:
    """The guard by itself; the evidence as a whole would not even be read."""
    gas = [StressLoss.model_construct(family=StressFamily.GAS, subject=BOOK, loss=loss) for loss in losses]
    others = [hit for hit in make_stress() if hit.family is not StressFamily.GAS]
    report = make_report().model_copy(update={"stress": (*others, *gas)})

    (row,) = (row for row in judge(risk_after=report) if not row.passed)

    assert (row.subject, row.observed) == ("gas", "unknown")


def test_rows_name_what_they_measure_and_stand_in_order() -> None:
    rows = judge()

    measures = ["var_95", "cvar_95", "var_99", "cvar_99", "volatility", "drawdown"]
    assert [row.code for row in rows if row.unit == "of value"][: len(measures)] == measures
    assert {(row.subject, row.unit) for row in rows if row.code in measures} == {("simulated book", "of value")}
    assert {row.unit for row in rows if row.code == "sample_too_small"} == {"observations"}
    assert {row.unit for row in rows if row.code == "interval_confidence"} == {"coverage"}
    scenarios = [row.subject for row in rows if row.code == "stress_loss"]
    assert scenarios == [scenario_name(*key) for key in sorted(scenario_set(STABLES_AND_ETHER, make_catalog()))]
    assert {row.unit for row in rows if row.code == "stress_loss"} == {"of value"}


def test_a_missing_report_is_told_in_words() -> None:
    (row,) = judge(risk_after=None)

    assert (row.subject, row.limit, row.observed) == ("simulated book", "a report on it", "none")


# The simulated book is worth 970,000 USD: a millionth of it is 0.97.
@pytest.mark.parametrize(
    ("changes", "observed"),
    [
        ({"net_asset_value_usd": 970_000.97}, None),
        ({"net_asset_value_usd": 969_999.03}, None),
        ({"net_asset_value_usd": 970_000.98}, "a report on 970000.98 USD"),
        ({"net_asset_value_usd": 969_999.02}, "a report on 969999.02 USD"),
        ({"net_asset_value_usd": 1.0}, "a report on 1 USD"),
        ({"net_asset_value_usd": None}, "a value that is unknown"),
        ({"subject": "current"}, "a report on current"),
    ],
)
def test_the_report_is_about_the_simulated_book(changes: dict[str, object], observed: str | None) -> None:
    rows = [row for row in judge(risk_after=make_report(**changes)) if row.code == "risk_missing"]

    expected = [] if observed is None else [("simulated book", "a report on it", observed, False)]
    assert [(row.subject, row.limit, row.observed, row.passed) for row in rows] == expected


def test_of_a_book_without_a_value_there_is_no_report() -> None:
    snapshot = make_snapshot(prices=tuple(p for p in make_snapshot().prices if p.token != "dai"))
    report = make_report(net_asset_value_usd=969_999.0)

    (row,) = (r for r in judge(snapshot=snapshot, risk_after=report) if r.code == "risk_missing")

    assert row.observed == "a value that is unknown"


def test_a_report_on_another_book_is_shown_with_what_it_says() -> None:
    assert {row.code for row in judge(risk_after=make_report("current"))} >= {"risk_missing", "var_95", "stress_loss"}


@pytest.mark.parametrize(("cvar", "expected"), [(0.004, set()), (0.0039, {"var_95", "cvar_95", *DATA_CODES})])
def test_a_tail_whose_mean_is_below_its_quantile_is_unknown(cvar: float, expected: set[str]) -> None:
    tails = (make_tail(0.95, 0.004, cvar), make_tail(0.99, 0.008, 0.011))

    assert denied(risk_after=make_report(tails=tails)) == expected


def test_a_scenario_that_does_not_apply_is_judged_when_it_is_reported() -> None:
    foreign = StressLoss(family=StressFamily.EXPLOIT, subject="limited-vault", loss=0.46)

    (row,) = (r for r in judge(risk_after=make_report(stress=(*make_stress(), foreign))) if not r.passed)

    assert row.subject == "exploit limited-vault"
