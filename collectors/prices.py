"""Prices by two independent sources: the Chainlink feed, and the Uniswap v3 pool against the reserve token."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from collectors.answers import Answers, Question, ask
from domain import abi
from domain.errors import StaleOrDisputed
from domain.market import Catalog, PriceObservation, Token, Venue
from domain.ports import BlockHeader, ChainReads
from domain.units import EXACT, MAX_DECIMALS, divide, to_tokens

ORACLE: Final = "oracle"
MARKET: Final = "uniswap"
Q192: Final = 2**192  # sqrtPriceX96 squared, Uniswap v3 core SqrtPriceMath

logger = logging.getLogger(__name__)


class _TokenQuestions(NamedTuple):
    decimals: Question
    feed_decimals: Question
    round: Question


class OnchainPrices:
    """The market price of a token is its pool's price times the other token's oracle price."""

    def __init__(self, reads: ChainReads, catalog: Catalog) -> None:
        self._reads = reads
        self._catalog = catalog

    def read(self, header: BlockHeader) -> tuple[PriceObservation, ...]:
        """Oracle and market price of each token, where they answer.

        Raises ChainUnavailable, and StaleOrDisputed when a token's decimals are not the catalog's.
        """
        asked = {token.id: _token_questions(token) for token in self._catalog.tokens}
        venues = {token.id: self._reference_venue(token.id) for token in self._catalog.tokens}
        pools = [_pool_question(venue) for venue in venues.values() if venue is not None]
        answers = ask(self._reads, [*(question for group in asked.values() for question in group), *pools], header)
        for token in self._catalog.tokens:
            _check_decimals(token, answers.integer(asked[token.id].decimals))
        oracle = {
            token.id: price
            for token in self._catalog.tokens
            if (price := _oracle_price(token.id, asked[token.id], answers, header)) is not None
        }
        market = [
            self._market_price(token.id, venues[token.id], oracle, answers, header) for token in self._catalog.tokens
        ]
        return (*oracle.values(), *(price for price in market if price is not None))

    def _reference_venue(self, token_id: str) -> Venue | None:
        """The cheapest pool against the reserve token; for the reserve token, against the first other stable token."""
        reserve = self._catalog.reserve_token
        others = [reserve]
        if token_id == reserve:
            others = [token.id for token in self._catalog.tokens if token.is_stable and token.id != reserve]
        for other in others:
            venues = self._catalog.venues_between(token_id, other)
            if venues:
                return min(venues, key=lambda venue: (venue.fee_pips, venue.id))
        return None

    def _market_price(
        self,
        token_id: str,
        venue: Venue | None,
        oracle: dict[str, PriceObservation],
        answers: Answers,
        header: BlockHeader,
    ) -> PriceObservation | None:
        if venue is None:
            return None
        other = venue.token_1 if venue.token_0 == token_id else venue.token_0
        sqrt_price = answers.integer(_pool_question(venue))
        if not sqrt_price or other not in oracle:
            logger.warning("price_unreadable token=%s source=%s block=%s", token_id, MARKET, header.number)
            return None
        in_other = self._price_in_other(token_id, venue, sqrt_price)
        price_usd = EXACT.multiply(in_other, oracle[other].price_usd)
        if not price_usd:
            return None
        return PriceObservation(token=token_id, source=MARKET, price_usd=_rounded(price_usd), observed_at=header.time)

    def _price_in_other(self, token_id: str, venue: Venue, sqrt_price: int) -> Decimal:
        """How many of the venue's other token one token is worth, at the pool's current price."""
        units_0 = Decimal(10 ** self._catalog.token(venue.token_0).decimals)
        units_1 = Decimal(10 ** self._catalog.token(venue.token_1).decimals)
        token_1_side = EXACT.multiply(Decimal(sqrt_price**2), units_0)
        token_0_side = EXACT.multiply(Decimal(Q192), units_1)
        if token_id == venue.token_0:
            return divide(token_1_side, token_0_side)
        return divide(token_0_side, token_1_side)


def _token_questions(token: Token) -> _TokenQuestions:
    return _TokenQuestions(
        decimals=Question(token.address, abi.DECIMALS),
        feed_decimals=Question(token.feed, abi.DECIMALS),
        round=Question(token.feed, abi.LATEST_ROUND_DATA),
    )


def _pool_question(venue: Venue) -> Question:
    return Question(venue.pool, abi.SLOT_0)


def _check_decimals(token: Token, observed: int | None) -> None:
    if observed != token.decimals:
        raise StaleOrDisputed(f"token {token.id} has {observed} decimals on chain, expected {token.decimals}")


def _oracle_price(
    token_id: str, asked: _TokenQuestions, answers: Answers, header: BlockHeader
) -> PriceObservation | None:
    """None for an unfinished, negative or future round; its age is judged by the guards."""
    latest = answers.integers(asked.round)
    decimals = answers.integer(asked.feed_decimals)
    if latest is None or decimals is None or decimals > MAX_DECIMALS:
        logger.warning("price_unreadable token=%s source=%s", token_id, ORACLE)
        return None
    round_id, answer, _, updated_at, answered_in_round = latest
    is_dated = 0 < updated_at <= header.time.timestamp()
    if answer <= 0 or not is_dated or answered_in_round < round_id:
        logger.warning("price_incomplete token=%s source=%s answer=%s round=%s", token_id, ORACLE, answer, round_id)
        return None
    return PriceObservation(
        token=token_id,
        source=ORACLE,
        price_usd=to_tokens(answer, decimals),
        observed_at=datetime.fromtimestamp(updated_at, tz=UTC),
    )


def _rounded(price_usd: Decimal) -> Decimal:
    return price_usd.quantize(Decimal("1e-18"), context=EXACT)
