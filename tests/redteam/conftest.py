"""The local chain for tests of the red team: booted once, put back after every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chain.anvil import find_anvil
from chain.world import World, default_cache, open_world
from domain.errors import ConfigurationInvalid
from tests.redteam.audit_chain import Chain
from tests.redteam.desk import Desk
from tests.services import require_service


@pytest.fixture(scope="session")
def shared_world() -> Iterator[World]:
    require_service("anvil", available=_has_anvil())
    with open_world(cache=default_cache()) as world:
        yield world


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """As it was built, whatever the test before did."""
    rpc = shared_world.node.rpc
    snapshot = rpc.call("evm_snapshot")
    yield shared_world
    rpc.call("evm_revert", snapshot)


@pytest.fixture
def desk(world: World) -> Iterator[Desk]:
    chain = Chain(world.rpc_url)
    yield Desk(world, chain)
    chain.close()


def _has_anvil() -> bool:
    try:
        find_anvil()
    except ConfigurationInvalid:
        return False
    return True
