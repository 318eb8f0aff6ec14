"""Moves the local market through real transactions of its actors: ordinary days, and what goes wrong on bad ones.

Deterministic: the same steps on the same state give the same chain. The treasury's own account is never touched.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from chain import market_actors
from chain.anvil import NodeRpc
from chain.market_walk import market_day
from chain.transactor import CALM_BASE_FEE_WEI, Transactor
from chain.world_manifest import GENESIS_TIME, Manifest
from chain.world_parameters import VAULTS
from domain.errors import ConfigurationInvalid
from domain.market import Venue
from domain.units import BPS_PER_ONE, SECONDS_PER_DAY

SECONDS_PER_HOUR: Final = 3_600
STALL_MARGIN_SECONDS: Final = 3_600
SLASHABLE: Final = "vault-slashable-usdc"


class Scenario:
    """Commands over one local chain; each returns when its blocks are mined."""

    def __init__(self, rpc: NodeRpc, manifest: Manifest) -> None:
        self._rpc = rpc
        self._manifest = manifest
        self._transactor = Transactor(rpc)
        self._vault_deposits = {vault.id: Decimal(vault.deposited) for vault in VAULTS}

    @property
    def day(self) -> int:
        """Whole days since the world was built, by the chain's clock."""
        return (self._transactor.head_time() - GENESIS_TIME) // SECONDS_PER_DAY

    def prices(self) -> dict[str, Decimal]:
        """USD by token id, as the feeds say."""
        return market_actors.read_prices(self._transactor, self._manifest)

    def step_day(self, day: int) -> None:
        """One day passes and ends as market_day(day) says: prices, pools, loans and vault yields, in one block."""
        market = market_day(day)
        self._report(market.prices_usd)
        shares = {token: Decimal(str(share)) for token, share in market.utilizations.items()}
        market_actors.move_loans(self._transactor, self._manifest, shares)
        self._move_pools(self._manifest.catalog.venues, market.prices_usd)
        for vault, apr in market.vault_aprs.items():
            yearly = self._vault_deposits[vault] * Decimal(str(apr))
            market_actors.set_reward(self._transactor, self._manifest, vault, yearly_tokens=yearly)
        self._mine(seconds=SECONDS_PER_DAY, base_fee_wei=market.base_fee_wei)

    def advance(self, seconds: int, blocks: int = 1) -> None:
        """Nothing happens for a while; the seconds are spread over the blocks."""
        if not 1 <= blocks <= seconds:
            raise ConfigurationInvalid(f"{seconds} s cannot hold {blocks} blocks: each needs at least one second")
        for index in range(blocks):
            self._mine(seconds=seconds * (index + 1) // blocks - seconds * index // blocks)

    def refresh_feeds(self) -> None:
        """Every feed reports its last answer again."""
        self._report(self.prices())
        self._mine()

    def sync_pools(self) -> None:
        """Arbitrage: every pool to its feeds' prices."""
        self._move_pools(self._manifest.catalog.venues, self.prices())
        self._mine()

    def set_price(self, token_id: str, price_usd: Decimal) -> None:
        """Feed and pools of one token agree on a new price; the other feeds report again."""
        prices = {**self.prices(), self._manifest.catalog.token(token_id).id: price_usd}
        self._report(prices)
        self._move_pools(self._venues_of(token_id), prices)
        self._mine()

    def break_peg(self, token_id: str, price_usd: Decimal, *, hours: int = 6, steps: int = 6) -> None:
        """The price slides evenly over the hours; pools lead by real swaps, the feed follows, liquidity too."""
        start = self.prices()[token_id]
        for step in range(1, steps + 1):
            prices = {**self.prices(), token_id: start + (price_usd - start) * step / steps}
            self._report(prices)
            self._move_pools(self._venues_of(token_id), prices)
            self._mine(seconds=hours * SECONDS_PER_HOUR // steps)
            market_actors.add_liquidity(self._transactor, self._manifest, self._venues_of(token_id), prices)
            self._mine()

    def stall_feed(self, token_id: str) -> None:
        """The clock passes this feed's heartbeat by an hour; every other feed has just reported."""
        token = self._manifest.catalog.token(token_id)
        self._report({other: price for other, price in self.prices().items() if other != token.id})
        self._mine(seconds=token.feed_heartbeat_seconds + STALL_MARGIN_SECONDS)

    def spike_gas(self, base_fee_wei: int) -> None:
        """This block and the next charge this base fee; afterwards it decays as EIP-1559 has it."""
        self._mine(base_fee_wei=base_fee_wei)

    def set_utilization(self, token_id: str, share: Decimal) -> None:
        """Borrowers bring one Aave reserve to this utilization; 1 leaves nothing to withdraw."""
        if not 0 <= share <= 1:
            raise ConfigurationInvalid(f"utilization of {token_id} must be within 0 and 1, got {share}")
        market_actors.move_loans(self._transactor, self._manifest, {token_id: share})
        self._mine()

    def change_borrow(self, token_id: str, amount: int) -> None:
        """Borrow this many base units more, or repay where negative."""
        token = self._manifest.catalog.token(token_id)
        market_actors.move_loan(self._transactor, self._manifest, token, change=amount)
        self._mine()

    def slash_vault(self, share_bps: int, strategy_id: str = SLASHABLE) -> None:
        """The vault loses this share of its assets, and every depositor with it."""
        if not 0 <= share_bps <= BPS_PER_ONE:
            raise ConfigurationInvalid(f"a slash must be within 0 and {BPS_PER_ONE} bps, got {share_bps}")
        vault = self._manifest.catalog.strategy(strategy_id).contract
        self._transactor.send(self._manifest.actors.issuer, vault, "slash(uint256)", share_bps)
        self._mine()

    def _venues_of(self, token_id: str) -> tuple[Venue, ...]:
        return tuple(venue for venue in self._manifest.catalog.venues if token_id in {venue.token_0, venue.token_1})

    def _report(self, prices: market_actors.Prices) -> None:
        market_actors.report_prices(self._transactor, self._manifest, prices)

    def _move_pools(self, venues: tuple[Venue, ...], prices: market_actors.Prices) -> None:
        market_actors.move_pools(self._transactor, self._manifest, venues, prices)

    def _mine(self, *, seconds: int | None = None, base_fee_wei: int = CALM_BASE_FEE_WEI) -> None:
        timestamp = None if seconds is None else self._transactor.head_time() + seconds
        self._transactor.mine(timestamp=timestamp, base_fee_wei=base_fee_wei)
