"""What event logs say about money: net ERC-20 transfers and the approvals that were set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from domain.transaction import BalanceDelta
from domain.units import INT256_MIN

# keccak256 of Transfer(address,address,uint256) and Approval(address,address,uint256), EIP-20
TRANSFER_TOPIC: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL_TOPIC: Final = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
# eth_simulateV1 with traceTransfers reports native money as transfers of this contract
NATIVE_LOG_ADDRESS: Final = "0x" + "ee" * 20
ZERO_ADDRESS: Final = "0x" + "00" * 20
ERC20_TOPICS: Final = 3
WORD_CHARACTERS: Final = 66


class Log(NamedTuple):
    """One event, lower-case hex."""

    address: str
    topics: tuple[str, ...]
    data: str


class Allowance(NamedTuple):
    token: str
    spender: str


def net_transfers(logs: Iterable[Log]) -> tuple[BalanceDelta, ...]:
    """Net change per holder and token, sorted, zeros left out; the zero address (mint, burn) holds nothing."""
    net: Counter[tuple[str, str]] = Counter()
    for log in logs:
        if not _is_erc20_event(log, TRANSFER_TOPIC):
            continue
        token = ZERO_ADDRESS if log.address == NATIVE_LOG_ADDRESS else log.address
        amount = int(log.data, 16)
        net[_address(log.topics[1]), token] -= amount
        net[_address(log.topics[2]), token] += amount
    return tuple(
        BalanceDelta(holder=holder, token=token, amount=_within_int256(amount))
        for (holder, token), amount in sorted(net.items())
        if amount and holder != ZERO_ADDRESS
    )


def approvals_by(owner: str, logs: Iterable[Log]) -> set[Allowance]:
    """Every (token, spender) whose allowance the owner's calls set, spent since or not."""
    return {
        Allowance(token=log.address, spender=_address(log.topics[2]))
        for log in logs
        if _is_erc20_event(log, APPROVAL_TOPIC) and _address(log.topics[1]) == owner
    }


def _within_int256(amount: int) -> int:
    # a hostile token may claim to have moved any number, and must not keep us from reading the rest
    return max(INT256_MIN, min(amount, -INT256_MIN - 1))


def _is_erc20_event(log: Log, topic: str) -> bool:
    # an ERC-721 event of the same name has a fourth topic and no data
    words = (*log.topics, log.data)
    return (
        len(log.topics) == ERC20_TOPICS
        and log.topics[0] == topic
        and all(len(word) == WORD_CHARACTERS for word in words)
    )


def _address(topic: str) -> str:
    return "0x" + topic[-40:]
