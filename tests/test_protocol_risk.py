"""Protocol scores: calm protocols pass the policy's 50 points, one serious finding does not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from domain.market import MarketHistory, RateObservation
from domain.risk import ProtocolScore
from tests.builders import NOW, make_catalog, make_rate, make_snapshot
from tests.builders_history import make_history
from tools.protocol_risk import deepest_fall, score_protocols

VAULT = "vault-limited-dai"


def scores(
    *changed: RateObservation, history: MarketHistory | None = None, incidents: frozenset[str] = frozenset()
) -> dict[str, ProtocolScore]:
    rates = {rate.strategy: rate for rate in (*make_snapshot().rates, *changed)}
    snapshot = make_snapshot(rates=tuple(rates.values()))
    found = score_protocols(make_catalog(), snapshot, history or make_history(), incidents=incidents)
    return {score.protocol: score for score in found}


def vault(**changes: object) -> RateObservation:
    return make_rate(VAULT).model_copy(update=changes)


def test_calm_protocols_have_full_scores_and_say_so() -> None:
    found = scores()

    assert {name: score.score for name, score in found.items()} == {"aave-v3": 100.0, "limited-vault": 100.0}
    assert found["aave-v3"].reasons == ("no finding",)


def test_five_percent_share_price_fall_drops_far_below_fifty() -> None:
    slashed = make_history(share_prices={VAULT: [1.0] * 115 + [0.95] * 5})

    found = scores(vault(share_price=Decimal("0.95")), history=slashed)["limited-vault"]

    assert found.score == pytest.approx(40.0)
    assert "5.00%" in found.reasons[0]


def test_fall_seen_only_in_the_snapshot_counts() -> None:
    assert scores(vault(share_price=Decimal("0.90")))["limited-vault"].score == pytest.approx(20.0)


def test_fall_of_two_months_ago_is_forgiven() -> None:
    old = make_history(share_prices={VAULT: [1.05] * 60 + [1.0] * 60})

    assert scores(history=old)["limited-vault"].score == 100.0


def test_open_incident_is_flagged_and_costs_most_of_the_score() -> None:
    found = scores(incidents=frozenset({"aave-v3"}))

    assert found["aave-v3"].has_open_incident
    assert found["aave-v3"].score == 20.0
    assert found["limited-vault"].score == 100.0


def test_drained_pool_loses_liquidity_and_utilization_points() -> None:
    supplied = 10**24
    drained = vault(supplied=supplied, borrowed=supplied, withdrawable=0)

    assert scores(drained)["limited-vault"].score == pytest.approx(100 - 30 - 25)


def test_empty_pool_has_nothing_to_withdraw() -> None:
    assert scores(vault(supplied=0, borrowed=0, withdrawable=0))["limited-vault"].score == pytest.approx(70.0)


def test_paused_strategy_falls_below_fifty() -> None:
    assert scores(vault(is_paused=True))["limited-vault"].score == pytest.approx(40.0)


def test_strategy_that_was_not_read_falls_below_fifty() -> None:
    snapshot = make_snapshot(rates=())

    found = score_protocols(make_catalog(), snapshot, make_history(), incidents=frozenset())

    assert [score.score for score in found] == [40.0, 40.0]


def test_each_day_of_age_beyond_the_first_costs_twenty_points() -> None:
    assert scores(vault(observed_at=NOW - timedelta(days=2)))["limited-vault"].score == pytest.approx(80.0)
    assert scores(vault(observed_at=NOW - timedelta(days=9)))["limited-vault"].score == pytest.approx(60.0)


def test_score_never_falls_below_zero() -> None:
    worst = vault(is_paused=True, borrowed=10**30, withdrawable=0, share_price=Decimal("0.5"))

    assert scores(worst, incidents=frozenset({"limited-vault"}))["limited-vault"].score == 0.0


def test_deepest_fall_is_measured_from_the_peak_before_it() -> None:
    assert deepest_fall(np.array([1.0, 2.0, np.nan, 1.5, 3.0]), days=5) == pytest.approx(0.25)


@pytest.mark.parametrize("prices", [[], [np.nan, 1.0], [1.0, 0.0], [1.0, -1.0, 1.0], [np.inf, 1.0]])
def test_fall_is_unknown_below_two_readings_and_where_one_is_no_price(prices: list[float]) -> None:
    assert deepest_fall(np.array(prices), days=5) is None


def test_vault_without_a_past_is_unknown_and_not_fine() -> None:
    unseen = make_history(share_prices={VAULT: [None] * 120})

    found = scores(history=unseen)["limited-vault"]

    assert found.score == pytest.approx(40.0)
    assert found.reasons == (f"-60: whether the share price of {VAULT} fell is unknown",)


def test_vault_never_read_loses_the_points_of_the_unread_once() -> None:
    history = make_history(share_prices={VAULT: [None] * 120})

    found = score_protocols(make_catalog(), make_snapshot(rates=()), history, incidents=frozenset())

    assert [score.score for score in found] == [40.0, 40.0]
