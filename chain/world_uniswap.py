"""Builds Uniswap v3: factory, router, quoter, position manager, and pools with liquidity at the feeds' prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from chain.transactor import Read
from chain.uniswap_math import PricedToken, sqrt_price_x96, tick_range
from chain.world_parameters import (
    TICK_SPACING,
    VENUES,
    PositionParameters,
    TokenParameters,
    VenueParameters,
    token_parameters,
)
from chain.world_site import Site, base_units
from domain.market import Venue

ZERO: Final = "0x" + "00" * 20
FOREVER: Final = 2**64
MINT: Final = "mint((address,address,uint24,int24,int24,uint256,uint256,uint256,uint256,address,uint256))"


class Exchange(NamedTuple):
    """Addresses of the exchange, and the venues."""

    factory: str
    router: str
    quoter: str
    position_manager: str
    venues: tuple[Venue, ...]


def build_uniswap(site: Site) -> Exchange:
    factory = site.deploy("UniswapV3Factory")
    site.send(factory, "enableFeeAmount(uint24,int24)", 100, TICK_SPACING[100])
    wrapped = site.tokens["weth"]
    manager = site.deploy("NonfungiblePositionManager", factory, wrapped, ZERO)
    router = site.deploy("SwapRouter02", ZERO, factory, manager, wrapped)
    quoter = site.deploy("QuoterV2", factory, wrapped)
    for token_id in site.tokens:
        site.approve(token_id, manager, sender=site.actors.issuer)
        site.approve(token_id, router, sender=site.actors.trader)
    site.mine()
    for venue in VENUES:
        _create_pool(site, venue, manager)
    site.mine()
    return Exchange(factory, router, quoter, manager, _read_venues(site, factory))


def _create_pool(site: Site, venue: VenueParameters, manager: str) -> None:
    first, second = ordered_tokens(site, venue)
    price = sqrt_price_x96(_priced(first), _priced(second))
    pair = (site.tokens[first.id], site.tokens[second.id], venue.fee_pips)
    site.send(manager, "createAndInitializePoolIfNecessary(address,address,uint24,uint160)", *pair, price)
    for position in venue.positions:
        ticks = tick_range(price, half_width_ticks=position.half_width_ticks, spacing=TICK_SPACING[venue.fee_pips])
        amounts = (_side(first, position), _side(second, position))
        site.send(manager, MINT, (*pair, *ticks, *amounts, 0, 0, site.actors.issuer, FOREVER))


def ordered_tokens(site: Site, venue: VenueParameters) -> tuple[TokenParameters, TokenParameters]:
    """By address, as the pool orders them."""
    first, second = sorted((venue.token_a, venue.token_b), key=lambda token_id: int(site.tokens[token_id], 16))
    return token_parameters(first), token_parameters(second)


def _side(token: TokenParameters, position: PositionParameters) -> int:
    return base_units(token.id, position.side_usd / token.price_usd)


def _priced(token: TokenParameters) -> PricedToken:
    return PricedToken(token.decimals, Decimal(str(token.price_usd)))


def _read_venues(site: Site, factory: str) -> tuple[Venue, ...]:
    reads = []
    for venue in VENUES:
        pair = (site.tokens[venue.token_a], site.tokens[venue.token_b])
        reads.append(Read(factory, "getPool(address,address,uint24)", (*pair, venue.fee_pips)))
    pools = site.transactor.read_addresses(*reads)
    venues = []
    for venue, pool in zip(VENUES, pools, strict=True):
        first, second = ordered_tokens(site, venue)
        fields = {"token_0": first.id, "token_1": second.id, "fee_pips": venue.fee_pips}
        venues.append(Venue.model_validate({"id": venue.id, "pool": pool, **fields}))
    return tuple(venues)
