"""The local market's actors: who reports prices, borrows, trades and provides liquidity, one queued call each.

Every function only queues transactions; the scenario decides when a block is mined.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from chain.transactor import Read, Transactor
from chain.uniswap_math import PricedToken, sqrt_price_x96, tick_range
from chain.world_manifest import Manifest
from chain.world_parameters import TICK_SPACING, token_parameters
from domain.market import Token, Venue
from domain.units import to_base_units

FEED_DECIMALS: Final = 8  # Chainlink's USD feeds
UNLIMITED_INPUT: Final = 2**127
"""More than any pool takes before it reaches the price limit, where the router stops pulling."""
FOREVER: Final = 2**64
VARIABLE_RATE: Final = 2  # DataTypes.InterestRateMode.VARIABLE
NOTICEABLE: Final = 200_000  # one part in this many of a square-root price: 0.1 basis points of the price
LIQUIDITY_TICKS: Final = 200
LIQUIDITY_SIDE_USD: Final = Decimal(3_000_000)
SWAP: Final = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
MINT: Final = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"
BORROW: Final = "borrow(address,uint256,uint256,uint16,address)"
REPAY: Final = "repay(address,uint256,uint256,address)"

Prices = Mapping[str, Decimal]


def read_prices(transactor: Transactor, manifest: Manifest) -> dict[str, Decimal]:
    """The feeds' answers in USD by token id."""
    tokens = manifest.catalog.tokens
    answers = transactor.read_integers(*(Read(token.feed, "latestAnswer()", (), "(int256)") for token in tokens))
    return {t.id: Decimal(answer).scaleb(-FEED_DECIMALS) for t, answer in zip(tokens, answers, strict=True)}


def report_prices(transactor: Transactor, manifest: Manifest, prices: Prices) -> None:
    for token_id, price in prices.items():
        feed = manifest.catalog.token(token_id).feed
        transactor.send(manifest.actors.issuer, feed, "report(int256)", to_base_units(price, FEED_DECIMALS))


def move_loans(transactor: Transactor, manifest: Manifest, utilizations: Mapping[str, Decimal]) -> None:
    """Borrow or repay until debt over supply is the given share, per token id."""
    catalog, reads = manifest.catalog, []
    for token_id in utilizations:
        receipt = catalog.strategy(f"aave-{token_id}").receipt
        reads.append(Read(catalog.token(token_id).address, "balanceOf(address)", (receipt,)))
        reads.append(Read(manifest.debt_token(token_id), "totalSupply()"))
    answers = transactor.read_integers(*reads)
    for (token_id, share), idle, debt in zip(utilizations.items(), answers[::2], answers[1::2], strict=True):
        move_loan(transactor, manifest, catalog.token(token_id), change=int((idle + debt) * share) - debt)


def move_loan(transactor: Transactor, manifest: Manifest, token: Token, *, change: int) -> None:
    """Borrow (positive) or repay (negative) base units."""
    pool, borrower = manifest.catalog.contracts.aave_pool, manifest.actors.borrower
    if change > 0:
        transactor.send(borrower, pool, BORROW, token.address, change, VARIABLE_RATE, 0, borrower)
    elif change < 0:
        transactor.send(borrower, pool, REPAY, token.address, -change, VARIABLE_RATE, borrower)


def move_pools(transactor: Transactor, manifest: Manifest, venues: tuple[Venue, ...], prices: Prices) -> None:
    """Trade each pool to the given prices with real swaps, as an arbitrageur would."""
    answers = transactor.read_integers(
        *(Read(venue.pool, "slot0()", (), "(uint160,int24,uint16,uint16,uint16,uint8,bool)") for venue in venues)
    )
    for venue, current in zip(venues, answers, strict=True):
        target = venue_price(manifest, venue, prices)
        if abs(target - current) * NOTICEABLE > current:
            _swap_to(transactor, manifest, venue, target=target, falls=target < current)


def _swap_to(transactor: Transactor, manifest: Manifest, venue: Venue, *, target: int, falls: bool) -> None:
    catalog, trader = manifest.catalog, manifest.actors.trader
    pair = (catalog.token(venue.token_0).address, catalog.token(venue.token_1).address)
    token_in, token_out = pair if falls else pair[::-1]
    arguments = (token_in, token_out, venue.fee_pips, trader, UNLIMITED_INPUT, 0, target)
    transactor.send(trader, catalog.contracts.swap_router, SWAP, arguments)


def add_liquidity(transactor: Transactor, manifest: Manifest, venues: tuple[Venue, ...], prices: Prices) -> None:
    """Market makers follow the price: fresh liquidity closely around it."""
    for venue in venues:
        tokens = [manifest.catalog.token(token_id) for token_id in (venue.token_0, venue.token_1)]
        amounts = [to_base_units(LIQUIDITY_SIDE_USD / prices[token.id], token.decimals) for token in tokens]
        spacing = TICK_SPACING[venue.fee_pips]
        price = venue_price(manifest, venue, prices)
        ticks = tick_range(price, half_width_ticks=LIQUIDITY_TICKS, spacing=spacing)
        issuer = manifest.actors.issuer
        pair = (tokens[0].address, tokens[1].address, venue.fee_pips)
        transactor.send(issuer, manifest.position_manager, MINT, (*pair, *ticks, *amounts, 0, 0, issuer, FOREVER))


def venue_price(manifest: Manifest, venue: Venue, prices: Prices) -> int:
    """sqrtPriceX96 of the venue at USD prices."""
    first, second = (
        PricedToken(manifest.catalog.token(token_id).decimals, prices[token_id])
        for token_id in (venue.token_0, venue.token_1)
    )
    return sqrt_price_x96(first, second)


def set_reward(transactor: Transactor, manifest: Manifest, strategy_id: str, *, yearly_tokens: Decimal) -> None:
    """Change what a vault streams, in whole tokens per year."""
    strategy = manifest.catalog.strategy(strategy_id)
    decimals = token_parameters(strategy.token).decimals
    per_second = to_base_units(yearly_tokens, decimals) // 31_536_000
    transactor.send(manifest.actors.issuer, strategy.contract, "setRewardPerSecond(uint256)", per_second)
