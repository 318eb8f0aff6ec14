"""The pooled model: boosted trees on how the log rate changes until the mean of the next days, all markets together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from tools.forecasting.forecast_features import SOFTENING, Samples, log_rate, trailing_median
from tools.forecasting.forecast_panel import TELLING, BoolArray, IntArray, RatePanel
from tools.history import FloatArray

MIN_TRAINING_ROWS: Final = 500
MAX_WEIGHT: Final = 0.6
"""A row weighs as much as its rate, up to here: the error that counts is in points, the model's is relative."""
LEAST_WEIGHT: Final = 0.01
ROWS_PER_LEAF: Final = 50
SEED: Final = 0


class Boosting(NamedTuple):
    """Settings of one member, chosen once on development data."""

    rounds: int
    learning_rate: float
    leaves: int
    bins: int
    """Per column; finding them takes longer than the trees where rows are few."""
    feature_share: float
    """Of the columns that each split may choose from, drawn with SEED."""
    sees_telling: bool
    """One member sees what dates and names can be recognized by, one does not: the mean trusts it half."""


MEMBERS: Final = (
    Boosting(200, 0.05, 15, 127, 1.0, sees_telling=False),
    Boosting(100, 0.1, 15, 127, 0.5, sees_telling=True),
)
FEW_ROWS: Final = 10_000
MEMBERS_OF_FEW: Final = (Boosting(80, 0.1, 8, 31, 1.0, sees_telling=True),)
"""Under FEW_ROWS rows: more trees would only repeat them, and a decision is waiting."""


class Regressor(Protocol):
    """What is used of a fitted scikit-learn estimator."""

    def predict(self, features: FloatArray, /) -> FloatArray: ...


class Member(NamedTuple):
    """A fitted estimator and the feature columns it sees: those that varied when it was trained."""

    regressor: Regressor
    columns: IntArray

    def change(self, features: FloatArray) -> FloatArray:
        return self.regressor.predict(features[:, self.columns])


@dataclass(frozen=True, slots=True, eq=False)
class PooledModel:
    """The mean of its members speaks."""

    members: tuple[Member, ...]

    def rates(self, samples: Samples) -> FloatArray:
        """Expected mean supply rate of the horizon, fraction of one, not below zero, shape (n,), empty for none."""
        if not len(samples):
            return np.empty(0)
        change = np.mean([member.change(samples.features) for member in self.members], axis=0)
        rates: FloatArray = np.maximum(np.exp(log_rate(samples.last) + change) - SOFTENING, 0.0)
        return rates


def train_pooled(samples: Samples, target: FloatArray) -> PooledModel | None:
    """Trees that minimize the absolute error of log(target + SOFTENING) - log(last + SOFTENING).

    `target`, shape (n,), is what targets_of says; rows where it is NaN are left out. None under MIN_TRAINING_ROWS rows
    or when no feature varies. Friedman 2001, 4.3 (least absolute deviation boosting), on histograms.
    """
    is_known = ~np.isnan(target)
    known = samples.at(is_known)
    columns = np.flatnonzero([_varies(column) for column in known.features.T])
    if len(known) < MIN_TRAINING_ROWS or not columns.size:
        return None
    change = log_rate(target[is_known]) - log_rate(known.last)
    weight = np.minimum(known.last + known.weekly + LEAST_WEIGHT, MAX_WEIGHT)
    members = MEMBERS if len(known) >= FEW_ROWS else MEMBERS_OF_FEW
    return PooledModel(tuple(_fit(settings, columns, known.features, change, weight) for settings in members))


def targets_of(panel: RatePanel, samples: Samples, *, horizon_days: int) -> FloatArray:
    """Mean supply rate of the next horizon_days days, shape (n,), not below zero.

    NaN unless every one of those days was observed, and for rows whose own reading is carried from before.
    """
    rates = np.maximum(panel["supply_apr"], 0.0)
    following = np.full(rates.shape, np.nan)
    for day in range(rates.shape[0] - horizon_days):
        following[day] = rates[day + 1 : day + 1 + horizon_days].mean(axis=0)
    following[np.isnan(rates)] = np.nan
    return following[samples.day, samples.market]


class Standing(NamedTuple):
    """What a row's market must exceed (30-day medians) and how long it may lie untouched."""

    tvl_usd: float
    apr: float
    stale_days: float


TRAINING: Final = Standing(tvl_usd=1e5, apr=0.0002, stale_days=7)
JUDGED: Final = Standing(tvl_usd=1e6, apr=0.0005, stale_days=3)
"""Rows that errors are counted on: markets that somebody would put money into."""


def rows_in(standing: Standing, panel: RatePanel, samples: Samples) -> BoolArray:
    """Rows of that standing whose reading is the day's own, shape (n,); what is unknown does not exclude."""
    size = trailing_median(panel["tvl_usd"], samples, days=30)
    rate = trailing_median(np.maximum(panel["supply_apr"], 0.0), samples, days=30)
    stale = panel["stale_days"][samples.day, samples.market]
    is_out = (size <= standing.tvl_usd) | (rate <= standing.apr) | (stale >= standing.stale_days)
    return ~is_out & ~np.isnan(panel["supply_apr"][samples.day, samples.market])


def _varies(column: FloatArray) -> bool:
    known = column[~np.isnan(column)]
    return bool(known.size and known.min() < known.max())


def _fit(settings: Boosting, columns: IntArray, features: FloatArray, change: FloatArray, weight: FloatArray) -> Member:
    from sklearn.ensemble import HistGradientBoostingRegressor  # a second to import: only where a model is trained

    seen = columns if settings.sees_telling else columns[columns < features.shape[1] - len(TELLING)]
    regressor = HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=settings.rounds,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.leaves,
        max_bins=settings.bins,
        max_features=settings.feature_share,
        min_samples_leaf=ROWS_PER_LEAF,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )
    return Member(regressor.fit(features[:, seen], change, sample_weight=weight), seen)
