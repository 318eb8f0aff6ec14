"""A fresh copy of the local chain for every test that asks for one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.initialize import initialize
from app.paper import FOLDER
from app.paper_node import PaperNode
from app.settings import Settings
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


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory, world_cache: Path) -> Path:
    """A home as `autofi init` leaves it, its chain not running. State is files: a copy is a home of its own."""
    home = tmp_path_factory.mktemp("prepared") / "home"
    initialize(Settings(home=home, cache=world_cache), safe=None, new_safe=False, report=lambda _: None)
    return home


@pytest.fixture
def home(prepared_home: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of this test's own; its chain ends with the test."""
    copy = Path(shutil.copytree(prepared_home, tmp_path / "home"))
    yield copy
    if (copy / FOLDER).is_dir():
        PaperNode(copy / FOLDER).stop()


def _has_anvil() -> bool:
    try:
        find_anvil()
    except ConfigurationInvalid:
        return False
    return True
