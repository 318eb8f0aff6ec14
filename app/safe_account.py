"""The Safe that holds the money: adopt one whose only word is the operator's, or make one on the local chain."""

from __future__ import annotations

import re
import time
from typing import Final

from eth_abi.exceptions import DecodingError

from chain.client import BroadcastOutcome, CallRequest, ChainClient
from chain.logs import Log
from chain.parsing import MinedTransaction
from chain.world_manifest import Manifest
from domain.abi import AbiFunction
from domain.errors import BroadcastUnknown, ConfigurationInvalid, ExecutionFailed

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
ZERO_ADDRESS: Final = "0x" + "00" * 20
# Safe 1.4.1: OwnerManager, Safe and SafeProxyFactory (@safe-global/safe-contracts 1.4.1)
GET_OWNERS: Final = AbiFunction(name="getOwners", inputs=(), outputs=("address[]",))
GET_THRESHOLD: Final = AbiFunction(name="getThreshold", inputs=(), outputs=("uint256",))
NONCE: Final = AbiFunction(name="nonce", inputs=(), outputs=("uint256",))
SETUP: Final = AbiFunction(
    name="setup",
    inputs=(
        ("address[]", "owners"),
        ("uint256", "threshold"),
        ("address", "to"),
        ("bytes", "data"),
        ("address", "fallbackHandler"),
        ("address", "paymentToken"),
        ("uint256", "payment"),
        ("address", "paymentReceiver"),
    ),
)
CREATE_PROXY: Final = AbiFunction(
    name="createProxyWithNonce",
    inputs=(("address", "singleton"), ("bytes", "initializer"), ("uint256", "saltNonce")),
    outputs=("address",),
)
# keccak256 of ProxyCreation(address,address), whose first argument is indexed since 1.4.0
PROXY_CREATION_TOPIC: Final = "0x4f51faf6c4561ff95f067657e43439f0f856d97c04d9ec9070a6199ad418e235"
DYNAMIC_FEE_TYPE: Final = 2  # EIP-1559
CREATION_GAS: Final = 500_000  # about 290,000 are used
RECEIPT_DEADLINE_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.05


def adopt_safe(client: ChainClient, address: str, *, operator: str) -> str:
    """The address in lower case, once it is a Safe that the operator moves alone. Raises ConfigurationInvalid."""
    account = _checked_address(address)
    if client.code(account) == "0x":
        raise ConfigurationInvalid(f"account {account} has no code on this chain; give the address of a Safe on it")
    owners = _read(client, account, GET_OWNERS)
    if not isinstance(owners, tuple) or operator not in owners:
        named = ", ".join(map(str, owners)) if isinstance(owners, tuple) else str(owners)
        raise ConfigurationInvalid(
            f"Safe {account} is owned by {named}, not by operator {operator}; "
            "add the operator as an owner, or name another operator in strategies.toml"
        )
    threshold = _read(client, account, GET_THRESHOLD)
    if threshold != 1:
        raise ConfigurationInvalid(
            f"Safe {account} has threshold {threshold}, limit 1: the operator signs alone; "
            "lower the threshold to 1 or adopt another Safe"
        )
    return account


def create_safe(client: ChainClient, manifest: Manifest, *, operator_key: str) -> str:
    """A new, empty Safe of the key's owner on the local chain; returns its address.

    Raises ExecutionFailed, BroadcastUnknown, ChainUnavailable.
    """
    from eth_account import Account

    operator = str(Account.from_key(operator_key).address).lower()
    call = _creation_call(client, manifest, operator=operator)
    receipt = _send(client, call, operator_key=operator_key)
    account = _created(receipt.logs, factory=manifest.safe_proxy_factory)
    return adopt_safe(client, account, operator=operator)


def safe_nonce(client: ChainClient, account: str) -> int | None:
    """Transactions that the Safe executed; None where the account is no Safe. Raises ChainUnavailable."""
    request = CallRequest(ZERO_ADDRESS, account, NONCE.encode())
    answer = client.call(request, block_number=client.header().number)
    try:
        counted = NONCE.decode_output(answer.data)[0] if answer.succeeded else None
    except DecodingError:
        return None
    return counted if isinstance(counted, int) else None


def _checked_address(address: str) -> str:
    from eth_utils.address import is_checksum_address

    digits = address.removeprefix("0x")
    is_mixed_case = digits not in {digits.lower(), digits.upper()}
    if not _ADDRESS.fullmatch(address) or (is_mixed_case and not is_checksum_address(address)):
        raise ConfigurationInvalid(
            f"account {address!r:.80} is not an address: expected 0x and 40 hexadecimal digits, "
            "in lower case or with a valid EIP-55 checksum"
        )
    return address.lower()


def _read(client: ChainClient, account: str, function: AbiFunction) -> object:
    request = CallRequest(ZERO_ADDRESS, account, function.encode())
    answer = client.call(request, block_number=client.header().number)
    try:
        if answer.succeeded:
            return function.decode_output(answer.data)[0]
    except DecodingError:
        pass  # the same fix as for a contract that refuses the question
    raise ConfigurationInvalid(
        f"account {account} does not answer {function.signature}, so it is no Safe; adopt a Safe"
    )


def _creation_call(client: ChainClient, manifest: Manifest, *, operator: str) -> CallRequest:
    handler = manifest.safe_fallback_handler
    setup = SETUP.encode([operator], 1, ZERO_ADDRESS, b"", handler, ZERO_ADDRESS, 0, ZERO_ADDRESS)
    # The factory refuses a salt twice for the same owner; 0 made the demo's Safe.
    salt = client.nonce(operator) + 1
    data = CREATE_PROXY.encode(manifest.safe_singleton, bytes.fromhex(setup[2:]), salt)
    return CallRequest(operator, manifest.safe_proxy_factory, data)


def _send(client: ChainClient, call: CallRequest, *, operator_key: str) -> MinedTransaction:
    """Sign, broadcast and wait for the receipt."""
    from eth_account import Account
    from eth_utils.address import to_checksum_address

    header, priority = client.header(), client.priority_fee_wei()
    signed = Account.from_key(operator_key).sign_transaction(
        {
            "type": DYNAMIC_FEE_TYPE,
            "chainId": header.chain_id,
            "nonce": client.nonce(call.sender),
            "to": to_checksum_address(call.target),
            "value": 0,
            "data": bytes.fromhex(call.data[2:]),
            "gas": CREATION_GAS,
            "maxFeePerGas": 2 * header.base_fee_wei + priority,
            "maxPriorityFeePerGas": priority,
        }
    )
    answer = client.send_raw("0x" + bytes(signed.raw_transaction).hex())
    if answer.outcome is not BroadcastOutcome.ACCEPTED:
        raise ExecutionFailed(f"the node answered the creation of a Safe with {answer.outcome}: {answer.message}")
    return _await_receipt(client, "0x" + bytes(signed.hash).hex())


def _await_receipt(client: ChainClient, transaction_hash: str) -> MinedTransaction:
    deadline = time.monotonic() + RECEIPT_DEADLINE_SECONDS
    while (receipt := client.receipt(transaction_hash)) is None:
        if time.monotonic() > deadline:
            raise BroadcastUnknown(
                f"transaction {transaction_hash} is not mined after {RECEIPT_DEADLINE_SECONDS:.0f} s; "
                "look it up before trying again"
            )
        time.sleep(POLL_SECONDS)
    if not receipt.succeeded:
        raise ExecutionFailed(f"transaction {transaction_hash} reverted with {receipt.gas_used} gas; no Safe was made")
    return receipt


def _created(logs: tuple[Log, ...], *, factory: str) -> str:
    for log in logs:
        if log.address == factory and log.topics[:1] == (PROXY_CREATION_TOPIC,):
            return "0x" + log.topics[1][-40:]
    raise ExecutionFailed(f"factory {factory} reported no ProxyCreation event; no Safe was made")
