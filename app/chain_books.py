"""Comparing the chain with the books: books that miss transactions were rolled back, or the key is used elsewhere."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.safe_account import safe_nonce
from domain.chain_use import BEHIND, UNIT, ChainUse, trips_behind
from domain.errors import ChainUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.stores import Stores
    from chain.client import ChainClient
    from domain.breakers import Trip
    from domain.market import Catalog
    from domain.ports import Clock
    from memory.chain_base import ChainBase

logger = logging.getLogger(__name__)

ACCEPT: Final = "autofi books accept --reason WHY --yes"


def read_use(client: ChainClient, catalog: Catalog) -> ChainUse:
    """Raises ChainUnavailable."""
    return ChainUse(
        chain_id=catalog.chain_id,
        operator=catalog.operator,
        account=catalog.account,
        operator_count=client.nonce(catalog.operator),
        safe_count=safe_nonce(client, catalog.account),
    )


def unused(catalog: Catalog) -> ChainUse:
    return ChainUse(
        chain_id=catalog.chain_id,
        operator=catalog.operator,
        account=catalog.account,
        operator_count=0,
        safe_count=0,
    )


@dataclass(frozen=True, slots=True)
class ChainBooks:
    """Mode shadow does not look: it sends nothing, and its account lives on without it."""

    stores: Stores
    look: Callable[[], ChainUse]
    """What the chain shows now. Raises ChainUnavailable."""
    clock: Clock
    mode: str

    def trips(self) -> tuple[Trip, ...]:
        """The chain is read first: what is journaled meanwhile only makes the books know more."""
        if self.mode == "shadow":
            return ()
        seen = self.look()
        return trips_behind(seen, self.stores.chain_bases.known(seen))

    def halt_if_behind(self) -> None:
        """A chain that does not answer halts nothing: without it nothing can be sent either."""
        with suppress(ChainUnavailable):
            if trips := self.trips():
                logger.error("%s %s", BEHIND, "; ".join(trip.sentence() for trip in trips))
                self.stores.trading_state.tighten(trips, at=self.clock.now())

    def problem(self) -> str | None:
        """For a person; None where the books know all that the chain shows."""
        told = [
            f"the chain shows {trip.observed} {UNIT} of {trip.subject}, the books know {trip.limit}"
            for trip in self.trips()
        ]
        if not told:
            return None
        return f"{BEHIND}: {'; '.join(told)}; only exits pass until somebody has looked and accepts: {ACCEPT}"

    def accept(self, *, by: str, reason: str) -> ChainBase:
        """An operator's act, journaled; trading stays as it is, which is halted."""
        seen = self.look()
        return self.stores.chain_bases.record(seen, by=by, reason=reason, at=self.clock.now())
