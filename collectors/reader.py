"""The chain as a MarketReader: one block's header, then rates, prices, sequencer, holdings and quotes there."""

from __future__ import annotations

import logging

from collectors.onchain_rates import OnchainRates
from collectors.pools import read_pools
from collectors.portfolio import AccountReads
from collectors.prices import OnchainPrices
from collectors.quality import sift
from collectors.quotes import read_quote
from collectors.sequencer import read_sequencer
from collectors.vaults import Previous
from domain.errors import StaleOrDisputed, UnknownSubject
from domain.market import Catalog, MarketSnapshot, QuotedSwap, Venue
from domain.pools import TickPool
from domain.portfolio import Portfolio
from domain.ports import ChainReads, Clock, MarketReader

logger = logging.getLogger(__name__)


class ChainMarketReader(MarketReader):
    """`previous` finds a stored observation, for vaults that book their yield now and then."""

    def __init__(self, reads: ChainReads, catalog: Catalog, clock: Clock, *, previous: Previous | None = None) -> None:
        self._reads = reads
        self._catalog = catalog
        self._clock = clock
        self._rates = OnchainRates(reads, catalog, previous=previous)
        self._prices = OnchainPrices(reads, catalog)
        self._account = AccountReads(catalog)

    def head(self) -> tuple[int, str]:
        header = self._reads.header()
        return header.number, header.hash

    def snapshot(self, block_number: int | None = None) -> MarketSnapshot:
        header = self._reads.header(block_number)
        observed = MarketSnapshot(
            chain_id=header.chain_id,
            block_number=header.number,
            block_hash=header.hash,
            block_time=header.time,
            taken_at=self._clock.now(),
            base_fee_wei=header.base_fee_wei,
            priority_fee_wei=self._reads.priority_fee_wei(),
            prices=self._prices.read(header),
            rates=self._rates.read(header),
            sequencer=read_sequencer(self._reads, self._catalog, header),
        )
        sifted = sift(observed)
        for rejection in sifted.rejections:
            logger.warning("reading_rejected subject=%s source=%s reason=%s", *rejection)
        return sifted.snapshot

    def portfolio(self, block_number: int | None = None) -> Portfolio:
        header = self._reads.header(block_number)
        results = self._reads.read_many(self._account.calls(), block_number=header.number)
        native_wei = self._reads.native_balance_wei(self._catalog.account, block_number=header.number)
        return self._account.decode(results, header=header, native_wei=native_wei)

    def quote(self, *, venue: str, token_in: str, token_out: str, amount_in: int) -> QuotedSwap:
        found = self._venue(venue)
        if {token_in, token_out} != {found.token_0, found.token_1}:
            raise UnknownSubject(
                f"venue {venue} trades {found.token_0} and {found.token_1}, not {token_in}-{token_out}"
            )
        header = self._reads.header()
        return read_quote(self._reads, self._catalog, header, venue=found, token_in=token_in, amount_in=amount_in)

    def pools(self, token_a: str, token_b: str) -> tuple[TickPool, ...]:
        """A swap can do without: it is then made at one venue, at the quote."""
        try:
            return read_pools(self._reads, self._reads.header(), self._catalog.venues_between(token_a, token_b))
        except StaleOrDisputed as error:
            logger.warning("pools_unreliable pair=%s-%s reason=%s", token_a, token_b, error)
            return ()

    def _venue(self, venue_id: str) -> Venue:
        for venue in self._catalog.venues:
            if venue.id == venue_id:
                return venue
        raise UnknownSubject(
            f"venue {venue_id!r} is not in the catalog, which lists {len(self._catalog.venues)} venues"
        )
