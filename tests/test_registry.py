"""One table says which calls exist: everything that is built is in it, and nothing else is built."""

from __future__ import annotations

import pytest

from domain import abi
from domain.errors import InvariantBroken
from guards.actions import ActionKind
from guards.case import Case
from guards.measures import actions
from guards.registry import make_registry
from tests.builders import CONTRACTS, make_catalog
from tests.builders_evidence import DAI, USDC, deposit, make_evidence, make_plan, redeem, supply, swap, withdraw

CATALOG = make_catalog()
REGISTRY = make_registry(CATALOG)
TOKENS = {token.address for token in CATALOG.tokens}
VAULT = CATALOG.strategy("vault-limited-dai").contract


def test_the_table_lists_the_functions_of_each_part():
    listed = {(contract, call.name) for (_, contract, _), call in REGISTRY.calls.items()}

    assert listed == {
        *((token, name) for token in TOKENS for name in ("approve", "transfer")),
        *((CONTRACTS.aave_pool, name) for name in ("supply", "withdraw")),
        *((VAULT, name) for name in ("deposit", "redeem")),
        (CONTRACTS.swap_router, "exactInputSingle"),
    }


def test_a_transfer_can_be_read_and_is_never_an_action():
    assert {call.name for call in REGISTRY.calls.values() if call.read is None} == {"transfer"}


def test_everything_that_builders_make_is_listed():
    moves = [
        supply(1),
        withdraw("aave-dai", "dai", 1),
        deposit(DAI),
        redeem(DAI),
        swap("usdc", "dai", USDC, DAI),
    ]

    calls = make_plan(moves).calls

    assert [REGISTRY.find(call.target, call.data[:10]).name for call in calls] == [
        "approve",
        "supply",
        "withdraw",
        "approve",
        "deposit",
        "redeem",
        "approve",
        "exactInputSingle",
    ]


def test_the_same_selector_means_nothing_at_another_contract_or_chain():
    selector = abi.APPROVE.selector_hex
    elsewhere = make_registry(CATALOG.model_copy(update={"chain_id": 1}))

    assert REGISTRY.find(CONTRACTS.aave_pool, selector) is None
    assert REGISTRY.find(next(iter(TOKENS)), None) is None
    assert (1, next(iter(TOKENS)), selector) in elsewhere.calls
    assert (CATALOG.chain_id, next(iter(TOKENS)), selector) not in elsewhere.calls


def test_where_two_entries_share_an_address_the_first_counts():
    twin = CATALOG.strategy("vault-limited-dai").model_copy(update={"id": "twin", "token": "usdc"})
    catalog = CATALOG.model_copy(update={"strategies": (*CATALOG.strategies, twin)})

    assert make_registry(catalog).directory.vaults[VAULT].id == "vault-limited-dai"


def test_an_approval_has_no_place_and_buys_nothing():
    (action, *_) = actions(Case(make_evidence([supply(1)])))

    assert action.kind is ActionKind.APPROVE
    with pytest.raises(InvariantBroken, match="kind approve"):
        _ = action.place
    with pytest.raises(InvariantBroken, match="kind approve"):
        _ = action.bought
