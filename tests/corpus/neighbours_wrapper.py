"""Envelopes: Safe and MultiSend around the calls, as deep and as odd as they come, and forbidden neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from domain.abi import prevalidated_signature
from domain.transaction import Operation, UnsignedCall
from tests.builders_evidence import USDC
from tests.corpus.foreign import NOBODY, STRANGER, exec_transaction, multisend, pack_delegated, wrap_packed
from tests.corpus.moves import supply
from tests.corpus.samples import SUPPLY, WITHDRAW
from tests.corpus.scene import CATALOG
from tests.corpus.specimen import Specimen, allowed, forbidden, replanned
from tools.transactions.safe import pack_calls, wrap_calls

CALLS: Final = SUPPLY.evidence.plan.calls
PACKED: Final = pack_calls(CALLS)
OPAQUE: Final = ("undecoded", "contract", "selector", "batch_mismatch", "unplanned_outflow")
"""Of an envelope that cannot be unpacked: one call to the account that nothing explains, and money that left."""


def _named(sample: Specimen, id_: str, sentence: str, envelope: UnsignedCall) -> Specimen:
    """The sample's calls in another envelope."""
    return replace(sample, id=id_, sentence=sentence, evidence=replanned(sample.evidence, envelope=envelope))


def _nested(calls: Sequence[UnsignedCall], depth: int) -> UnsignedCall:
    """Safe transactions of the account with itself, `depth` of them in all."""
    envelope = wrap_calls(calls, CATALOG)
    for _ in range(depth - 1):
        envelope = wrap_calls([envelope], CATALOG)
    return envelope


def _many(count: int) -> Specimen:
    moves = [supply("aave-usdc", 1_000 * USDC)] * count
    return allowed(f"calls-{2 * count}", f"Supplies 1,000 USDC {count} times: {2 * count} calls", moves)


DIRECT: Final = _named(
    WITHDRAW,
    "without-multisend",
    "Withdraws 40,000 USDX in an envelope without MultiSend",
    exec_transaction(WITHDRAW.evidence.plan.calls[0], operation=0),
)
NESTED: Final = tuple(
    _named(SUPPLY, f"nested-{depth}", f"Supplies 50,000 USDC in {depth} envelopes", _nested(CALLS, depth))
    for depth in (2, 3, 4)
)
MANY: Final = _many(32)
ALLOWED: Final = (DIRECT, *NESTED, MANY)


def _terms() -> Iterator[Specimen]:
    """Every other argument of Safe.execTransaction is zero: anything else pays a stranger or hides a failure."""
    for name, difference, terms in (
        ("safe-gas", "a gas limit lets the inner call fail in silence", {"safeTxGas": 1}),
        ("base-gas", "base gas is refunded", {"baseGas": 21_000}),
        ("gas-price", "gas is refunded at a price", {"gasPrice": 1}),
        ("gas-token", "gas is refunded in USDC", {"gasToken": CATALOG.token("usdc").address}),
        ("refund", "a stranger receives the refund", {"refundReceiver": STRANGER}),
        ("other-signer", "it carries a stranger's signature", {"signatures": prevalidated_signature(STRANGER)}),
        ("two-signatures", "a second signature follows", {"signatures": prevalidated_signature(CATALOG.operator) * 2}),
        ("no-signature", "it is not signed", {"signatures": b""}),
        ("operation-two", "the operation is none", {"operation": 2}),
    ):
        changed = replanned(SUPPLY.evidence, envelope=wrap_packed(PACKED, **terms))
        yield forbidden(SUPPLY, name, difference, *OPAQUE, evidence=changed)


def _delegations() -> Iterator[Specimen]:
    opaque = (*OPAQUE, "delegatecall")
    for name, difference, envelope, codes in (
        (
            "delegated-to-stranger",
            "a stranger's MultiSend is delegated to",
            exec_transaction(multisend(PACKED, target=STRANGER), operation=1),
            opaque,
        ),
        (
            "delegated-to-token",
            "the token is delegated to",
            exec_transaction(CALLS[0], operation=1),
            ("undecoded", "selector", "delegatecall", "batch_mismatch", "unplanned_outflow"),
        ),
        (
            "multisend-called",
            "MultiSend is called instead of delegated to",
            exec_transaction(multisend(PACKED), operation=0),
            OPAQUE,
        ),
        (
            "value-delegated",
            "a wei goes along with the delegatecall",
            wrap_packed(PACKED, value=1),
            (*opaque, "native_value"),
        ),
    ):
        changed = replanned(SUPPLY.evidence, envelope=envelope)
        yield forbidden(SUPPLY, name, difference, *codes, evidence=changed)
    for position, name in enumerate(("approval", "supply")):
        changed = replanned(SUPPLY.evidence, envelope=wrap_packed(pack_delegated(CALLS, position)))
        codes = ("delegatecall", "undecoded", "selector", "approval_amount", "batch_mismatch")
        more = () if name == "approval" else ("unplanned_outflow",)
        yield forbidden(SUPPLY, f"{name}-delegated", f"the {name} is a delegatecall", *codes, *more, evidence=changed)


def _packing() -> Iterator[Specimen]:
    opaque = (*OPAQUE, "delegatecall")
    for name, difference, packed in (
        ("packed-empty", "nothing is packed", b""),
        ("packed-tail", "a byte follows the last packed call", PACKED + b"\0"),
        ("packed-cut", "the last packed byte is missing", PACKED[:-1]),
        ("packed-operation", "a packed operation is none", b"\x02" + PACKED[1:]),
        ("packed-length", "a packed length is too large", PACKED[:53] + (2**255).to_bytes(32, "big") + PACKED[85:]),
    ):
        changed = replanned(SUPPLY.evidence, envelope=wrap_packed(packed))
        yield forbidden(SUPPLY, name, difference, *opaque, evidence=changed)
    data = SUPPLY.evidence.plan.envelope.data
    for name, difference, envelope in (
        ("outer-value", "the envelope carries a wei", {"value_wei": 1}),
        ("outer-tail", "a word follows the envelope", {"data": data + "00" * 32}),
        ("outer-cut", "the envelope's last word is missing", {"data": data[:-64]}),
        ("outer-empty", "the envelope is empty", {"data": "0x"}),
        ("outer-delegated", "the envelope is a delegatecall", {"operation": Operation.DELEGATECALL}),
        ("outer-elsewhere", "the envelope goes to a stranger", {"target": STRANGER}),
        ("outer-to-multisend", "the envelope goes to MultiSend", {"target": CATALOG.contracts.multisend_call_only}),
        ("outer-to-nobody", "the envelope creates a contract", {"target": NOBODY}),
    ):
        outer = SUPPLY.evidence.plan.envelope.model_copy(update=envelope)
        codes = [*OPAQUE, *{"outer-value": ["native_value"], "outer-delegated": ["delegatecall"]}.get(name, [])]
        yield forbidden(SUPPLY, name, difference, *codes, evidence=replanned(SUPPLY.evidence, envelope=outer))


def _depths() -> Iterator[Specimen]:
    deep = replanned(SUPPLY.evidence, envelope=_nested(CALLS, 5))
    yield forbidden(NESTED[-1], "one-deeper", "one envelope more is around it", *OPAQUE, evidence=deep)
    calls = MANY.evidence.plan.calls
    packed = pack_calls((*calls, calls[0]))
    more = replanned(MANY.evidence, envelope=wrap_packed(packed))
    yield forbidden(MANY, "one-more", "one call more is packed", *OPAQUE, evidence=more)
    hidden = exec_transaction(CALLS[1].model_copy(update={"target": STRANGER}), operation=0)
    nested = replanned(SUPPLY.evidence, envelope=wrap_calls([*CALLS, hidden], CATALOG), calls=(*CALLS, hidden))
    codes = ("contract", "selector", "undecoded")
    yield forbidden(SUPPLY, "hidden-inside", "an inner envelope calls a stranger", *codes, evidence=nested)


def neighbours() -> tuple[Specimen, ...]:
    return (*_terms(), *_delegations(), *_packing(), *_depths())
