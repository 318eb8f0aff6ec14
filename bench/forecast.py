"""How long forecasting 200 strategies takes once the model is trained: features, model, blend and intervals."""

from __future__ import annotations

import statistics
import time
from typing import Final

from bench.figures import Figure
from domain.errors import InvariantBroken
from tests.builders_forecast import make_panel
from tools.forecasting.forecast_model import MEMBERS
from tools.forecasting.forecast_today import forecast_today
from tools.forecasting.forecast_walk import walk_forward

STRATEGIES: Final = 200
DAYS: Final = 180
"""As many as a run reads."""
REFITS: Final = (90, DAYS - 1)
HORIZON_DAYS: Final = 7
ROUNDS: Final = 51
MAX_MS: Final = 20


def forecast_figures() -> list[Figure]:
    """Trained once on synthetic markets with the settings that real ones get; CPU time of what a decision waits for."""
    panel = make_panel(DAYS, STRATEGIES)
    trained = walk_forward(panel, horizon_days=HORIZON_DAYS, refits=REFITS).trained()
    if trained.model is None or len(trained.model.members) != len(MEMBERS):
        raise InvariantBroken(f"the benchmark must time the full model of {len(MEMBERS)} members, got {trained.model}")
    milliseconds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        forecast_today(trained, panel)
        milliseconds.append((time.process_time() - before) * 1000.0)
    note = f"p50 of {ROUNDS}, from {DAYS} days of readings to rates with intervals"
    return [Figure("forecast_200_ms", round(statistics.median(milliseconds), 2), "ms", MAX_MS, note)]
