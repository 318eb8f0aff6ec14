"""Adopting and making a Safe on the local chain."""

from __future__ import annotations

import pytest
from eth_utils.address import to_checksum_address

from app.paper import OPERATOR_KEY
from app.safe_account import GET_OWNERS, adopt_safe, create_safe
from chain.client import CallRequest, ChainClient
from chain.transactor import Transactor
from chain.world import World
from domain.errors import ConfigurationInvalid

pytestmark = pytest.mark.chain


@pytest.fixture
def client(world: World) -> ChainClient:
    return ChainClient(world.rpc_url, chain_id=world.chain_id, multicall=world.catalog.contracts.multicall)


def test_adopts_the_treasurys_safe_in_any_spelling(world: World, client: ChainClient) -> None:
    account, operator = world.catalog.account, world.catalog.operator

    assert adopt_safe(client, account, operator=operator) == account
    assert adopt_safe(client, to_checksum_address(account), operator=operator) == account


def test_makes_a_safe_whose_only_owner_is_the_operator(world: World, client: ChainClient) -> None:
    account = create_safe(client, world.manifest, operator_key=OPERATOR_KEY)

    head = client.header().number
    answer = client.call(CallRequest(account, account, GET_OWNERS.encode()), block_number=head)
    assert GET_OWNERS.decode_output(answer.data) == ((world.catalog.operator,),)
    assert account != world.catalog.account


def test_makes_another_safe_each_time(world: World, client: ChainClient) -> None:
    first = create_safe(client, world.manifest, operator_key=OPERATOR_KEY)
    second = create_safe(client, world.manifest, operator_key=OPERATOR_KEY)

    assert first != second


@pytest.mark.parametrize("address", ["", "0x12", "31d429ff04afcb7ca98138a26ec2935b9a0d8ad8", "0x" + "zz" * 20])
def test_refuses_what_is_not_an_address(client: ChainClient, address: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="is not an address"):
        adopt_safe(client, address, operator="0x" + "01" * 20)


def test_refuses_an_address_whose_checksum_is_wrong(world: World, client: ChainClient) -> None:
    with pytest.raises(ConfigurationInvalid, match="EIP-55"):
        adopt_safe(client, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", operator=world.catalog.operator)


def test_refuses_an_account_without_code(world: World, client: ChainClient) -> None:
    with pytest.raises(ConfigurationInvalid, match="has no code"):
        adopt_safe(client, world.catalog.operator, operator=world.catalog.operator)


def test_refuses_a_contract_that_is_no_safe(world: World, client: ChainClient) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"does not answer getOwners\(\)"):
        adopt_safe(client, world.catalog.token("usdc").address, operator=world.catalog.operator)


def test_refuses_a_safe_of_somebody_else_and_names_its_owners(world: World, client: ChainClient) -> None:
    stranger = world.manifest.actors.trader

    with pytest.raises(ConfigurationInvalid, match=f"owned by {world.catalog.operator}, not by operator {stranger}"):
        adopt_safe(client, world.catalog.account, operator=stranger)


def test_refuses_a_safe_that_needs_two_signatures(world: World, client: ChainClient) -> None:
    account, operator = world.catalog.account, world.catalog.operator
    # The Safe itself is the only one that may change its owners.
    world.node.rpc.call("anvil_impersonateAccount", account)
    world.node.rpc.call("anvil_setBalance", account, hex(10**21))
    transactor = Transactor(world.node.rpc)
    transactor.send(account, account, "addOwnerWithThreshold(address,uint256)", world.manifest.actors.trader, 2)
    transactor.mine()

    with pytest.raises(ConfigurationInvalid, match="has threshold 2, limit 1"):
        adopt_safe(client, account, operator=operator)
