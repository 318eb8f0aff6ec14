"""What we may touch (catalog) and what we saw there (observations, snapshots, histories)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Self, TypeVar

from pydantic import Field, model_validator

from domain.digest import digest_of
from domain.errors import UnknownSubject
from domain.units import Address, Decimals, ExactDecimal, Hash32, Ratio, Slug, Uint256, UtcDatetime, Value

Entry = TypeVar("Entry")


class StrategyKind(StrEnum):
    AAVE_V3 = "aave_v3"
    ERC4626 = "erc4626"


class Token(Value):
    """An ERC-20 this account may hold. Decimals are checked against the chain before anything is signed."""

    id: Slug
    address: Address
    decimals: Decimals
    issuer: Slug
    feed: Address
    feed_heartbeat_seconds: int = Field(gt=0)
    is_stable: bool = False


class Strategy(Value):
    """A place that pays a yield on one token. `contract` is the Aave pool or the vault; `receipt` what we hold."""

    id: Slug
    kind: StrategyKind
    protocol: Slug
    token: Slug
    contract: Address
    receipt: Address
    receipt_decimals: Decimals
    oracles: tuple[Slug, ...] = ()
    """Price sources that the strategy itself relies on."""
    collateral: tuple[Slug, ...] = ()
    """What its borrowers owe against."""
    factors: tuple[Slug, ...] = ()
    """Further risks that strategies share: underlying protocols, one owner's key, one operator."""


class Venue(Value):
    """A Uniswap v3 pool: one pair at one fee tier."""

    id: Slug
    pool: Address
    token_0: Slug
    token_1: Slug
    fee_pips: int = Field(gt=0, lt=1_000_000)
    """Hundredths of a basis point, as in IUniswapV3Pool.fee()."""


class Contracts(Value):
    """The fixed infrastructure of one chain."""

    aave_pool: Address
    aave_data_provider: Address
    swap_router: Address
    quoter: Address
    multicall: Address
    multisend_call_only: Address
    permit2: Address
    sequencer_feed: Address | None = None
    """Chainlink's sequencer uptime feed, on rollups."""


class Catalog(Value):
    """Everything this account may touch on one chain: the allowlist, read from config/strategies.toml."""

    chain_id: int = Field(gt=0)
    account: Address
    """The Safe that holds the money."""
    operator: Address
    """The Safe owner whose key sends transactions."""
    reserve_token: Slug
    native_token: Slug
    """The wrapped native token, whose feed prices gas."""
    contracts: Contracts
    tokens: tuple[Token, ...]
    strategies: tuple[Strategy, ...]
    venues: tuple[Venue, ...]

    @model_validator(mode="after")
    def _references_resolve(self) -> Self:
        for group in (self.tokens, self.strategies, self.venues):
            ids = [entry.id for entry in group]
            if len(ids) != len(set(ids)):
                raise ValueError(f"ids must be unique, got {ids}")
        known = {token.id for token in self.tokens}
        used = {self.reserve_token, self.native_token, *(s.token for s in self.strategies)}
        used |= {v.token_0 for v in self.venues} | {v.token_1 for v in self.venues}
        if used - known:
            raise ValueError(f"tokens {sorted(used - known)} are used but not listed under tokens")
        return self

    @cached_property
    def _tokens_by_id(self) -> dict[str, Token]:
        return {token.id: token for token in self.tokens}

    @cached_property
    def _strategies_by_id(self) -> dict[str, Strategy]:
        return {strategy.id: strategy for strategy in self.strategies}

    def digest(self) -> str:
        return digest_of(self, domain="autofi-catalog-v1")

    def token(self, token_id: str) -> Token:
        return _find(self._tokens_by_id, token_id, "token")

    def strategy(self, strategy_id: str) -> Strategy:
        return _find(self._strategies_by_id, strategy_id, "strategy")

    def token_at(self, address: str) -> Token | None:
        return next((token for token in self.tokens if token.address == address), None)

    def venues_between(self, token_a: str, token_b: str) -> tuple[Venue, ...]:
        pair = {token_a, token_b}
        return tuple(venue for venue in self.venues if {venue.token_0, venue.token_1} == pair)


def _find(entries: dict[str, Entry], key: str, kind: str) -> Entry:
    if key not in entries:
        raise UnknownSubject(f"{kind} {key!r} is not in the catalog, which lists {sorted(entries)}")
    return entries[key]


class PriceObservation(Value):
    """One source's USD price of one token. `observed_at` is when the source last updated, not when we asked."""

    token: Slug
    source: Slug
    price_usd: ExactDecimal = Field(gt=Decimal(0))
    observed_at: UtcDatetime


class RateCurve(Value):
    """Aave's two-slope borrow curve, fractions of one, annual simple (DefaultReserveInterestRateStrategy)."""

    base: Ratio = Field(ge=0)
    slope_1: Ratio = Field(ge=0)
    slope_2: Ratio = Field(ge=0)
    optimal_utilization: Ratio = Field(gt=0, lt=1)
    reserve_factor: Ratio = Field(ge=0, lt=1)


class RateObservation(Value):
    """One strategy at one block: its rate and how much can leave."""

    strategy: Slug
    source: Slug
    chain_id: int
    block_number: int = Field(ge=0)
    observed_at: UtcDatetime
    supply_apr: Ratio
    supplied: Uint256
    borrowed: Uint256 | None
    """None where the strategy does not lend."""
    withdrawable: Uint256
    """What could be withdrawn by everybody together now, in base units of the token."""
    share_price: ExactDecimal = Field(gt=Decimal(0))
    """Tokens per receipt token (1 for an aToken)."""
    curve: RateCurve | None = None
    is_paused: bool = False

    @property
    def utilization(self) -> float | None:
        if self.borrowed is None or self.supplied == 0:
            return None
        return self.borrowed / self.supplied


class SequencerReading(Value):
    """What the sequencer uptime feed says."""

    is_up: bool
    since: UtcDatetime


class MarketSnapshot(Value):
    """All readings of one block; what a decision is based on."""

    chain_id: int
    block_number: int = Field(ge=0)
    block_hash: Hash32
    block_time: UtcDatetime
    taken_at: UtcDatetime
    base_fee_wei: Uint256
    priority_fee_wei: Uint256
    prices: tuple[PriceObservation, ...]
    rates: tuple[RateObservation, ...]
    sequencer: SequencerReading | None = None
    """None where the catalog names no feed, or the feed could not be read."""

    @cached_property
    def _prices_by_token(self) -> dict[str, tuple[PriceObservation, ...]]:
        grouped: dict[str, list[PriceObservation]] = {}
        for price in self.prices:
            grouped.setdefault(price.token, []).append(price)
        return {token: tuple(prices) for token, prices in grouped.items()}

    @cached_property
    def _rates_by_strategy(self) -> dict[str, RateObservation]:
        readings = Counter(rate.strategy for rate in self.rates)
        return {rate.strategy: rate for rate in self.rates if readings[rate.strategy] == 1}

    def prices_of(self, token_id: str) -> tuple[PriceObservation, ...]:
        return self._prices_by_token.get(token_id, ())

    def price_usd(self, token_id: str) -> Decimal | None:
        """The lowest of the token's sources: holdings are valued against ourselves. None when unpriced."""
        return min((price.price_usd for price in self.prices_of(token_id)), default=None)

    def rate(self, strategy_id: str) -> RateObservation | None:
        """None when it was not read, or twice: nobody says which of two readings of one block is right."""
        return self._rates_by_strategy.get(strategy_id)

    def digest(self) -> str:
        return digest_of(self, domain="autofi-snapshot-v1")


class DailySeries(Value):
    """One strategy's or token's daily values, oldest first, aligned to MarketHistory.days."""

    subject: Slug
    values: tuple[Ratio | None, ...]
    """None marks a day without an observation: unknown, never zero."""


class MarketHistory(Value):
    """Aligned daily history up to and including the snapshot's day: the tools' only view of the past."""

    days: tuple[UtcDatetime, ...]
    supply_apr: tuple[DailySeries, ...]
    """Fractions of one, annual simple, per strategy."""
    share_price: tuple[DailySeries, ...]
    """Tokens per receipt token, per strategy: a slash shows as a fall."""
    price_usd: tuple[DailySeries, ...]
    """Per token."""
    supplied: tuple[DailySeries, ...] = ()
    """Base units of the token as float64, per strategy: for trends, never an amount. Histories of old have none."""
    utilization: tuple[DailySeries, ...] = ()
    """Borrowed over supplied, per strategy that lends."""

    @model_validator(mode="after")
    def _days_rise_and_series_match_them(self) -> Self:
        for row, (before, day) in enumerate(pairwise(self.days), start=1):
            if day <= before:
                raise ValueError(f"column days, row {row}: must be later than row {row - 1}, {before}, got {day}")
        for kind in (self.supply_apr, self.share_price, self.price_usd, self.supplied, self.utilization):
            for row, series in enumerate(kind):
                if any(earlier.subject == series.subject for earlier in kind[:row]):
                    raise ValueError(f"series {series.subject}, row {row}: a subject has one series per kind")
                if len(series.values) != len(self.days):
                    raise ValueError(f"series {series.subject} has {len(series.values)} values, {len(self.days)} days")
        return self


class Forecast(Value):
    """A strategy's expected supply APR over the horizon with its interval, fractions of one, annual simple."""

    strategy: Slug
    horizon_days: int = Field(gt=0)
    expected_apr: Ratio
    lower_apr: Ratio
    upper_apr: Ratio
    confidence: Ratio = Field(gt=0, lt=1)
    sample_days: int = Field(ge=0)
    model: Slug
    """Who speaks: persistence, ewma or ewma-3d, or pooled-..., the trained model shrunk towards what it names."""
    persistence_apr: Ratio | None = None
    """The last rate seen."""
    average_apr: Ratio | None = None
    """The spike-proof exponential average."""
    error_over_persistence: Ratio | None = Field(default=None, ge=0)
    """Mean absolute error of who speaks over that of persistence, on the past; None where it was not scored."""


class QuotedSwap(Value):
    """What a venue would pay for an exact input now; from QuoterV2, never from the pool's spot price."""

    venue: Slug
    token_in: Slug
    token_out: Slug
    amount_in: Uint256
    amount_out: Uint256
    block_number: int
