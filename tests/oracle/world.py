"""A small chain for samples: plays the bytes of a batch at the snapshot's prices and builds the plan around them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from domain.market import Catalog, MarketSnapshot, StrategyKind
from domain.portfolio import Balance, Portfolio, Position
from domain.transaction import (
    BalanceDelta,
    LeftoverApproval,
    Operation,
    UnsignedCall,
)
from tests.oracle.actions import EVERYTHING, Action, action_of
from tests.oracle.calldata import Call, write_multisend, write_safe

NOBODY = "0x" + "0" * 40


@dataclass
class Chain:
    """The account's money while a batch runs. `is_reverted` once a call asked for more than there was."""

    catalog: Catalog
    snapshot: MarketSnapshot
    before: Portfolio
    haircut_bps: int = 0
    is_reverted: bool = False
    cash: Counter[str] = field(default_factory=Counter)
    shares: Counter[str] = field(default_factory=Counter)
    net: Counter[tuple[str, str]] = field(default_factory=Counter)
    allowances: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for balance in self.before.cash:
            self.cash[balance.token] += balance.amount
        for position in self.before.positions:
            self.shares[position.strategy] += position.shares

    def run(self, calls: Sequence[Call]) -> None:
        for call in calls:
            action = action_of(call, self.catalog)
            if action is None:
                continue
            if action.name == "approve":
                self.allowances[action.token.address, action.taker] = action.amount
            elif action.name == "exactInputSingle":
                self._swap(call, action)
            else:
                self._yield(call, action)

    def _swap(self, call: Call, action: Action) -> None:
        bought, venue, arguments = action.bought, action.venue, call.arguments
        if bought is None or venue is None or arguments is None:
            self.is_reverted = True
            return
        rate = Fraction(self._price(action.token.id)) / Fraction(self._price(bought.id))
        scale = Fraction(10**bought.decimals, 10**action.token.decimals)
        paid = int(action.amount * rate * scale * (10_000 - self.haircut_bps) / 10_000)
        self.is_reverted |= paid < action.minimum_out
        self._take(action.token.id, venue.pool, action.amount)
        self.allowances[action.token.address, action.taker] -= action.amount
        self._pay(bought.id, venue.pool, str(arguments["recipient"]), paid)

    def _price(self, token: str) -> Decimal:
        return next((price.price_usd for price in self.snapshot.prices if price.token == token), Decimal(1))

    def _yield(self, call: Call, action: Action) -> None:
        strategy, arguments = action.strategy, call.arguments or {}
        if strategy is None:
            return
        price = redeemable(strategy.id, self.catalog, self.snapshot)
        if action.name in {"supply", "deposit"}:
            receiver = str(arguments.get("onBehalfOf", arguments.get("receiver")))
            self._take(action.token.id, strategy.receipt, action.amount)
            self.allowances[action.token.address, action.taker] -= action.amount
            self._mint(strategy.id, strategy.receipt, receiver, int(action.amount / price))
            return
        receiver = str(arguments.get("to", arguments.get("receiver")))
        if action.name == "redeem":
            shares, amount = action.amount, int(action.amount * price)
        else:
            amount = self.shares[strategy.id] if action.amount == EVERYTHING else action.amount
            shares = amount
        self._mint(strategy.id, strategy.receipt, self.catalog.account, -shares)
        self._pay(action.token.id, strategy.receipt, receiver, amount)

    def _take(self, token: str, receiver: str, amount: int) -> None:
        self.cash[token] -= amount
        self.is_reverted |= self.cash[token] < 0
        self._transfer(token, self.catalog.account, receiver, amount)

    def _pay(self, token: str, payer: str, receiver: str, amount: int) -> None:
        if receiver == self.catalog.account:
            self.cash[token] += amount
        self._transfer(token, payer, receiver, amount)

    def _transfer(self, token: str, sender: str, receiver: str, amount: int) -> None:
        contract = self.catalog.token(token).address
        self.net[sender, contract] -= amount
        self.net[receiver, contract] += amount

    def _mint(self, strategy: str, receipt: str, receiver: str, shares: int) -> None:
        self.net[NOBODY, receipt] -= shares
        self.net[receiver, receipt] += shares
        if receiver == self.catalog.account:
            self.shares[strategy] += shares
            self.is_reverted |= self.shares[strategy] < 0

    def after(self) -> Portfolio:
        """The book that is left; what ran into the negative reverts and leaves the book as it was."""
        if self.is_reverted:
            return self.before
        cash = tuple(Balance.model_construct(token=token, amount=amount) for token, amount in self.cash.items())
        positions = tuple(
            Position.model_construct(
                strategy=name, shares=shares, amount=int(shares * redeemable(name, self.catalog, self.snapshot))
            )
            for name, shares in self.shares.items()
        )
        return self.before.model_copy(update={"cash": cash, "positions": positions})

    def deltas(self) -> tuple[BalanceDelta, ...]:
        rows = {} if self.is_reverted else self.net
        return tuple(
            BalanceDelta.model_construct(holder=holder, token=token, amount=amount)
            for (holder, token), amount in rows.items()
            if amount
        )

    def leftovers(self) -> tuple[LeftoverApproval, ...]:
        return tuple(
            LeftoverApproval.model_construct(token=token, spender=spender, amount=amount)
            for (token, spender), amount in self.allowances.items()
            if amount > 0
        )


def redeemable(strategy_id: str, catalog: Catalog, snapshot: MarketSnapshot) -> Fraction:
    """Base units of the token for one base unit of the receipt; of an aToken and of what nobody lists, one."""
    vaults = (each for each in catalog.strategies if each.kind is StrategyKind.ERC4626)
    strategy = next((each for each in vaults if each.id == strategy_id), None)
    if strategy is None:
        return Fraction(1)
    prices = (rate.share_price for rate in snapshot.rates if rate.strategy == strategy_id)
    decimals = catalog.token(strategy.token).decimals - strategy.receipt_decimals
    return Fraction(next(prices, 1)) * Fraction(10) ** decimals


def unsigned(call: Call) -> UnsignedCall:
    operation = Operation.DELEGATECALL if call.is_delegatecall else Operation.CALL
    return UnsignedCall.model_construct(
        target=call.target, value_wei=call.value, data="0x" + call.data.hex(), operation=operation
    )


def enveloped(calls: Sequence[Call], catalog: Catalog, *, is_direct: bool = False) -> UnsignedCall:
    """The operator's call of the account: one call directly, or any number through MultiSendCallOnly."""
    outer = calls[0] if is_direct else Call(catalog.contracts.multisend_call_only, 0, True, write_multisend(calls))
    data = write_safe(outer, owner=catalog.operator)
    return unsigned(Call(catalog.account, 0, False, data))
