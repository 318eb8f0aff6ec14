"""One rate observation per catalogued strategy, from its own contracts at one block.

A strategy whose contracts do not answer is left out and logged: unknown, never zero.
"""

from __future__ import annotations

import logging

from collectors.aave_reserves import read_reserves
from collectors.vaults import Previous, read_vaults
from domain.market import Catalog, RateObservation
from domain.ports import BlockHeader, ChainReads

logger = logging.getLogger(__name__)


class OnchainRates:
    """Aave v3 reserves by their data provider, ERC-4626 vaults by their share price."""

    def __init__(self, reads: ChainReads, catalog: Catalog, *, previous: Previous | None = None) -> None:
        self._reads = reads
        self._catalog = catalog
        self._previous = previous

    def read(self, header: BlockHeader) -> tuple[RateObservation, ...]:
        """In catalog order. Raises ChainUnavailable."""
        found = {
            **read_reserves(self._reads, self._catalog, header),
            **read_vaults(self._reads, self._catalog, header, previous=self._previous),
        }
        for strategy in self._catalog.strategies:
            if strategy.id not in found:
                logger.warning("rate_unreadable strategy=%s block=%s", strategy.id, header.number)
        return tuple(found[strategy.id] for strategy in self._catalog.strategies if strategy.id in found)
