"""A fresh copy of the local chain for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.anvil import find_anvil
from chain.world import World, default_cache, open_world
from domain.errors import ConfigurationInvalid
from tests.services import require_service


@pytest.fixture(scope="session")
def world_cache() -> Path:
    """Where the built world lives, shared by all tests and runs."""
    require_service("anvil", available=_has_anvil())
    return default_cache()


@pytest.fixture
def world(world_cache: Path) -> Iterator[World]:
    with open_world(cache=world_cache) as running:
        yield running


def _has_anvil() -> bool:
    try:
        find_anvil()
    except ConfigurationInvalid:
        return False
    return True
