"""Puts hostile text where text from outside can enter: into contracts on the chain and into the product's stores.

News, tweets and protocol metadata have no reader in the product yet. They are put where a reader would leave what it
read: in the artifact store and the journal.
"""

from __future__ import annotations

from datetime import datetime

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from app.wiring import Application
from chain.anvil import NodeRpc
from domain.digest import canonical_json
from domain.market import Catalog, StrategyKind
from domain.run import AgentDecision, AgentName, RunRecord, RunRequest, RunStatus, Trigger, Workflow
from tests.redteam import bytecode
from tests.redteam.audit_chain import selector
from tests.redteam.case import Place

LONGEST_ON_CHAIN = 4_096
LONGEST_REASON = 1_200
LONGEST_SUBJECT = 120
SCANNED_SLOTS = 100
SHORT_STRING = 31
REVERTING_VAULT = "vault-slashable-usdc"
PAST_RUN = "run-of-the-past"
CHAIN_PLACES = frozenset(
    {
        Place.TOKEN_SYMBOL,
        Place.TOKEN_NAME,
        Place.POOL_NAME,
        Place.VAULT_NAME,
        Place.PROTOCOL_METADATA,
        Place.REVERT_STRING,
    }
)
STORE_PLACES = frozenset({Place.NEWS, Place.TWEET, Place.PROTOCOL_METADATA, Place.MEMORY})


def plant_on_chain(rpc: NodeRpc, catalog: Catalog, place: Place, text: str) -> None:
    """Names and symbols are storage of the real contracts; a revert string is what a vault's deposit fails with."""
    shown = _printable(text)[:LONGEST_ON_CHAIN]
    vaults = [strategy.contract for strategy in catalog.strategies if strategy.kind is StrategyKind.ERC4626]
    receipts = [strategy.receipt for strategy in catalog.strategies if strategy.kind is StrategyKind.AAVE_V3]
    tokens, feeds = [token.address for token in catalog.tokens], [token.feed for token in catalog.tokens]
    targets: dict[Place, tuple[list[str], tuple[str, ...]]] = {
        Place.TOKEN_SYMBOL: (tokens, ("symbol()",)),
        Place.TOKEN_NAME: (tokens, ("name()",)),
        Place.POOL_NAME: (receipts, ("name()", "symbol()")),
        Place.VAULT_NAME: (vaults, ("name()", "symbol()")),
        Place.PROTOCOL_METADATA: (feeds, ("description()",)),
    }
    if place is Place.REVERT_STRING:
        vault = catalog.strategy(REVERTING_VAULT).contract
        bytecode.override(rpc, vault, "deposit(uint256,address)", bytecode.reverting(shown))
        return
    contracts, getters = targets[place]
    for contract in contracts:
        for getter in getters:
            write_string(rpc, contract, getter, shown)


def read_string(rpc: NodeRpc, contract: str, getter: str) -> str:
    answer = rpc.call("eth_call", {"to": contract, "data": "0x" + selector(getter).hex()}, "latest")
    return str(decode(("string",), bytes.fromhex(answer[2:]))[0])


def write_string(rpc: NodeRpc, contract: str, getter: str, text: str) -> None:
    """Overwrites the storage behind a getter, found by its present value, as Solidity lays strings out."""
    present = _slot_word(read_string(rpc, contract, getter).encode())
    reads = [("eth_getStorageAt", (contract, hex(slot), "latest")) for slot in range(SCANNED_SLOTS)]
    found = [slot for slot, word in enumerate(rpc.batch(reads)) if int(word, 16) == present]
    payload = text.encode()
    for slot in found:
        words = [(slot, _slot_word(payload))]
        if len(payload) > SHORT_STRING:
            start = int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")
            pieces = [payload[offset : offset + 32] for offset in range(0, len(payload), 32)]
            words += [
                (start + index, int.from_bytes(piece.ljust(32, b"\0"), "big")) for index, piece in enumerate(pieces)
            ]
        rpc.batch([("anvil_setStorageAt", (contract, hex(place), f"0x{word:064x}")) for place, word in words])
        if read_string(rpc, contract, getter) == text:
            return
        rpc.call("anvil_setStorageAt", contract, hex(slot), f"0x{present:064x}")
    raise LookupError(f"the storage of {getter} at {contract} was not found within {SCANNED_SLOTS} slots")


def _slot_word(payload: bytes) -> int:
    if len(payload) > SHORT_STRING:
        return 2 * len(payload) + 1
    return int.from_bytes(payload.ljust(31, b"\0") + bytes([2 * len(payload)]), "big")


def plant_in_stores(application: Application, place: Place, text: str) -> None:
    shown, at = _printable(text), application.dependencies.clock.now()
    if place is Place.MEMORY:
        _remember(application, shown, at)
        return
    application.dependencies.artifacts.put(shown.encode())
    body = canonical_json({"source": place.value, "text": shown})
    application.dependencies.journal.append(kind=place.value, subject=shown[:LONGEST_SUBJECT], body=body, at=at)


def _remember(application: Application, text: str, at: datetime) -> None:
    """A past run that quotes the text wherever somebody else's words can come to stand in a record."""
    dependencies = application.dependencies
    request = RunRequest(
        run_id=PAST_RUN,
        workflow=Workflow.OPTIMIZE,
        trigger=Trigger.OPERATOR,
        requested_by=text[:80] or "nobody",
        requested_at=at,
    )
    decision = AgentDecision(
        agent=AgentName.OPTIMIZER, choice="hold", reason=text[:LONGEST_REASON], model=text[:LONGEST_SUBJECT]
    )
    record = RunRecord(
        request=request,
        status=RunStatus.HELD,
        summary=text,
        mode=dependencies.mode,
        code_version=dependencies.code_version,
        policy_digest=dependencies.policy.digest(),
        catalog_digest=dependencies.catalog_digest(),
        decisions=(decision,),
        finished_at=at,
    )
    dependencies.runs.start(request)
    dependencies.runs.finish(record)


def _printable(text: str) -> str:
    """Lone surrogates cannot be stored anywhere as UTF-8."""
    return text.encode("utf-8", "replace").decode()
