"""The local world's past: lets the scenario live through half a year and observes it, day by day, as history."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.clock import ChainClock
from chain.client import ChainClient
from chain.world import World
from collectors.reader import ChainMarketReader
from domain.errors import ConfigurationInvalid
from domain.market import MarketSnapshot, RateObservation
from domain.ports import ObservationStore

WARMUP_DAYS: Final = 180
OBSERVATIONS_FILE: Final = "observations.jsonl.gz"


def warm_up(world: World) -> None:
    """Write one snapshot a day into the world's extra folder."""
    client = ChainClient(world.rpc_url, chain_id=world.chain_id, multicall=world.catalog.contracts.multicall)
    latest: dict[str, RateObservation] = {}
    reader = ChainMarketReader(client, world.catalog, ChainClock(client), previous=latest.get)
    first = world.scenario.day + 1
    with gzip.open(world.extra_dir / OBSERVATIONS_FILE, "wt", encoding="utf-8", compresslevel=3) as file:
        for day in range(first, first + WARMUP_DAYS):
            world.scenario.step_day(day)
            snapshot = reader.snapshot()
            latest.update({rate.strategy: rate for rate in snapshot.rates})
            file.write(snapshot.model_dump_json() + "\n")
    world.scenario.sync_pools()


def load_history(folder: Path, store: ObservationStore) -> int:
    """Import the warm-up's snapshots; returns how many."""
    count = 0
    for snapshot in _snapshots(folder / OBSERVATIONS_FILE):
        store.append(snapshot)
        count += 1
    return count


def _snapshots(file: Path) -> Iterator[MarketSnapshot]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from (MarketSnapshot.model_validate_json(line) for line in lines)
    except (OSError, ValueError) as error:
        raise ConfigurationInvalid(
            f"history {file} is damaged ({type(error).__name__}); run `autofi init` again"
        ) from None
