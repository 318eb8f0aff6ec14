"""What a built world says about itself: addresses, actors and the state it belongs to. Values only."""

from __future__ import annotations

from typing import Final

from domain.market import Catalog
from domain.units import Address, Digest, Slug, Value

WORLD_FORMAT: Final = 1
GENESIS_TIME: Final = 1_756_728_000
"""2025-09-01 12:00 UTC, the world's day 0; fixed, so that two builds give the same world."""


class Actors(Value):
    """Accounts of anvil's default mnemonic, by what they do. The operator is the catalog's."""

    issuer: Address
    """Account 0: deploys, mints, reports prices, provides liquidity, owns the vaults."""
    borrower: Address
    """Account 2: supplies Aave and borrows from it."""
    trader: Address
    """Account 3: keeps the pools at the feeds' prices."""
    depositor: Address
    """Account 4: the other money in the vaults."""


class DebtToken(Value):
    """Aave's variable debt token of one token."""

    token: Slug
    address: Address


class Manifest(Value):
    """Stands beside the state file; the digest tells a whole file from a damaged one."""

    format: int
    state_sha256: Digest
    head_number: int
    head_time: int
    """Unix seconds of the head, where the clock goes on after a load."""
    catalog: Catalog
    actors: Actors
    debt_tokens: tuple[DebtToken, ...]
    aave_provider: Address
    aave_configurator: Address
    aave_oracle: Address
    uniswap_factory: Address
    position_manager: Address
    safe_singleton: Address
    safe_proxy_factory: Address
    safe_fallback_handler: Address

    def debt_token(self, token_id: str) -> str:
        return next(debt.address for debt in self.debt_tokens if debt.token == token_id)
