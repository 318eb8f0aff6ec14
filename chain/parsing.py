"""A node's JSON as typed values; whatever cannot be parsed is ChainUnavailable."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from chain.logs import Log
from domain.errors import ChainUnavailable

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}", re.ASCII)
_HEX_BYTES: Final = re.compile(r"0x([0-9a-fA-F]{2})*", re.ASCII)


class SimulatedCall(NamedTuple):
    succeeded: bool
    gas_used: int
    data: str
    logs: tuple[Log, ...]


class MinedTransaction(NamedTuple):
    """A node's receipt."""

    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    effective_gas_price_wei: int
    logs: tuple[Log, ...]


def parse_simulated(item: object) -> SimulatedCall:
    if not isinstance(item, dict):
        raise ChainUnavailable("a simulated call came back unreadable")
    return SimulatedCall(
        succeeded=quantity(item, "status") == 1,
        gas_used=quantity(item, "gasUsed"),
        data=text(item, "returnData"),
        logs=tuple(_parse_log(log) for log in items(item, "logs")),
    )


def parse_receipt(fields: dict[str, object]) -> MinedTransaction:
    return MinedTransaction(
        succeeded=quantity(fields, "status") == 1,
        block_number=quantity(fields, "blockNumber"),
        block_hash=text(fields, "blockHash"),
        gas_used=quantity(fields, "gasUsed"),
        effective_gas_price_wei=quantity(fields, "effectiveGasPrice"),
        logs=tuple(_parse_log(item) for item in items(fields, "logs")),
    )


def _parse_log(item: object) -> Log:
    if not isinstance(item, dict):
        raise ChainUnavailable("a log came back unreadable")
    topics = items(item, "topics")
    return Log(
        address=text(item, "address"),
        topics=tuple(hex_text(topic, "topic") for topic in topics),
        data=text(item, "data"),
    )


def quantity(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise ChainUnavailable(f"the node's {name} is {str(value)[:80]!r}, expected a hexadecimal quantity")
    return int(value, 16)


def text(fields: dict[str, object], name: str) -> str:
    return hex_text(fields.get(name), name)


def hex_text(value: object, name: str) -> str:
    """Bytes as 0x-hex, lower case."""
    if not isinstance(value, str) or not _HEX_BYTES.fullmatch(value):
        raise ChainUnavailable(f"the node's {name} is {str(value)[:80]!r}, expected bytes as hexadecimal text")
    return value.lower()


def items(fields: dict[str, object], name: str) -> list[object]:
    value = fields.get(name)
    if not isinstance(value, list):
        raise ChainUnavailable(f"the node's {name} is {type(value).__name__}, expected a list")
    return value
