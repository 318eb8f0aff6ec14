"""The sequencer's uptime feed on the local chain: a contract in Chainlink's shape, read by the real collector."""

from __future__ import annotations

import pytest

from chain.client import ChainClient
from chain.world import World
from chain.world_site import Site
from collectors.reader import ChainMarketReader
from domain.market import Catalog, SequencerReading
from tests.fakes_chain import FixedClock

pytestmark = pytest.mark.chain

UP, DOWN = 0, 1


@pytest.fixture
def site(world: World) -> Site:
    return Site(world.node.rpc, actors=world.manifest.actors, operator=world.catalog.operator)


def deploy_feed(site: Site, answer: int) -> str:
    feed = site.deploy("MarketFeed", "L2 Sequencer Uptime Status Feed", answer)
    site.mine()
    return feed


def read(world: World, feed: str) -> SequencerReading | None:
    contracts = world.catalog.contracts.model_copy(update={"sequencer_feed": feed})
    catalog = Catalog.model_validate({**dict(world.catalog), "contracts": contracts})
    client = ChainClient(world.rpc_url, chain_id=world.chain_id, multicall=contracts.multicall, sleep=lambda _: None)
    return ChainMarketReader(client, catalog, FixedClock(client.header().time)).snapshot().sequencer


def test_an_outage_and_the_return_are_read_with_their_times(world: World, site: Site) -> None:
    feed = deploy_feed(site, UP)
    first = read(world, feed)
    world.scenario.advance(3_600)
    site.send(feed, "report(int256)", DOWN)
    site.mine()

    outage = read(world, feed)
    world.scenario.advance(600)
    site.send(feed, "report(int256)", UP)
    site.mine()
    back = read(world, feed)

    assert first is not None
    assert outage is not None
    assert back is not None
    assert [reading.is_up for reading in (first, outage, back)] == [True, False, True]
    assert (outage.since - first.since).total_seconds() >= 3_600
    assert (back.since - outage.since).total_seconds() >= 600


def test_an_address_without_a_feed_is_unknown(world: World) -> None:
    assert read(world, world.catalog.operator) is None


def test_a_price_feed_in_its_place_is_unknown(world: World) -> None:
    assert read(world, world.catalog.token("weth").feed) is None


def test_a_chain_whose_catalog_names_no_feed_asks_none(world: World) -> None:
    client = ChainClient(
        world.rpc_url, chain_id=world.chain_id, multicall=world.catalog.contracts.multicall, sleep=lambda _: None
    )

    assert ChainMarketReader(client, world.catalog, FixedClock(client.header().time)).snapshot().sequencer is None
