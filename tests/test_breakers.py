"""Breakers: at the limit nothing trips, one unit over does, and what cannot be read trips hardest."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breakers import BreakerReadings, Streak, Valuation, tightest
from domain.run import RunStatus
from domain.verdict import Finding, TradingState, Verdict
from guards.breakers import judge_breakers, read_streak
from tests.builders_evidence import make_budget, make_limits
from tests.test_runs import make_record

POLICY = make_limits()
ACTIVE, REDUCING, HALTED = TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED
CALM = Streak(failed_runs_count=0, blind_runs_count=0, guard_faults=())
MILLION = Decimal(1_000_000)


def make_valuation(value: str = "1000000", *, day: str = "0", week: str = "0", peak: str = "0") -> Valuation:
    """A height below the value is the value itself, as in the ledger."""
    now = Decimal(value)
    heights = [max(now, Decimal(height)) for height in (day, week, peak)]
    return Valuation(
        net_asset_value_usd=now,
        day_high_usd=heights[0],
        week_high_usd=heights[1],
        peak_usd=heights[2],
        protocols=("aave-v3",),
    )


def make_readings(**changes: object) -> BreakerReadings:
    calm = {"valuation": make_valuation(), "budget": make_budget(), "streak": CALM, "incidents": ()}
    return BreakerReadings.model_validate({**calm, "ledger_problem": None, **changes})


def trips(policy=POLICY, **changes: object) -> list[tuple[str, TradingState]]:
    return [(trip.code, trip.state) for trip in judge_breakers(make_readings(**changes), policy)]


def test_calm_readings_trip_nothing():
    assert trips() == []


@pytest.mark.parametrize(
    ("code", "state", "at_limit", "over"),
    [
        ("day_drawdown", REDUCING, make_valuation("970000", day="1000000"), make_valuation("969999.99", day="1000000")),
        ("week_drawdown", REDUCING, make_valuation("950000", week="1000000"), make_valuation("949999", week="1000000")),
        ("peak_drawdown", HALTED, make_valuation("900000", peak="1000000"), make_valuation("899999", peak="1000000")),
    ],
)
def test_a_fall_of_value_trips_beyond_its_share(code, state, at_limit, over):
    assert trips(valuation=at_limit) == []
    assert trips(valuation=over) == [(code, state)]


def test_a_fall_of_one_base_unit_beyond_the_share_trips():
    over = make_valuation("969999.999999999999999999", day="1000000")

    assert trips(valuation=over) == [("day_drawdown", REDUCING)]


def test_everything_lost_trips_every_height():
    lost = make_valuation("0", day="1000000", week="1000000", peak="1000000")

    assert trips(valuation=lost) == [("day_drawdown", REDUCING), ("week_drawdown", REDUCING), ("peak_drawdown", HALTED)]


@pytest.mark.parametrize("value", ["0", "1000000"])
def test_a_rise_and_an_empty_account_are_no_fall(value):
    assert trips(valuation=make_valuation(value)) == []


@pytest.mark.parametrize(
    ("code", "window", "limit"), [("day_loss", "loss_day_usd", "5000"), ("week_loss", "loss_week_usd", "10000")]
)
def test_a_loss_budget_trips_when_more_than_all_of_it_is_used(code, window, limit):
    assert trips(budget=make_budget(**{window: limit})) == []
    assert trips(budget=make_budget(**{window: f"{limit}.000001"})) == [(code, REDUCING)]


@pytest.mark.parametrize(
    ("code", "count", "limit"), [("failed_runs", "failed_runs_count", 3), ("blind_runs", "blind_runs_count", 5)]
)
def test_runs_in_a_row_trip_beyond_their_count(code, count, limit):
    assert trips(streak=CALM.model_copy(update={count: limit})) == []
    assert trips(streak=CALM.model_copy(update={count: limit + 1})) == [(code, REDUCING)]


def test_a_guard_that_failed_inside_halts():
    assert trips(streak=FAULTY) == [("guard_fault", HALTED)]


def test_an_open_incident_of_a_held_protocol_reduces():
    assert trips(incidents=("aave-v3", "limited-vault")) == [("open_incident", REDUCING)] * 2


def test_a_corrupt_ledger_halts():
    assert trips(budget=make_budget(is_intact=False), ledger_problem="x" * 500) == [("ledger_corrupt", HALTED)]


FAULTY = CALM.model_copy(update={"guard_faults": ("risk",)})
BROKEN = make_budget(is_intact=False)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"valuation": make_valuation("960000", day="1000000")},
            "day_drawdown of 24 hours: 0.04 of value, limit 0.03",
        ),
        (
            {"valuation": make_valuation("940000", week="1000000")},
            "week_drawdown of 7 days: 0.06 of value, limit 0.05",
        ),
        (
            {"valuation": make_valuation("800000", peak="1000000")},
            "peak_drawdown of last resume: 0.2 of value, limit 0.1",
        ),
        ({"budget": make_budget(loss_day_usd=5001)}, "day_loss of 24 hours: 5001 usd, limit 5000"),
        ({"budget": make_budget(loss_week_usd=10001)}, "week_loss of 7 days: 10001 usd, limit 10000"),
        (
            {"streak": CALM.model_copy(update={"failed_runs_count": 4})},
            "failed_runs of runs in a row: 4 runs, limit 3",
        ),
        ({"streak": FAULTY}, "guard_fault of risk: failed inside, limit a judgement"),
        ({"incidents": ("aave-v3",)}, "open_incident of aave-v3: open, limit none while held"),
        ({"incidents": None}, "reading_missing of incidents: unreadable, limit readable"),
        ({"budget": BROKEN}, "ledger_corrupt of budget ledger: corrupt or unreadable, limit intact"),
        (
            {"budget": BROKEN, "ledger_problem": "entry 3 is missing"},
            "ledger_corrupt of budget ledger: entry 3 is missing, limit intact",
        ),
    ],
)
def test_a_trip_says_what_was_observed_against_which_limit(changes, sentence):
    (trip,) = judge_breakers(make_readings(**changes), POLICY)

    assert trip.sentence() == sentence


@pytest.mark.parametrize("name", ["valuation", "budget", "streak", "incidents"])
def test_a_reading_that_is_missing_halts(name):
    (trip,) = judge_breakers(make_readings(**{name: None}), POLICY)

    assert (trip.code, trip.state, trip.subject) == ("reading_missing", HALTED, name)


@pytest.mark.parametrize("damaged", [Decimal("NaN"), Decimal("Infinity"), Decimal("-0.01"), None, True])
@pytest.mark.parametrize("name", ["net_asset_value_usd", "day_high_usd"])
def test_a_value_that_is_no_amount_halts(name, damaged):
    readings = make_readings(valuation=make_valuation("0"))
    readings = readings.model_copy(update={"valuation": readings.valuation.model_copy(update={name: damaged})})

    assert {trip.state for trip in judge_breakers(readings, POLICY)} == {HALTED}


def test_unlimited_trips_nothing_but_the_unknown():
    policy = make_limits(breakers=dict.fromkeys(("max_day_drawdown_share", "max_peak_drawdown_share"), "unlimited"))
    lost = make_valuation("1", day="1000000", peak="1000000")
    unknown = lost.model_copy(update={"day_high_usd": None})

    assert trips(policy, valuation=lost) == []
    assert [t.state for t in judge_breakers(make_readings().model_copy(update={"valuation": unknown}), policy)] == [
        HALTED
    ]


amounts = st.decimals(min_value=0, max_value=10**12, places=6)
shares = st.decimals(min_value=0, max_value=1, places=6)


@given(value=amounts, high=amounts, share=shares, tighter=shares)
def test_a_tighter_limit_never_trips_less(value, high, share, tighter):
    loose, tight = max(share, tighter), min(share, tighter)
    valuation = make_valuation(str(value), day=str(high))

    under_loose = trips(make_limits(breakers={"max_day_drawdown_share": loose}), valuation=valuation)
    under_tight = trips(make_limits(breakers={"max_day_drawdown_share": tight}), valuation=valuation)

    assert set(under_loose) <= set(under_tight)


@given(value=amounts, high=amounts, share=shares)
def test_a_fall_trips_exactly_when_fractions_say_so(value, high, share):
    policy = make_limits(breakers={"max_day_drawdown_share": share})

    tripped = ("day_drawdown", REDUCING) in trips(policy, valuation=make_valuation(str(value), day=str(high)))

    assert tripped == (max(high - value, Decimal(0)) > share * max(high, value))


@pytest.mark.parametrize(
    ("states", "expected"),
    [((), ACTIVE), ((ACTIVE, REDUCING), REDUCING), ((HALTED, REDUCING), HALTED), ((ACTIVE,), ACTIVE)],
)
def test_the_tightest_state_wins(states, expected):
    assert tightest(states) is expected


def make_finding(code: str, **changes: object) -> Finding:
    fields = {"guard": "freshness", "code": code, "subject": "dai", "limit": "1", "observed": "2", "unit": "seconds"}
    return Finding.model_validate({**fields, "passed": False, **changes})


def make_run(status: RunStatus, *findings: Finding, error: str | None = None):
    digest = "0" * 64
    verdict = Verdict(
        batch_digest=digest,
        policy_digest=digest,
        is_exit=False,
        findings=findings,
        denials=(),
        needs_approval=False,
    )
    return make_record(status=status, verdict=verdict if findings else None, error=error)


UNUSABLE = (
    "price_missing", "price_stale", "price_sources_too_few", "price_disputed",
    "rate_stale", "snapshot_old", "block_lag", "sequencer_down", "block_mismatch",
)  # fmt: skip
FAILED = make_run(RunStatus.FAILED, error="execution_failed")
BLIND = make_run(RunStatus.HELD, error="chain_unavailable")
FINE = make_run(RunStatus.EXECUTED)


@pytest.mark.parametrize(
    ("records", "failed", "blind"),
    [
        ((), 0, 0),
        ((FINE, FAILED, FAILED), 0, 0),
        ((FAILED, FAILED, FINE, FAILED), 2, 0),
        ((BLIND, BLIND, BLIND), 0, 3),
        ((BLIND, FAILED, BLIND), 0, 1),
        ((BLIND, make_run(RunStatus.FAILED, make_finding("price_stale")), BLIND), 0, 1),
    ],
)
def test_a_streak_is_what_the_newest_runs_have_in_common(records, failed, blind):
    streak = read_streak(records)

    assert (streak.failed_runs_count, streak.blind_runs_count) == (failed, blind)


@pytest.mark.parametrize(
    ("record", "blind"),
    [
        (make_run(RunStatus.HELD, error="stale_or_disputed"), 1),
        *((make_run(RunStatus.DENIED, make_finding(code)), 1) for code in UNUSABLE),
        (make_run(RunStatus.EXECUTED, make_finding("price_stale", passed=True, waived=True)), 1),
        (make_run(RunStatus.EXECUTED, make_finding("price_stale", passed=True)), 0),
        (make_run(RunStatus.DENIED, make_finding("stable_deviation")), 0),
        (make_run(RunStatus.HELD, error="infeasible"), 0),
    ],
)
def test_a_run_is_blind_when_its_data_were_unusable(record, blind):
    assert read_streak([record]).blind_runs_count == blind


def test_only_the_newest_run_tells_of_failing_guards_also_where_an_exit_waived_the_fault():
    fault = make_finding("guard_fault", guard="risk", passed=True, waived=True)
    faulty = make_run(RunStatus.EXECUTED, make_finding("price_stale"), fault)

    assert read_streak([faulty, FINE]).guard_faults == ("risk",)
    assert read_streak([FINE, faulty]).guard_faults == ()


def test_records_are_read_no_further_than_the_streak_goes():
    read = []

    def records():
        for record in (FAILED, FINE, FAILED):
            read.append(record)
            yield record

    assert read_streak(records()).failed_runs_count == 1
    assert len(read) == 2
