"""What the account held and what that was worth at one block, by balances, feeds and pools read from the chain."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from domain.market import Catalog, Strategy, StrategyKind, Token, Venue
from tests.redteam.audit_chain import Chain, View

SLOT_0 = ("uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool")
ROUND = ("uint80", "int256", "uint256", "uint256", "uint80")
Q96 = 2**96

Line = tuple[str, str]
"""Token id and strategy id; the strategy of cash is empty."""


class Quote(NamedTuple):
    """One token at one block: what the feed answers, when it did, and what the reference pool pays."""

    feed: Fraction | None
    updated_at: int
    pool: Fraction | None

    def prices(self) -> list[Fraction]:
        return [price for price in (self.feed, self.pool) if price is not None and price > 0]


class Pool(NamedTuple):
    """Of one strategy: all that is in it, and how much could leave at once; None where it does not answer."""

    supplied: int | None
    withdrawable: int | None


class Book(NamedTuple):
    """Holdings in base units of each line's token, shares of vaults apart, with prices and pools of the same block."""

    block: int
    time: int
    base_fee: int
    lines: dict[Line, int]
    native: int
    quotes: dict[str, Quote]
    pools: dict[str, Pool]

    def held(self, token: str, strategy: str = "") -> int:
        return self.lines.get((token, strategy), 0)

    def price(self, token: str) -> Fraction | None:
        """The lowest source: holdings are valued against ourselves."""
        return min(self.quotes[token].prices(), default=None)

    def highest(self, token: str) -> Fraction | None:
        return max(self.quotes[token].prices(), default=None)


def worth(amount: int, price: Fraction | None, token: Token) -> Fraction | None:
    return None if price is None else price * amount / 10**token.decimals


def read_book(chain: Chain, catalog: Catalog, *, block: int) -> Book:
    """Raises RuntimeError where a balance of the account cannot be read: then nothing can be audited."""
    header = chain.header(block)
    return Book(
        block=block,
        time=header.time,
        base_fee=header.base_fee,
        lines=_lines(chain, catalog, block),
        native=chain.native(catalog.account, block=block),
        quotes=_quotes(chain, catalog, block),
        pools=dict(_pools(chain, catalog, block)),
    )


def _lines(chain: Chain, catalog: Catalog, block: int) -> dict[Line, int]:
    contracts = {(token.id, ""): token.address for token in catalog.tokens}
    contracts |= {(strategy.token, strategy.id): strategy.receipt for strategy in catalog.strategies}
    asked = [View(contract, "balanceOf(address)", (catalog.account,)) for contract in contracts.values()]
    held = dict(zip(contracts, chain.integers(asked, block=block), strict=True))
    unread = [line for line, amount in held.items() if amount is None]
    if unread:
        raise RuntimeError(f"balances of {unread} cannot be read at block {block}")
    shares = {line: amount for line, amount in held.items() if amount}
    return _redeemed(chain, catalog, shares, block)


def _redeemed(chain: Chain, catalog: Catalog, held: dict[Line, int], block: int) -> dict[Line, int]:
    """Vault shares at what they redeem for; an aToken is its own amount. A vault that is silent counts as lost."""
    vaults = {s.id: s for s in catalog.strategies if s.kind is StrategyKind.ERC4626}
    inside = [(line, amount) for line, amount in held.items() if line[1] in vaults]
    asked = [View(vaults[line[1]].contract, "previewRedeem(uint256)", (amount,)) for line, amount in inside]
    answers = chain.integers(asked, block=block)
    return held | {line: answer or 0 for (line, _), answer in zip(inside, answers, strict=True)}


def _quotes(chain: Chain, catalog: Catalog, block: int) -> dict[str, Quote]:
    feeds = dict(zip([t.id for t in catalog.tokens], _feeds(chain, catalog, block), strict=True))
    return {
        token.id: Quote(*feeds[token.id], pool=_pool_price(chain, catalog, token, feeds, block))
        for token in catalog.tokens
    }


def _feeds(chain: Chain, catalog: Catalog, block: int) -> Iterator[tuple[Fraction | None, int]]:
    rounds = chain.views([View(t.feed, "latestRoundData()", (), ROUND) for t in catalog.tokens], block=block)
    decimals = chain.integers([View(t.feed, "decimals()") for t in catalog.tokens], block=block)
    for answer, places in zip(rounds, decimals, strict=True):
        price = None if answer is None else int(str(answer[1]))
        if answer is None or places is None or price is None or price <= 0:
            yield None, 0
        else:
            yield Fraction(price, 10**places), int(str(answer[3]))


def _pool_price(
    chain: Chain, catalog: Catalog, token: Token, feeds: dict[str, tuple[Fraction | None, int]], block: int
) -> Fraction | None:
    """The cheapest pool against the reserve token; the reserve itself against the first other stable token."""
    venue = _reference_venue(catalog, token)
    if venue is None:
        return None
    other = catalog.token(venue.token_1 if venue.token_0 == token.id else venue.token_0)
    (state,) = chain.views([View(venue.pool, "slot0()", (), SLOT_0)], block=block)
    root, other_price = (int(str(state[0])) if state else 0), feeds[other.id][0]
    if not root or other_price is None:
        return None
    second_per_first = Fraction(root**2, Q96**2) / Fraction(10) ** (
        catalog.token(venue.token_1).decimals - catalog.token(venue.token_0).decimals
    )
    return other_price * (second_per_first if venue.token_0 == token.id else 1 / second_per_first)


def _reference_venue(catalog: Catalog, token: Token) -> Venue | None:
    others = [catalog.reserve_token]
    if token.id == catalog.reserve_token:
        others = [other.id for other in catalog.tokens if other.is_stable and other.id != token.id]
    for other in others:
        if venues := catalog.venues_between(token.id, other):
            return min(venues, key=lambda venue: (venue.fee_pips, venue.id))
    return None


def _pools(chain: Chain, catalog: Catalog, block: int) -> Iterator[tuple[str, Pool]]:
    asked = [view for strategy in catalog.strategies for view in _pool_views(strategy, catalog)]
    answers = chain.integers(asked, block=block)
    for index, strategy in enumerate(catalog.strategies):
        supplied, cash, liquidity = answers[3 * index : 3 * index + 3]
        withdrawable = cash if strategy.kind is StrategyKind.AAVE_V3 or liquidity is None else liquidity
        yield strategy.id, Pool(supplied, withdrawable)


def _pool_views(strategy: Strategy, catalog: Catalog) -> tuple[View, View, View]:
    """Supply, own cash, and the liquidity that some vaults publish."""
    total = "totalSupply()" if strategy.kind is StrategyKind.AAVE_V3 else "totalAssets()"
    place = strategy.receipt if strategy.kind is StrategyKind.AAVE_V3 else strategy.contract
    cash = View(catalog.token(strategy.token).address, "balanceOf(address)", (place,))
    return View(place, total), cash, View(place, "availableLiquidity()")
