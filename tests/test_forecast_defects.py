"""The roughest real rates: exchange pools whose APY jumps to hundreds of thousands of percent between gaps."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.quality_pools import Answer, daily_rates, forecasts_of
from tests.market_data import POOLS, need_table

WILDEST = 12


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    pools = pd.read_parquet(need_table(POOLS))
    wildest = pools.groupby("pool")["apy"].max().nlargest(WILDEST).index
    return [answer for pool in wildest for answer in forecasts_of(daily_rates(pools[pools["pool"] == pool]))]


def test_spikes_and_gaps_give_finite_ordered_forecasts(answers: list[Answer]) -> None:
    forecasts = [answer.forecast for answer in answers]

    assert len(forecasts) > WILDEST
    assert all(math.isfinite(found.upper_apr) for found in forecasts)
    assert all(found.lower_apr <= found.expected_apr <= found.upper_apr for found in forecasts)


def test_spike_proof_average_errs_less_than_the_last_reading(answers: list[Answer]) -> None:
    ours = np.mean([abs(answer.forecast.expected_apr - answer.target) for answer in answers])
    persistence = np.mean([abs(answer.last - answer.target) for answer in answers])

    assert ours < persistence
