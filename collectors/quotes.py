"""What a venue would pay now, asked of Uniswap's QuoterV2, which runs the swap and reverts it."""

from __future__ import annotations

from collectors.answers import Answers, Question
from domain import abi
from domain.errors import StaleOrDisputed, UnknownSubject
from domain.market import Catalog, QuotedSwap, Venue
from domain.ports import BlockHeader, ChainReads

NO_PRICE_LIMIT = 0


def read_quote(
    reads: ChainReads, catalog: Catalog, header: BlockHeader, *, venue: Venue, token_in: str, amount_in: int
) -> QuotedSwap:
    """Raises UnknownSubject for a token the venue does not trade, StaleOrDisputed when it pays nothing."""
    token_out = _other_token(venue, token_in)
    order = (
        catalog.token(token_in).address,
        catalog.token(token_out).address,
        amount_in,
        venue.fee_pips,
        NO_PRICE_LIMIT,
    )
    question = Question(catalog.contracts.quoter, abi.QUOTE_EXACT_INPUT_SINGLE, (order,))
    results = reads.read_many([question.to_call()], block_number=header.number)
    amount_out = Answers([question], results).integer(question)
    if not amount_out:
        raise StaleOrDisputed(
            f"venue {venue.id} pays no {token_out} for {amount_in} base units of {token_in} at block {header.number}"
        )
    return QuotedSwap(
        venue=venue.id,
        token_in=token_in,
        token_out=token_out,
        amount_in=amount_in,
        amount_out=amount_out,
        block_number=header.number,
    )


def _other_token(venue: Venue, token_id: str) -> str:
    if token_id not in (venue.token_0, venue.token_1):
        raise UnknownSubject(f"venue {venue.id} trades {venue.token_0} and {venue.token_1}, not {token_id}")
    return venue.token_1 if token_id == venue.token_0 else venue.token_0
