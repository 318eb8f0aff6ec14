"""Protocol scores: every factor by hand at its edges, bounds that hold, reasons that add up, unknown that stays so."""

from __future__ import annotations

import datetime
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StaleOrDisputed
from domain.risk_facts import (
    AdminPower,
    Factor,
    FactorGroup,
    FactorWeight,
    OracleKind,
    PastIncident,
    ProtocolFact,
    RiskFacts,
)
from tools.markets.protocol_assessment import ProtocolAssessment, assess_protocols
from tools.markets.protocol_factors import ProtocolReadings, score_factors

DAY = datetime.date(2026, 3, 1)
FACT = ProtocolFact(
    id="aave-v3",
    source="tests",
    launched=DAY - datetime.timedelta(days=1095),
    audits_count=4,
    admin=AdminPower.NONE,
    oracle=OracleKind.NOT_NEEDED,
    incidents=(),
)
CALM = ProtocolReadings(
    protocol="aave-v3",
    day=DAY,
    is_stopped=False,
    peg_deviation=0.0,
    share_price_fall=0.0,
    deposits_usd=np.full(30, 2e9),
    withdrawable_share=0.3,
    utilization=0.7,
    kink=0.8,
)


def points(factor: Factor, readings: ProtocolReadings = CALM, **facts: object) -> float | None:
    return score_factors(readings, FACT.model_copy(update=facts))[factor].points


def assess(readings: ProtocolReadings = CALM, facts: RiskFacts | None = None) -> ProtocolAssessment:
    (found,) = assess_protocols([readings], facts or RiskFacts(protocols=(FACT,)))
    return found


def test_nothing_wrong_scores_a_hundred_in_every_part() -> None:
    found = assess()

    assert found.composite.score == found.composite.lower == found.composite.upper == 100.0
    assert {part.score for part in found.parts.values()} == {100.0}


@pytest.mark.parametrize(("days", "expected"), [(0, 0.0), (365, 33.333), (1095, 100.0), (3000, 100.0)])
def test_age_earns_points_for_three_years(days: int, expected: float) -> None:
    launched = DAY - datetime.timedelta(days=days)

    assert points(Factor.AGE, launched=launched) == pytest.approx(expected, abs=1e-3)


def test_half_of_a_loss_is_forgiven_after_two_years() -> None:
    lost = PastIncident(date=DAY - datetime.timedelta(days=730), lost_share=0.4)

    assert points(Factor.INCIDENTS, incidents=(lost,)) == pytest.approx(80.0)
    assert points(Factor.INCIDENTS, incidents=(lost, lost)) == pytest.approx(64.0)


def test_incident_of_tomorrow_is_not_known_today() -> None:
    later = PastIncident(date=DAY + datetime.timedelta(days=1), lost_share=1.0)

    assert points(Factor.INCIDENTS, incidents=(later,)) == 100.0


def test_fewer_who_can_change_it_faster_earn_less() -> None:
    earned = [points(Factor.ADMIN, admin=power) for power in AdminPower]

    assert earned == sorted(earned, key=lambda value: -(value or 0.0))
    assert earned[-1] == 0.0


def test_prices_that_one_trade_moves_earn_nothing() -> None:
    assert points(Factor.ORACLE, oracle=OracleKind.SPOT_POOL) == 0.0
    assert points(Factor.ORACLE, oracle=OracleKind.FEED_NETWORK) == 85.0


@pytest.mark.parametrize(
    ("changes", "factor", "expected"),
    [
        ({"peg_deviation": -0.0125}, Factor.PEG, 50.0),
        ({"peg_deviation": 0.02}, Factor.PEG, 0.0),
        ({"share_price_fall": 0.01}, Factor.SHARE_PRICE, 80.0),
        ({"share_price_fall": 0.05}, Factor.SHARE_PRICE, 0.0),
        ({"withdrawable_share": 0.05}, Factor.WITHDRAWABLE, 50.0),
        ({"withdrawable_share": 0.0}, Factor.WITHDRAWABLE, 0.0),
        ({"utilization": 0.9}, Factor.UTILIZATION, 50.0),
        ({"utilization": 1.02}, Factor.UTILIZATION, 0.0),
        ({"is_stopped": True}, Factor.OPERATION, 0.0),
        ({"deposits_usd": np.append(np.full(29, 4e7), 3e7)}, Factor.DEPOSITS_TREND, 50.0),
        ({"deposits_usd": np.array([1e7])}, Factor.SIZE, 100 / 3),
        ({"deposits_usd": np.array([0.0])}, Factor.SIZE, 0.0),
    ],
)
def test_reading_earns_its_points(changes: dict[str, object], factor: Factor, expected: float) -> None:
    assert points(factor, replace(CALM, **changes)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "deposits",
    [np.array([]), np.full(9, 1e7), np.append(np.full(29, 1e7), np.nan), np.append(np.zeros(29), 1e7)],
    ids=["none", "nine days", "unknown today", "from nothing"],
)
def test_trend_of_too_few_deposits_is_unknown(deposits: np.ndarray) -> None:
    assert points(Factor.DEPOSITS_TREND, replace(CALM, deposits_usd=deposits)) is None


def test_what_nobody_knows_widens_the_bounds_and_not_the_score() -> None:
    found = assess(facts=RiskFacts(protocols=(FACT.model_copy(update={"admin": None}),)))

    assert found.composite.score == 100.0
    assert found.composite.lower == pytest.approx(100 * 11 / 12)
    assert found.composite.upper == 100.0
    assert "up to -8.3 admin: nobody stated who can change it" in found.reasons


def test_score_of_which_too_little_is_known_is_not_given() -> None:
    found = assess(ProtocolReadings(protocol="new", day=DAY, is_stopped=False, peg_deviation=0.0))

    assert found.composite.score is None
    assert (found.composite.lower, found.composite.upper) == (pytest.approx(100 / 6), 100.0)
    assert found.parts[FactorGroup.SMART_CONTRACT].score is None


def test_protocol_that_nobody_read_or_knows_has_no_score_at_all() -> None:
    found = assess(ProtocolReadings(protocol="new", day=DAY))

    assert (found.composite.score, found.composite.lower, found.composite.upper) == (None, 0.0, 100.0)
    assert len(found.reasons) == len(Factor)


def test_what_does_not_apply_weighs_nothing() -> None:
    vault = replace(CALM, utilization=None, not_applicable=frozenset({Factor.UTILIZATION}))

    found = assess(vault)

    assert found.composite.known_share == 1.0
    assert not any("utilization" in reason for reason in found.reasons)


def test_weights_of_the_file_are_what_counts() -> None:
    weights = tuple(FactorWeight(factor=f, weight=Decimal(3 if f is Factor.PEG else 1)) for f in Factor)

    found = assess(replace(CALM, peg_deviation=0.05), RiskFacts(protocols=(FACT,), factors=weights))

    assert found.reasons[1] == "-21.4 peg: its worst stable token is +5.00% off its peg"


def test_weights_move_the_mean() -> None:
    weights = tuple(FactorWeight(factor=f, weight=Decimal(3 if f is Factor.UTILIZATION else 1)) for f in Factor)

    found = assess(replace(CALM, utilization=0.9), RiskFacts(protocols=(FACT,), factors=weights))

    assert found.composite.score == pytest.approx((100 * 11 + 50 * 3) / 14)


def test_part_that_weighs_nothing_is_no_part_of_the_whole() -> None:
    ignored = {Factor.WITHDRAWABLE, Factor.UTILIZATION, Factor.SIZE}
    weights = tuple(FactorWeight(factor=f, weight=Decimal(0 if f in ignored else 1)) for f in Factor)

    found = assess(facts=RiskFacts(protocols=(FACT,), factors=weights))

    liquidity = found.parts[FactorGroup.LIQUIDITY]
    assert (liquidity.score, liquidity.lower, liquidity.upper) == (None, 0.0, 100.0)
    assert found.composite.score == 100.0


def test_reasons_say_the_reading_and_what_would_earn_everything() -> None:
    reasons = assess(replace(CALM, withdrawable_share=0.05)).reasons

    assert "-0.0 age: in use for 3.0 years, full points from 3" in reasons
    assert "-4.2 withdrawable: 5.0% of its deposits could be withdrawn now" in reasons


@pytest.mark.parametrize(
    ("changes", "cap"),
    [
        ({"peg_deviation": -0.5}, 40.0),
        ({"peg_deviation": -0.0125}, 70.0),
        ({"share_price_fall": 0.05}, 40.0),
        ({"withdrawable_share": 0.0}, 40.0),
        ({"is_stopped": True}, 40.0),
    ],
)
def test_one_vital_factor_caps_the_whole_and_says_so(changes: dict[str, object], cap: float) -> None:
    found = assess(replace(CALM, **changes))

    assert found.composite.score == found.composite.upper == found.composite.lower == cap
    assert found.reasons[0].startswith(f"at most {cap:.1f} ")


def test_cap_holds_in_its_own_part_only() -> None:
    found = assess(replace(CALM, peg_deviation=-0.5))

    assert found.parts[FactorGroup.MARKET].score == 40.0
    assert found.parts[FactorGroup.LIQUIDITY].score == 100.0


def wrapped(*readings: ProtocolReadings) -> dict[str, ProtocolAssessment]:
    facts = RiskFacts(protocols=tuple(FACT.model_copy(update={"id": reading.protocol}) for reading in readings))
    return {found.protocol: found for found in assess_protocols(readings, facts)}


def test_protocol_that_rests_on_a_weaker_one_scores_no_more_and_says_so() -> None:
    weak = replace(CALM, protocol="base", utilization=1.0)
    middle = replace(CALM, protocol="middle", rests_on=frozenset({"base"}))
    top = replace(CALM, protocol="top", rests_on=frozenset({"middle"}))

    found = wrapped(top, middle, weak)

    assert found["top"].composite == found["middle"].composite == found["base"].composite
    assert found["top"].reasons[0] == "at most 91.7: it rests on base"
    assert found["top"].parts[FactorGroup.LIQUIDITY].score == 100.0


def test_protocol_that_rests_on_a_better_one_keeps_its_own_score() -> None:
    found = wrapped(
        replace(CALM, protocol="top", utilization=1.0, rests_on=frozenset({"base"})), replace(CALM, protocol="base")
    )

    assert found["top"].composite.score == pytest.approx(100 * 11 / 12)
    assert "base" not in " ".join(found["top"].reasons)


def test_protocol_that_rests_on_one_that_nobody_read_has_no_score() -> None:
    found = wrapped(replace(CALM, rests_on=frozenset({"elsewhere"})))["aave-v3"]

    assert (found.composite.score, found.composite.lower, found.composite.upper) == (None, 0.0, 100.0)
    assert found.reasons[0] == "no score: it rests on elsewhere, which has none"


def test_protocols_that_rest_on_each_other_share_the_weaker_score() -> None:
    first = replace(CALM, protocol="first", rests_on=frozenset({"second"}))
    second = replace(CALM, protocol="second", rests_on=frozenset({"first"}), is_stopped=True)

    found = wrapped(first, second)

    assert found["first"].composite.score == found["second"].composite.score == 40.0


def test_protocol_that_is_read_twice_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="each protocol must be read once"):
        assess_protocols([CALM, CALM], RiskFacts())


share = st.none() | st.floats(0, 1)


@settings(max_examples=150, deadline=None)
@given(share, share, share, st.none() | st.booleans(), st.booleans())
def test_bounds_hold_the_score_and_reasons_add_up(
    utilization: float | None, fall: float | None, out: float | None, stopped: bool | None, known: bool
) -> None:
    readings = replace(CALM, utilization=utilization, share_price_fall=fall, withdrawable_share=out, is_stopped=stopped)

    found = assess(readings, RiskFacts(protocols=(FACT,) if known else ()))

    composite = found.composite
    assert 0.0 <= composite.lower <= composite.upper <= 100.0
    assert composite.score is None or composite.lower <= composite.score + 1e-9 <= composite.upper + 2e-9
    certain = sum(float(reason[1:].split()[0]) for reason in found.reasons if reason.startswith("-"))
    caps = [float(reason.split()[2]) for reason in found.reasons if reason.startswith("at most")]
    assert min([100 - certain, *caps]) == pytest.approx(composite.upper, abs=0.6)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1.2), st.floats(0, 1.2))
def test_a_fuller_pool_never_scores_more(first: float, second: float) -> None:
    low, high = sorted([first, second])

    fuller, emptier = assess(replace(CALM, utilization=high)), assess(replace(CALM, utilization=low))

    assert (fuller.composite.score or 0) <= (emptier.composite.score or 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"utilization": -0.1}, "utilization of aave-v3 must be finite and at least 0"),
        ({"utilization": np.inf}, "utilization of aave-v3"),
        ({"withdrawable_share": np.nan}, "withdrawable_share of aave-v3"),
        ({"share_price_fall": 1.5}, "share_price_fall of aave-v3 must be 0 to 1"),
        ({"peg_deviation": np.nan}, "peg_deviation of aave-v3 must be finite"),
        ({"kink": 1.0}, "kink of aave-v3"),
        ({"deposits_usd": np.array([1.0, -2.0])}, "column deposits_usd of aave-v3, row 1"),
        ({"deposits_usd": np.array([np.inf])}, "column deposits_usd of aave-v3, row 0"),
    ],
)
def test_reading_that_cannot_be_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(StaleOrDisputed, match=message):
        assess(replace(CALM, **changes))


def test_protocol_launched_tomorrow_is_refused() -> None:
    with pytest.raises(StaleOrDisputed, match="launched of aave-v3 must not lie after"):
        points(Factor.AGE, launched=DAY + datetime.timedelta(days=1))


def test_no_protocol_gives_no_assessment() -> None:
    assert assess_protocols([], RiskFacts()) == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factors": ()}, "must weigh every factor"),
        ({"factors": tuple(FactorWeight(factor=f, weight=Decimal(0)) for f in Factor)}, "must weigh something"),
        ({"protocols": (FACT, FACT)}, "protocols must name each one once"),
    ],
)
def test_facts_that_contradict_themselves_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RiskFacts.model_validate(wrong)
