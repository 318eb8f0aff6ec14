"""Reads what the account called, byte for byte, into steps, and names everything that the allowlist does not hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from domain.market import Catalog, Strategy, StrategyKind, Token, Venue
from tests.redteam.audit_chain import Frame, Sent, selector
from tests.redteam.findings import Rule, Violation

EXEC = "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)"
WHOLE = 2**256 - 1
SWAP_TYPES = ("address", "address", "uint24", "address", "uint256", "uint256", "uint160")


class Deed(StrEnum):
    """What a call does to the account's money."""

    APPROVE = "approve"
    SUPPLY = "supply"
    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"
    REDEEM = "redeem"
    SWAP = "swap"


SHAPES: dict[bytes, tuple[Deed, tuple[str, ...]]] = {
    selector("approve(address,uint256)"): (Deed.APPROVE, ("address", "uint256")),
    selector("supply(address,uint256,address,uint16)"): (Deed.SUPPLY, ("address", "uint256", "address", "uint16")),
    selector("withdraw(address,uint256,address)"): (Deed.WITHDRAW, ("address", "uint256", "address")),
    selector("deposit(uint256,address)"): (Deed.DEPOSIT, ("uint256", "address")),
    selector("redeem(uint256,address,address)"): (Deed.REDEEM, ("uint256", "address", "address")),
    selector("exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))"): (Deed.SWAP, SWAP_TYPES),
}
ENTRIES = frozenset({Deed.SUPPLY, Deed.DEPOSIT})
LEAVINGS = frozenset({Deed.WITHDRAW, Deed.REDEEM})


class Step(NamedTuple):
    """One call in the catalog's terms; `amount` in base units of the token, of a redemption in shares."""

    deed: Deed
    contract: str
    token: Token
    amount: int
    strategy: Strategy | None = None
    recipients: tuple[str, ...] = ()
    spender: str = ""
    token_out: Token | None = None
    minimum_out: int = 0
    venue: Venue | None = None


class Reading(NamedTuple):
    steps: tuple[Step, ...]
    faults: tuple[Violation, ...]


def read_calls(sent: Sent, catalog: Catalog, *, singleton: str) -> Reading:
    """The account's calls in one transaction, and each that it should not have made."""
    reader = _Reader(sent, catalog, singleton)
    steps = tuple(step for frame in sent.calls if (step := reader.step(frame)) is not None)
    reader.judge_outer()
    if not steps:
        reader.blame(Rule.UNDECODED, "no call of the account could be read", "at least one")
    for step in steps:
        reader.judge(step)
    reader.judge_approvals(steps)
    return Reading(steps, tuple(reader.faults))


class _Reader:
    def __init__(self, sent: Sent, catalog: Catalog, singleton: str) -> None:
        self._sent, self._catalog = sent, catalog
        self._libraries = {singleton, catalog.contracts.multisend_call_only}
        self.faults: list[Violation] = []

    def blame(self, rule: Rule, observed: str, limit: str) -> None:
        self.faults.append(Violation(rule, self._sent.hash, observed, limit))

    def judge_outer(self) -> None:
        sent, catalog = self._sent, self._catalog
        if (sent.sender, sent.target) != (catalog.operator, catalog.account) or sent.data[:4] != selector(EXEC):
            self.blame(Rule.OUTER, f"{sent.sender} called {sent.target}", "operator calls execTransaction")
        if sent.value:
            self.blame(Rule.NATIVE_VALUE, f"{sent.value} wei to the account", "0")

    def step(self, frame: Frame) -> Step | None:
        """None for the proxy's own delegations and for a call that cannot be read, which is blamed."""
        if frame.kind == "DELEGATECALL":
            if frame.target not in self._libraries:
                self.blame(Rule.DELEGATECALL, frame.target, "the Safe and MultiSendCallOnly")
            return None
        if frame.kind != "CALL":
            self.blame(Rule.OUTER, f"{frame.kind} by the account", "plain calls")
            return None
        if frame.value:
            self.blame(Rule.NATIVE_VALUE, f"{frame.value} wei to {frame.target}", "0")
        return self._plain_call(frame)

    def _plain_call(self, frame: Frame) -> Step | None:
        if frame.target not in self._known_targets():
            self.blame(Rule.TARGET, frame.target, "a token, pool, vault or router of the catalog")
            return None
        shape = SHAPES.get(frame.data[:4])
        if shape is None:
            self.blame(Rule.SELECTOR, f"0x{frame.data[:4].hex()} at {frame.target}", "the six actions")
            return None
        try:
            arguments = decode(shape[1], frame.data[4:])
        except DecodingError:
            arguments = None
        if arguments is None or encode(shape[1], arguments) != frame.data[4:]:
            self.blame(Rule.UNDECODED, f"{shape[0]} at {frame.target}", "arguments that explain every byte")
            return None
        step = self._action(shape[0], frame.target, arguments)
        if step is None:
            self.blame(Rule.ARGUMENT, f"{shape[0]} at {frame.target}", "a listed reserve, vault or venue")
        return step

    def _known_targets(self) -> set[str]:
        catalog = self._catalog
        vaults = {strategy.contract for strategy in catalog.strategies if strategy.kind is StrategyKind.ERC4626}
        tokens = {token.address for token in catalog.tokens}
        return tokens | vaults | {catalog.contracts.aave_pool, catalog.contracts.swap_router}

    def _action(self, deed: Deed, target: str, arguments: tuple[object, ...]) -> Step | None:
        if deed is Deed.APPROVE:
            token = self._catalog.token_at(target)
            amount = int(str(arguments[1]))
            return None if token is None else Step(deed, target, token, amount, spender=str(arguments[0]))
        if deed is Deed.SWAP:
            return self._swap(target, arguments)
        if deed in {Deed.SUPPLY, Deed.WITHDRAW}:
            return self._pool_action(deed, target, arguments)
        vaults = (s for s in self._catalog.strategies if s.kind is StrategyKind.ERC4626 and s.contract == target)
        vault = next(vaults, None)
        if vault is None:
            return None
        token = self._catalog.token(vault.token)
        recipients = tuple(str(party) for party in arguments[1:])
        return Step(deed, target, token, int(str(arguments[0])), strategy=vault, recipients=recipients)

    def _pool_action(self, deed: Deed, target: str, arguments: tuple[object, ...]) -> Step | None:
        reserves = (s for s in self._catalog.strategies if s.kind is StrategyKind.AAVE_V3 and s.contract == target)
        asset = str(arguments[0])
        reserve = next((s for s in reserves if self._catalog.token(s.token).address == asset), None)
        if reserve is None:
            return None
        if deed is Deed.SUPPLY and arguments[3] != 0:
            self.blame(Rule.ARGUMENT, f"referral code {arguments[3]}", "0")
        token = self._catalog.token(reserve.token)
        return Step(deed, target, token, int(str(arguments[1])), strategy=reserve, recipients=(str(arguments[2]),))

    def _swap(self, target: str, arguments: tuple[object, ...]) -> Step | None:
        token_in, token_out, fee, recipient, amount_in, minimum_out, limit = arguments
        first, second = self._catalog.token_at(str(token_in)), self._catalog.token_at(str(token_out))
        if target != self._catalog.contracts.swap_router or first is None or second is None:
            return None
        venues = self._catalog.venues_between(first.id, second.id)
        venue = next((venue for venue in venues if venue.fee_pips == fee), None)
        if venue is None or limit != 0:
            self.blame(Rule.ARGUMENT, f"fee {fee}, price limit {limit}", "a listed venue without a price limit")
        return Step(
            Deed.SWAP,
            target,
            first,
            int(str(amount_in)),
            recipients=(str(recipient),),
            token_out=second,
            minimum_out=int(str(minimum_out)),
            venue=venue,
        )

    def judge(self, step: Step) -> None:
        for recipient in step.recipients:
            if recipient != self._catalog.account:
                self.blame(Rule.RECIPIENT, f"{step.deed} {step.token.id} for {recipient}", self._catalog.account)
        if step.deed is Deed.APPROVE and step.spender not in self._takers(step.token):
            self.blame(Rule.SPENDER, f"{step.token.id} for {step.spender}", "the router or a strategy of the token")
        if step.deed is Deed.SWAP and step.minimum_out == 0:
            self.blame(Rule.MIN_OUT_ZERO, f"swap of {step.amount} {step.token.id}", "above 0")

    def _takers(self, token: Token) -> set[str]:
        strategies = {strategy.contract for strategy in self._catalog.strategies if strategy.token == token.id}
        return strategies | {self._catalog.contracts.swap_router}

    def judge_approvals(self, steps: tuple[Step, ...]) -> None:
        """Each taking finds exactly its amount approved; nothing approved is left untaken."""
        approved: dict[tuple[str, str], int] = defaultdict(int)
        for step in steps:
            if step.deed is Deed.APPROVE:
                approved[step.token.id, step.spender] = step.amount
            elif step.deed not in LEAVINGS and approved.pop((step.token.id, step.contract), 0) != step.amount:
                self.blame(Rule.APPROVAL_AMOUNT, f"{step.deed} of {step.amount} {step.token.id}", "exactly approved")
        for (token, spender), amount in approved.items():
            if amount:
                self.blame(Rule.APPROVAL_AMOUNT, f"{amount} {token} for {spender}", "taken in the same batch")


def swaps_in(steps: tuple[Step, ...]) -> Iterator[Step]:
    return (step for step in steps if step.deed is Deed.SWAP)
