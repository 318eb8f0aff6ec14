"""Every call that we build, and no other: from chain, contract and selector to its function and what it does.

Decoding, the allowlist and all measures read this one table; a contract or selector that is not in it is denied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from domain.abi import (
    AAVE_SUPPLY,
    AAVE_WITHDRAW,
    APPROVE,
    SWAP_EXACT_INPUT_SINGLE,
    SWAP_EXACT_INPUT_SINGLE_FIELDS,
    TRANSFER,
    VAULT_DEPOSIT,
    VAULT_REDEEM,
    AbiFunction,
)
from domain.market import Catalog
from domain.transaction import DecodedCall
from guards.actions import (
    Action,
    Directory,
    make_directory,
    read_approve,
    read_deposit,
    read_redeem,
    read_supply,
    read_swap,
    read_withdraw,
)
from guards.case import Case, once

Reader = Callable[[DecodedCall, Directory], Action | None]


class TypedCall(NamedTuple):
    """A function with its flat argument list. `read` is None for one that is read only to be refused by its name."""

    selector: str
    name: str
    fields: tuple[tuple[str, str], ...]
    """(type, argument name)"""
    kinds: tuple[str, ...]
    read: Reader | None


def _typed(function: AbiFunction, read: Reader | None) -> TypedCall:
    """A struct of static members is encoded exactly like its members (Solidity ABI specification, `enc` of tuples)."""
    fields = SWAP_EXACT_INPUT_SINGLE_FIELDS if function is SWAP_EXACT_INPUT_SINGLE else function.inputs
    return TypedCall(function.selector_hex, function.name, fields, tuple(kind for kind, _ in fields), read)


TOKEN_CALLS: Final = (_typed(APPROVE, read_approve), _typed(TRANSFER, None))
POOL_CALLS: Final = (_typed(AAVE_SUPPLY, read_supply), _typed(AAVE_WITHDRAW, read_withdraw))
VAULT_CALLS: Final = (_typed(VAULT_DEPOSIT, read_deposit), _typed(VAULT_REDEEM, read_redeem))
ROUTER_CALLS: Final = (_typed(SWAP_EXACT_INPUT_SINGLE, read_swap),)


class Registry(NamedTuple):
    """The table of one catalog."""

    catalog: Catalog
    directory: Directory
    contracts: frozenset[str]
    calls: Mapping[tuple[int, str, str | None], TypedCall]

    def find(self, contract: str, selector: str | None) -> TypedCall | None:
        return self.calls.get((self.catalog.chain_id, contract, selector))

    def read(self, call: DecodedCall) -> Action | None:
        """None for whatever is not listed: unread, readable but never built, or about an unlisted token or reserve."""
        typed = self.find(call.target, call.selector)
        if typed is None or typed.read is None or call.function != typed.name:
            return None
        return typed.read(call, self.directory)


def make_registry(catalog: Catalog) -> Registry:
    directory = make_directory(catalog)
    parts = (
        *((token, TOKEN_CALLS) for token in directory.tokens),
        *((vault, VAULT_CALLS) for vault in directory.vaults),
        (catalog.contracts.aave_pool, POOL_CALLS),
        (catalog.contracts.swap_router, ROUTER_CALLS),
    )
    return Registry(
        catalog=catalog,
        directory=directory,
        contracts=frozenset(contract for contract, _ in parts),
        calls={(catalog.chain_id, contract, call.selector): call for contract, typed in parts for call in typed},
    )


@once
def registry(case: Case) -> Registry:
    return make_registry(case.evidence.catalog)


@once
def readings(case: Case) -> tuple[Action | None, ...]:
    """Each call of the judged batch as an action, in order; None where it is none."""
    return tuple(registry(case).read(call) for call in case.evidence.batch.calls)
