"""Observations: stored once, and daily history that neither invents nor looks ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.errors import InvariantBroken
from domain.market import MarketSnapshot, RateObservation
from memory.database import open_database
from memory.observations import SqlObservationStore
from tests.builders import NOW, make_price, make_rate, make_snapshot

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield SqlObservationStore(database)
    database.close()


def rate(apr: float, *, source: str = "onchain", share_price: str = "1") -> RateObservation:
    changes = {"source": source, "share_price": Decimal(share_price)}
    return make_rate("aave-dai", apr=apr).model_copy(update=changes)


def snapshot(at: datetime, *rates: RateObservation, prices: tuple[tuple[str, str], ...] = ()) -> MarketSnapshot:
    """Blocks are numbered by their time, so that every moment is its own block."""
    observed = tuple(make_price("dai", price, source=source) for source, price in prices)
    return make_snapshot(block_number=int(at.timestamp()), block_time=at, rates=rates, prices=observed)


def values(series) -> dict[str, tuple[float | None, ...]]:
    return {each.subject: each.values for each in series}


def test_an_empty_store_has_days_and_no_series(store):
    history = store.history(days=3, until=NOW)

    assert history.days == (MIDNIGHT - timedelta(days=2), MIDNIGHT - timedelta(days=1), MIDNIGHT)
    assert (history.supply_apr, history.share_price, history.price_usd) == ((), (), ())


def test_each_day_takes_its_last_reading(store):
    for hour, apr in ((0, 0.01), (23, 0.03), (12, 0.02)):
        store.append(snapshot(MIDNIGHT - timedelta(days=1) + timedelta(hours=hour), rate(apr)))
    store.append(snapshot(MIDNIGHT, rate(0.05)))

    assert values(store.history(days=2, until=NOW).supply_apr) == {"aave-dai": (0.03, 0.05)}


def test_a_day_without_a_reading_is_unknown_and_nothing_is_filled_in(store):
    store.append(snapshot(MIDNIGHT - timedelta(days=3), rate(0.04, share_price="1.5")))
    store.append(snapshot(MIDNIGHT - timedelta(days=1), rate(0.05, share_price="1.25")))

    history = store.history(days=5, until=NOW)

    assert values(history.supply_apr) == {"aave-dai": (None, 0.04, None, 0.05, None)}
    assert values(history.share_price) == {"aave-dai": (None, 1.5, None, 1.25, None)}


def test_nothing_after_until_is_seen(store):
    store.append(snapshot(NOW, rate(0.04)))
    before = store.history(days=2, until=NOW)
    store.append(snapshot(NOW + timedelta(microseconds=1), rate(0.99)))
    store.append(snapshot(NOW + timedelta(days=1), rate(0.98)))

    assert store.history(days=2, until=NOW) == before


def test_a_reading_before_the_first_day_is_not_seen(store):
    store.append(snapshot(MIDNIGHT - timedelta(microseconds=1), rate(0.04)))

    assert store.history(days=1, until=NOW).supply_apr == ()


def test_the_lowest_source_counts_against_ourselves(store):
    store.append(snapshot(NOW, rate(0.04, source="onchain"), rate(0.03, source="defillama")))
    store.append(snapshot(NOW - timedelta(hours=1), prices=(("oracle", "0.5"), ("uniswap", "0.4"))))
    store.append(snapshot(NOW - timedelta(minutes=1), prices=(("oracle", "1.01"), ("uniswap", "0.99"))))

    history = store.history(days=1, until=NOW)

    assert values(history.supply_apr) == {"aave-dai": (0.03,)}
    assert values(history.price_usd) == {"dai": (0.99,)}


def test_a_zero_rate_is_zero_and_not_unknown(store):
    store.append(snapshot(NOW, rate(0.0)))

    assert values(store.history(days=1, until=NOW).supply_apr) == {"aave-dai": (0.0,)}


def test_appending_again_keeps_the_first_reading(store):
    store.append(snapshot(NOW, rate(0.04), prices=(("oracle", "1"),)))
    store.append(snapshot(NOW, rate(0.09), prices=(("oracle", "2"), ("uniswap", "3"))))

    history = store.history(days=1, until=NOW)

    assert values(history.supply_apr) == {"aave-dai": (0.04,)}
    assert values(history.price_usd) == {"dai": (1.0,)}


def test_latest_rates_are_each_strategys_newest_and_equal_to_what_was_seen(store):
    whole = make_snapshot()
    store.append(snapshot(NOW - timedelta(days=1), rate(0.9)))
    store.append(whole)

    latest = store.latest_rates()

    assert {each.strategy: each for each in latest} == {each.strategy: each for each in whole.rates}


def test_a_whole_snapshot_gives_a_series_for_everything_in_it(store):
    store.append(make_snapshot())

    history = store.history(days=1, until=NOW)

    assert values(history.price_usd) == {
        "usdc": (1.0,),
        "dai": (1.0,),
        "usdx": (1.0,),
        "weth": (3500.0,),
        "wbtc": (60000.0,),
    }
    assert len(history.supply_apr) == len(history.share_price) == len(make_snapshot().rates)


@pytest.mark.parametrize("days", [0, -1, 3661])
def test_a_history_without_bounds_is_a_broken_invariant(store, days):
    with pytest.raises(InvariantBroken, match=f"1 to 3660 days, got {days}"):
        store.history(days=days, until=NOW)


def pool(supplied: int, borrowed: int | None, *, source: str = "onchain") -> RateObservation:
    return rate(0.04, source=source).model_copy(update={"supplied": supplied, "borrowed": borrowed})


def test_each_day_keeps_its_last_supply_and_utilization(store):
    for hour, borrowed in ((0, 100), (23, 300), (12, 200)):
        at = MIDNIGHT - timedelta(days=2) + timedelta(hours=hour)
        store.append(snapshot(at, pool(10**24 * (1 + hour), 10**24 * (1 + hour) * borrowed // 1000)))
    store.append(snapshot(MIDNIGHT, pool(5 * 10**24, None)))

    history = store.history(days=3, until=NOW)

    assert values(history.supplied) == {"aave-dai": (24e24, None, 5e24)}
    assert values(history.utilization) == {"aave-dai": (0.3, None, None)}


def test_of_two_sources_the_fuller_and_the_smaller_pool_counts(store):
    store.append(snapshot(MIDNIGHT, pool(10**24, 5 * 10**23), pool(8 * 10**23, 7 * 10**23, source="mirror")))

    history = store.history(days=1, until=NOW)

    assert values(history.supplied) == {"aave-dai": (8e23,)}
    assert values(history.utilization) == {"aave-dai": (0.875,)}
