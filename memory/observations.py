"""Rates and prices per block, and the aligned daily history made of them; gaps stay unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, and_, func, insert, select

from domain.digest import canonical_json
from domain.errors import InvariantBroken
from domain.market import DailySeries, MarketHistory, MarketSnapshot, PriceObservation, RateObservation
from domain.ports import ObservationStore
from memory.database import Database
from memory.tables import prices, rates

if TYPE_CHECKING:
    import pandas as pd

MAX_HISTORY_DAYS: Final = 3660


class Reading(NamedTuple):
    """One number about one subject at one block; several sources give several readings."""

    subject: str
    block_time: datetime
    value: float


class PoolReading(NamedTuple):
    """What of a rate observation is kept in its JSON alone. `utilization` is None where the strategy does not lend."""

    strategy: str
    block_time: datetime
    supplied: float
    utilization: float | None


class SqlObservationStore(ObservationStore):
    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, snapshot: MarketSnapshot) -> None:
        """Idempotent per chain, block, subject and source: the first reading stays."""
        with self._database.writing() as connection:
            known = _known(connection, rates, "strategy", snapshot)
            fresh_rates = [rate for rate in snapshot.rates if (rate.strategy, rate.source) not in known]
            if fresh_rates:
                connection.execute(insert(rates), [_rate_row(rate, snapshot) for rate in fresh_rates])
            known = _known(connection, prices, "token", snapshot)
            fresh_prices = [price for price in snapshot.prices if (price.token, price.source) not in known]
            if fresh_prices:
                connection.execute(insert(prices), [_price_row(price, snapshot) for price in fresh_prices])

    def history(self, *, days: int, until: datetime) -> MarketHistory:
        """The last reading of each UTC day; where sources differ the lowest, as for a snapshot's price."""
        if not 0 < days <= MAX_HISTORY_DAYS:
            raise InvariantBroken(f"a history has 1 to {MAX_HISTORY_DAYS} days, got {days}")
        last = datetime(until.year, until.month, until.day, tzinfo=UTC)
        span = tuple(last - timedelta(days=back) for back in reversed(range(days)))
        with self._database.reading() as connection:
            rate_rows = connection.execute(_between(rates, span[0], until)).all()
            price_rows = connection.execute(_between(prices, span[0], until)).all()
        pools = [_pool_reading(row) for row in _last_of_days(rate_rows)]
        return MarketHistory(
            days=span,
            supply_apr=_daily((Reading(r.strategy, r.block_time, r.supply_apr) for r in rate_rows), span),
            share_price=_daily((Reading(r.strategy, r.block_time, _real(r.share_price)) for r in rate_rows), span),
            price_usd=_daily((Reading(r.token, r.block_time, _real(r.price_usd)) for r in price_rows), span),
            supplied=_daily((Reading(p.strategy, p.block_time, p.supplied) for p in pools), span),
            utilization=_daily(
                (Reading(p.strategy, p.block_time, p.utilization) for p in pools if p.utilization is not None),
                span,
                of_sources="max",
            ),
        )

    def latest_rates(self) -> Sequence[RateObservation]:
        """Of each strategy's newest block, every source."""
        newest = select(rates.c.strategy, func.max(rates.c.block_time).label("block_time")).group_by(rates.c.strategy)
        latest = newest.subquery()
        is_latest = and_(rates.c.strategy == latest.c.strategy, rates.c.block_time == latest.c.block_time)
        chosen = select(rates.c.observation).join(latest, is_latest).order_by(rates.c.strategy, rates.c.source)
        with self._database.reading() as connection:
            return tuple(RateObservation.model_validate_json(text) for text in connection.execute(chosen).scalars())


def _known(connection: Connection, table: Table, subject: str, snapshot: MarketSnapshot) -> set[tuple[str, str]]:
    of_block = (table.c.chain_id == snapshot.chain_id, table.c.block_number == snapshot.block_number)
    return {(row[0], row[1]) for row in connection.execute(select(table.c[subject], table.c.source).where(*of_block))}


def _rate_row(rate: RateObservation, snapshot: MarketSnapshot) -> Mapping[str, object]:
    return {
        "chain_id": snapshot.chain_id,
        "block_number": snapshot.block_number,
        "strategy": rate.strategy,
        "source": rate.source,
        "block_time": snapshot.block_time,
        "supply_apr": rate.supply_apr,
        "share_price": rate.share_price,
        "observation": canonical_json(rate).decode(),
    }


def _price_row(price: PriceObservation, snapshot: MarketSnapshot) -> Mapping[str, object]:
    return {
        "chain_id": snapshot.chain_id,
        "block_number": snapshot.block_number,
        "token": price.token,
        "source": price.source,
        "block_time": snapshot.block_time,
        "observed_at": price.observed_at,
        "price_usd": price.price_usd,
    }


def _between(table: Table, first: datetime, until: datetime) -> Select[tuple[object, ...]]:
    return select(table).where(table.c.block_time >= first, table.c.block_time <= until)


def _real(value: Decimal) -> float:
    return float(value)  # statistics are float64; amounts never pass here


def _last_of_days(rows: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Of each strategy, source and UTC day: what is not kept as a column is only read from these."""
    newest: dict[tuple[str, str, date], Row[Any]] = {}
    for row in rows:
        key = (row.strategy, row.source, row.block_time.date())
        if key not in newest or row.block_time >= newest[key].block_time:
            newest[key] = row
    return newest.values()


def _pool_reading(row: Row[Any]) -> PoolReading:
    observed = RateObservation.model_validate_json(row.observation)
    return PoolReading(row.strategy, row.block_time, float(observed.supplied), observed.utilization)


def _daily(
    readings: Iterable[Reading], span: Sequence[datetime], *, of_sources: str = "min"
) -> tuple[DailySeries, ...]:
    """`of_sources` chooses where several read the same block: the one that is against ourselves."""
    import pandas as pd

    frame = pd.DataFrame(readings, columns=list(Reading._fields))
    if frame.empty:
        return ()
    worst = frame.groupby(["subject", "block_time"], sort=True)["value"].agg(of_sources)
    index = pd.DatetimeIndex(list(span))
    return tuple(
        DailySeries(subject=str(subject), values=_values(series.droplevel("subject"), index))
        for subject, series in worst.groupby(level="subject")
    )


def _values(series: pd.Series[float], days: pd.DatetimeIndex) -> tuple[float | None, ...]:
    import pandas as pd

    by_day = series.resample("1D").last().reindex(days)
    return tuple(None if pd.isna(value) else float(value) for value in by_day)
