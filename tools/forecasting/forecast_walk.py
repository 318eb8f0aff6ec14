"""The past relived: at each refit train on what was known, choose who speaks, forecast until the next refit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from domain.errors import InvariantBroken
from tools.forecasting.conformal import Margins, walk_margins
from tools.forecasting.forecast_blend import Blend, blended_rates, choose_blends
from tools.forecasting.forecast_features import Samples, log_rate, samples_of
from tools.forecasting.forecast_model import JUDGED, TRAINING, PooledModel, rows_in, targets_of, train_pooled
from tools.forecasting.forecast_panel import BoolArray, IntArray, RatePanel
from tools.forecasting.forecast_today import Trained, interval_around, spread_of
from tools.history import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Everything said on the way, one entry per row of `samples`; NaN before the first refit. Rates: fraction of one.

    `modelled` is the pooled model alone, `rates` what was said after the blend, `lower` and `upper` the interval.
    """

    panel: RatePanel
    samples: Samples
    target: FloatArray
    judged: BoolArray
    modelled: FloatArray
    rates: FloatArray
    lower: FloatArray
    upper: FloatArray
    margins: Margins
    blends: tuple[tuple[int, Mapping[str, Blend]], ...]
    """Day of each refit and who spoke for each group from then on."""
    model: PooledModel | None
    """Of the last refit; None where there was too little to learn from."""

    def trained(self) -> Trained:
        """What the last day's forecasts were made of, to be used on later readings until the next refit."""
        group = np.array(self.panel.groups)[self.samples.market]
        margins = {}
        for name in sorted(set(self.panel.groups)):
            rows = np.flatnonzero((group == name) & ~np.isnan(self.rates))
            if rows.size:
                margins[name] = (float(self.margins.lower[rows[-1]]), float(self.margins.upper[rows[-1]]))
        return Trained(self.model, self.blends[-1][1], margins)


class Rehearsal:
    """One walk, a refit at a time, so that whoever runs a long one can say how far it is."""

    def __init__(
        self,
        panel: RatePanel,
        *,
        horizon_days: int,
        refits: Sequence[int],
    ) -> None:
        """`refits` are rising days of the panel, counted from its first."""
        if not refits or any(later <= earlier for earlier, later in pairwise(refits)):
            raise InvariantBroken(f"refits must be rising days, got {list(refits)}")
        if refits[0] < 0 or refits[-1] >= panel.days.size:
            raise InvariantBroken(f"refits are days 0 to {panel.days.size - 1} of the panel, got {list(refits)}")
        if horizon_days < 1:
            raise InvariantBroken(f"a forecast looks at least one day ahead, got horizon_days {horizon_days}")
        self._panel, self._horizon_days, self._refits = panel, horizon_days, tuple(refits)
        self._samples = samples_of(panel)
        self._target = targets_of(panel, self._samples, horizon_days=horizon_days)
        self._trainable = rows_in(TRAINING, panel, self._samples)
        self._judged = rows_in(JUDGED, panel, self._samples)
        self._modelled = np.full(len(self._samples), np.nan)
        self._model: PooledModel | None = None

    def steps(self) -> Iterator[int]:
        """Trains at one refit after the other; yields its day when its rows are forecast."""
        ends = (*self._refits[1:], self._panel.days.size)
        for refit, end in zip(self._refits, ends, strict=True):
            known = self._trainable & self._is_known_by(refit)
            rows = np.flatnonzero((self._samples.day >= refit) & (self._samples.day < end))
            self._model = train_pooled(self._samples.at(known), self._target[known])
            if self._model is not None:
                self._modelled[rows] = self._model.rates(self._samples.at(rows))
            yield refit

    def walk(self, *, confidence: float) -> Walk:
        """What was said, after `steps` has run to its end."""
        samples, target = self._samples, self._target
        rates, blends = self._speak()
        scored = np.where(self._judged, target, np.nan)
        margins = _margins(self._panel, samples, rates, scored, horizon_days=self._horizon_days, confidence=confidence)
        lower, upper = interval_around(rates, spread_of(samples), margins)
        return Walk(
            self._panel,
            samples,
            target,
            self._judged,
            self._modelled,
            rates,
            lower,
            upper,
            margins,
            blends,
            self._model,
        )

    def _speak(self) -> tuple[FloatArray, tuple[tuple[int, Mapping[str, Blend]], ...]]:
        rates, blends = np.full(len(self._samples), np.nan), []
        group = np.array(self._panel.groups)[self._samples.market]
        ends = (*self._refits[1:], self._panel.days.size)
        for refit, end in zip(self._refits, ends, strict=True):
            known = self._judged & self._is_known_by(refit)
            chosen = choose_blends(self._panel, self._samples, self._modelled, self._target, known)
            for name, blend in chosen.items():
                rows = np.flatnonzero((self._samples.day >= refit) & (self._samples.day < end) & (group == name))
                rates[rows] = blended_rates(self._samples.at(rows), self._modelled[rows], blend)
            blends.append((refit, chosen))
        return rates, tuple(blends)

    def _is_known_by(self, day: int) -> BoolArray:
        """Rows whose target lies wholly before the day: a week's mean is not known before the week is over."""
        known: BoolArray = self._samples.day < day - self._horizon_days
        return known & ~np.isnan(self._target)


def walk_forward(panel: RatePanel, *, horizon_days: int, refits: Sequence[int], confidence: float = 0.8) -> Walk:
    """Forecasts of the mean supply rate over the next horizon_days days for every row from the first refit on.

    Each row was computed from readings up to its own day; the model that spoke from targets that were wholly known
    at its refit. Empty panels are refused by panel_of.
    """
    rehearsal = Rehearsal(panel, horizon_days=horizon_days, refits=refits)
    for _ in rehearsal.steps():
        pass
    return rehearsal.walk(confidence=confidence)


def _margins(
    panel: RatePanel, samples: Samples, rates: FloatArray, target: FloatArray, *, horizon_days: int, confidence: float
) -> Margins:
    """Per group, on log rates, scaled by each row's own spread."""
    lower, upper = np.full(len(samples), np.nan), np.full(len(samples), np.nan)
    spread, group = spread_of(samples), np.array(panel.groups)[samples.market]
    for name in sorted(set(panel.groups)):
        rows: IntArray = np.flatnonzero((group == name) & ~np.isnan(rates))
        scores = (log_rate(target[rows]) - log_rate(rates[rows])) / spread[rows]
        lower[rows], upper[rows] = walk_margins(
            samples.day[rows], scores, horizon_days=horizon_days, confidence=confidence
        )
    return Margins(lower, upper)
