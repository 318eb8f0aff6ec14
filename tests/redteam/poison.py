"""Changes of the market that an attacker could bring about or wait for, made on the real local chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from eth_utils.crypto import keccak

from chain import market_actors
from chain.anvil import NodeRpc
from chain.scenario import Scenario
from chain.transactor import Read, Transactor
from chain.world_manifest import Manifest
from chain.world_parameters import token_parameters
from domain.market import StrategyKind
from domain.units import to_base_units
from tests.redteam import bytecode
from tests.redteam.case import Poison, WorldChange

FEED_DECIMALS = 8
FEED_ROUNDS_SLOT = 2  # of MarketFeed: description, latestRound, rounds
ALLOWANCES_SLOT = 1  # of OpenZeppelin's ERC20
BPS = 10_000
HIGHEST_UTILIZATION = Decimal("0.969")
"""Below the policy's trigger for a mitigation, so that a rich rate is what shows."""
LOWEST_POOL_PRICE = Decimal("0.1")
ETHER_FOR_GAS = 10**22
FAKE_TOKEN = "0x000000000000000000000000000000000fa4e70c"
CODES = {
    "empty": bytecode.EMPTY,
    "revert": bytecode.REVERT,
    "loop": bytecode.LOOP,
    "reentrant": bytecode.REENTER,
}


class Market:
    """One local chain whose market can be poisoned; forgets everything when it is put back."""

    def __init__(self, rpc: NodeRpc, manifest: Manifest) -> None:
        self.rpc, self.manifest, self.catalog = rpc, manifest, manifest.catalog
        self.scenario = Scenario(rpc, manifest)
        self._transactor = Transactor(rpc)
        self._drift_bps: dict[str, Decimal] = defaultdict(Decimal)
        self._ways: dict[Poison, Callable[[str, str], None]] = {
            Poison.PRICE: self._price,
            Poison.PRICE_RAW: self._price_raw,
            Poison.PRICE_STALE: self._price_stale,
            Poison.PRICE_FUTURE: self._price_future,
            Poison.DEPEG: self._depeg,
            Poison.POOL_PRICE: self._pool_price,
            Poison.UTILIZATION: lambda token, share: self.scenario.set_utilization(token, Decimal(share)),
            Poison.SLASH: lambda strategy, bps: self.scenario.slash_vault(int(bps), strategy),
            Poison.DONATION: self._donation,
            Poison.REWARD_APR: self._reward_apr,
            Poison.GAS: lambda _, gwei: self.scenario.spike_gas(int(gwei) * 10**9),
            Poison.DECIMALS: self._decimals,
            Poison.CODE: self._code,
            Poison.CLOCK: self._clock,
            Poison.REORG: lambda _, depth: self._reorg(int(depth)),
            Poison.DUST: self._dust,
            Poison.FAKE_TOKEN: self._fake_token,
            Poison.ALLOWANCE: self._allowance,
        }

    def poison(self, change: WorldChange) -> None:
        self._ways[change.poison](change.subject, change.amount)

    def forget(self) -> None:
        self._drift_bps.clear()

    def head_time(self) -> int:
        return self._transactor.head_time()

    def _report(self, token_id: str, answer: int) -> None:
        feed = self.catalog.token(token_id).feed
        self._transactor.send(self.manifest.actors.issuer, feed, "report(int256)", answer)

    def _price(self, token_id: str, usd: str) -> None:
        self._report(token_id, to_base_units(Decimal(usd), FEED_DECIMALS))
        self._transactor.mine()

    def _depeg(self, token_id: str, usd: str) -> None:
        """Pools hold liquidity down to a tenth of the peg; below, only the feed goes on falling."""
        self.scenario.set_price(token_id, max(Decimal(usd), LOWEST_POOL_PRICE))
        if Decimal(usd) < LOWEST_POOL_PRICE:
            self._price(token_id, usd)

    def _price_raw(self, token_id: str, answer: str) -> None:
        self._report(token_id, int(answer))
        self._transactor.mine()

    def _price_stale(self, token_id: str, seconds: str) -> None:
        """The others report in the last block, which comes so many seconds later."""
        for other, price in self.scenario.prices().items():
            if other != token_id:
                self._report(other, to_base_units(price, FEED_DECIMALS))
        self._transactor.mine(timestamp=self.head_time() + int(seconds))

    def _price_future(self, token_id: str, seconds: str) -> None:
        feed = self.catalog.token(token_id).feed
        (latest,) = self._transactor.read_integers(Read(feed, "latestRound()"))
        place = int.from_bytes(keccak(latest.to_bytes(32, "big") + FEED_ROUNDS_SLOT.to_bytes(32, "big")), "big")
        self._store(feed, place + 1, self.head_time() + int(seconds))
        self._transactor.mine()

    def _pool_price(self, token_id: str, bps: str) -> None:
        """On top of earlier moves; the feed stays."""
        self._drift_bps[token_id] += Decimal(bps)
        prices = dict(self.scenario.prices())
        prices[token_id] *= 1 + self._drift_bps[token_id] / BPS
        venues = tuple(venue for venue in self.catalog.venues if token_id in {venue.token_0, venue.token_1})
        market_actors.move_pools(self._transactor, self.manifest, venues, prices)
        self._transactor.mine()

    def _donation(self, strategy_id: str, whole: str) -> None:
        strategy = self.catalog.strategy(strategy_id)
        self._give(strategy.token, strategy.receipt, to_base_units(Decimal(whole), self._decimals_of(strategy.token)))

    def _dust(self, token_id: str, amount: str) -> None:
        self._give(token_id, self.catalog.account, int(amount))

    def _give(self, token_id: str, receiver: str, amount: int) -> None:
        """New money: the issuer mints it, wrapped native money is wrapped first."""
        token, actors = self.catalog.token(token_id).address, self.manifest.actors
        if token_id == self.catalog.native_token:
            self.rpc.call("anvil_setBalance", actors.trader, hex(amount + ETHER_FOR_GAS))
            self._transactor.send(actors.trader, token, "deposit()", value_wei=amount)
            self._transactor.send(actors.trader, token, "transfer(address,uint256)", receiver, amount)
        else:
            self._transactor.send(actors.issuer, token, "mint(address,uint256)", receiver, amount)
        self._transactor.mine()

    def _decimals_of(self, token_id: str) -> int:
        return self.catalog.token(token_id).decimals

    def _reward_apr(self, strategy_id: str, apr: str) -> None:
        """A vault that streams rewards streams more; one that only wraps Aave pays what Aave's borrowers pay."""
        strategy = self.catalog.strategy(strategy_id)
        if strategy.kind is StrategyKind.AAVE_V3 or "aave" in strategy.factors or "aave-v3" in strategy.factors:
            self.scenario.set_utilization(strategy.token, _utilization_paying(strategy.token, float(apr)))
            return
        (assets,) = self._transactor.read_integers(Read(strategy.contract, "totalAssets()"))
        yearly = Decimal(assets).scaleb(-self._decimals_of(strategy.token)) * Decimal(apr)
        market_actors.set_reward(self._transactor, self.manifest, strategy_id, yearly_tokens=yearly)
        self._transactor.mine()

    def _decimals(self, token_id: str, decimals: str) -> None:
        token = self.catalog.token(token_id).address
        bytecode.override(self.rpc, token, "decimals()", bytecode.returning(int(decimals)))
        self._transactor.mine()

    def _code(self, subject: str, kind: str) -> None:
        tokens = {token.id: token.address for token in self.catalog.tokens}
        contract = tokens.get(subject) or self.catalog.strategy(subject).contract
        bytecode.replace_code(self.rpc, contract, CODES[kind])
        self._transactor.mine()

    def _clock(self, _: str, seconds: str) -> None:
        """The product's clock in paper mode is the head's, so that one empty block says how late it is."""
        self._transactor.mine(timestamp=self.head_time() + int(seconds))

    def _reorg(self, depth: int) -> None:
        """Blocks are replaced by empty ones, after enough of them were mined that only the market's are lost."""
        for _ in range(depth):
            self._transactor.mine()
        self.rpc.call("anvil_reorg", depth, [])

    def _fake_token(self, token_id: str, amount: str) -> None:
        """A foreign contract tells of a transfer to the account; the real token is untouched."""
        trader = self.manifest.actors.trader
        claim = bytecode.claiming_transfer(self.catalog.token(token_id).address, self.catalog.account, int(amount))
        bytecode.replace_code(self.rpc, FAKE_TOKEN, claim)
        self._transactor.send(trader, FAKE_TOKEN, "transfer(address,uint256)", self.catalog.account, int(amount))
        self._transactor.mine()

    def _allowance(self, token_id: str, amount: str) -> None:
        """Left by the account long ago, for the router; written as state, since no transaction of now made it."""
        inner = keccak(_word(self.catalog.account) + ALLOWANCES_SLOT.to_bytes(32, "big"))
        place = int.from_bytes(keccak(_word(self.catalog.contracts.swap_router) + inner), "big")
        self._store(self.catalog.token(token_id).address, place, int(amount))
        self._transactor.mine()

    def _store(self, contract: str, place: int, value: int) -> None:
        self.rpc.call("anvil_setStorageAt", contract, hex(place), f"0x{value:064x}")


def _word(address: str) -> bytes:
    return bytes.fromhex(address[2:].rjust(64, "0"))


def _utilization_paying(token_id: str, apr: float) -> Decimal:
    """Where the reserve's two-slope curve pays suppliers this rate, by bisection."""
    curve = token_parameters(token_id)

    def pays(use: float) -> float:
        steep = max(use - curve.optimal_utilization, 0) / (1 - curve.optimal_utilization) * curve.slope_2
        gentle = min(use / curve.optimal_utilization, 1) * curve.slope_1
        return use * (gentle + steep) * (1 - curve.reserve_factor)

    low, high = 0.0, float(HIGHEST_UTILIZATION)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if pays(middle) < apr else (low, middle)
    return Decimal(str(round(high, 6)))
