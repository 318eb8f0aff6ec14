"""Reads and moves of the local market that several chain tests need, independent of the product's collectors."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from chain.transactor import Read, Transactor
from chain.world import World

SLOT_0_OUTPUTS = "(uint160,int24,uint16,uint16,uint16,uint8,bool)"
RESERVE_OUTPUTS = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint40)"
ROUND_OUTPUTS = "(uint80,int256,uint256,uint256,uint80)"
QUOTE = "quoteExactInputSingle((address,address,uint256,uint24,uint160))"
SWAP = "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"
WAD = 10**18


class Reserve(NamedTuple):
    """One Aave reserve; rates as fractions of one."""

    idle: int
    debt: int
    supply_apr: float
    borrow_apr: float

    @property
    def utilization(self) -> float:
        return self.debt / (self.idle + self.debt)


class Market:
    """What a test asks of the local chain, by catalog ids."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.catalog = world.catalog
        self.trader = world.manifest.actors.trader
        self.transactor = Transactor(world.node.rpc)

    def integer(self, target: str, signature: str, *arguments: object) -> int:
        return self.transactor.read_integers(Read(target, signature, arguments))[0]

    def balance(self, token_id: str, account: str) -> int:
        return self.integer(self.catalog.token(token_id).address, "balanceOf(address)", account)

    def reserve(self, token_id: str) -> Reserve:
        asset = self.catalog.token(token_id).address
        provider = self.catalog.contracts.aave_data_provider
        read = Read(provider, "getReserveData(address)", (asset,), RESERVE_OUTPUTS)
        values = [int(str(value)) for value in self.transactor.read(read)[0]]
        idle = self.balance(token_id, self.catalog.strategy(f"aave-{token_id}").receipt)
        return Reserve(idle, values[4], values[5] / 1e27, values[6] / 1e27)

    def feed(self, token_id: str) -> tuple[Decimal, int]:
        """Price in USD and age in seconds at the head."""
        read = Read(self.catalog.token(token_id).feed, "latestRoundData()", (), ROUND_OUTPUTS)
        _, answer, _, updated_at, _ = (int(str(value)) for value in self.transactor.read(read)[0])
        return Decimal(answer).scaleb(-8), self.transactor.head_time() - updated_at

    def pool_price(self, venue_id: str, token_id: str) -> float:
        """Tokens of the venue's other side per token, from slot0."""
        venue = next(venue for venue in self.catalog.venues if venue.id == venue_id)
        root = int(str(self.transactor.read(Read(venue.pool, "slot0()", (), SLOT_0_OUTPUTS))[0][0])) / 2**96
        first, second = self.catalog.token(venue.token_0), self.catalog.token(venue.token_1)
        price = root**2 * 10.0 ** (first.decimals - second.decimals)
        return price if token_id == first.id else 1 / price

    def quote(self, token_in: str, token_out: str, *, amount: int, fee_pips: int) -> int:
        pair = (self.catalog.token(token_in).address, self.catalog.token(token_out).address)
        return self.integer(self.catalog.contracts.quoter, QUOTE, (*pair, amount, fee_pips, 0))

    def swap(self, token_in: str, token_out: str, *, amount: int, fee_pips: int) -> int:
        """What the trader received."""
        pair = (self.catalog.token(token_in).address, self.catalog.token(token_out).address)
        before = self.balance(token_out, self.trader)
        router = self.catalog.contracts.swap_router
        self.transactor.send(self.trader, router, SWAP, (*pair, fee_pips, self.trader, amount, 1, 0))
        self.transactor.mine()
        return self.balance(token_out, self.trader) - before

    def vault(self, strategy_id: str) -> str:
        return self.catalog.strategy(strategy_id).contract

    def share_price(self, strategy_id: str) -> Decimal:
        """Tokens per share of 18 decimals, read for a million shares to see small changes."""
        strategy = self.catalog.strategy(strategy_id)
        assets = self.integer(strategy.contract, "convertToAssets(uint256)", 10**6 * WAD)
        return Decimal(assets).scaleb(-6 - self.catalog.token(strategy.token).decimals)

    def deposit(self, strategy_id: str, assets: int) -> int:
        """Shares that the trader got."""
        strategy = self.catalog.strategy(strategy_id)
        token = self.catalog.token(strategy.token).address
        self.transactor.send(self.trader, token, "approve(address,uint256)", strategy.contract, assets)
        self.transactor.send(self.trader, strategy.contract, "deposit(uint256,address)", assets, self.trader)
        self.transactor.mine()
        return self.integer(strategy.contract, "balanceOf(address)", self.trader)

    def redeem(self, strategy_id: str, shares: int) -> None:
        arguments = (shares, self.trader, self.trader)
        self.transactor.send(self.trader, self.vault(strategy_id), "redeem(uint256,address,address)", *arguments)
        self.transactor.mine()

    def withdraw(self, strategy_id: str, assets: int) -> None:
        arguments = (assets, self.trader, self.trader)
        self.transactor.send(self.trader, self.vault(strategy_id), "withdraw(uint256,address,address)", *arguments)
        self.transactor.mine()
