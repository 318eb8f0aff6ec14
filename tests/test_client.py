"""The client against a scripted node on loopback: what it retries, what it refuses, and what it never says."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from eth_abi.abi import encode

from chain.client import BroadcastOutcome, CallRequest, ChainClient, encode_reads
from chain.logs import NATIVE_LOG_ADDRESS, ZERO_ADDRESS, Allowance, Log, approvals_by, net_transfers
from chain.reverts import describe_revert
from domain.errors import ChainUnavailable
from domain.ports import ReadCall, ReadResult
from domain.transaction import BalanceDelta
from domain.units import INT256_MIN
from tests.builders import CHAIN_ID, CONTRACTS, address
from tests.fakes_chain import HEAD, TRANSFER_TOPIC, transfer_log

Reply = tuple[int, str]
BLOCK = {"number": "0x64", "hash": "0x" + "ab" * 32, "timestamp": "0x69a42a40", "baseFeePerGas": "0x4a817c800"}
APPROVAL_TOPIC = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"


class ScriptedNode:
    """Answers each method with its next reply; the last one stays."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: dict[str, list[Reply]] = {"eth_chainId": [result(hex(CHAIN_ID))]}
        self.requests: list[tuple[str, list[object]]] = []

    def script(self, method: str, *replies: Reply) -> None:
        self.replies[method] = list(replies)

    def answer(self, method: str, params: list[object]) -> Reply:
        self.requests.append((method, params))
        replies = self.replies[method]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def count(self, method: str) -> int:
        return sum(1 for asked, _ in self.requests if asked == method)


def result(value: object) -> Reply:
    return 200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": value})


def error(code: int, message: str, data: object = None) -> Reply:
    return 200, json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, "data": data}})


@pytest.fixture
def node() -> Iterator[ScriptedNode]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, text = scripted.answer(body["method"], body["params"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        scripted = ScriptedNode(f"http://127.0.0.1:{server.server_port}")
        yield scripted
        server.shutdown()


def make_client(url: str) -> ChainClient:
    return ChainClient(url, chain_id=CHAIN_ID, multicall=CONTRACTS.multicall, timeout_seconds=5, sleep=lambda _: None)


@pytest.fixture
def client(node: ScriptedNode) -> ChainClient:
    return make_client(node.url)


def test_reads_the_head(node, client):
    node.script("eth_getBlockByNumber", result(BLOCK))

    header = client.header()

    assert (header.number, header.hash, header.base_fee_wei) == (100, "0x" + "ab" * 32, 20 * 10**9)
    assert header.time.isoformat() == "2026-03-01T12:00:00+00:00"


def test_refuses_a_node_of_another_chain(node, client):
    node.script("eth_chainId", result("0x1"))

    with pytest.raises(ChainUnavailable, match="is on chain 1, expected chain 31337"):
        client.header()


def test_a_block_that_the_node_lacks_is_unavailable(node, client):
    node.script("eth_getBlockByNumber", result(None))

    with pytest.raises(ChainUnavailable, match="has no block 0x65"):
        client.header(101)


@pytest.mark.parametrize(
    "change",
    [{"timestamp": "0x" + "f" * 64}, {"hash": "0x12"}, {"baseFeePerGas": None}, {"number": "many"}, {"number": 100}],
)
def test_an_impossible_header_is_unavailable(node, client, change):
    node.script("eth_getBlockByNumber", result({**BLOCK, **change}))

    with pytest.raises(ChainUnavailable):
        client.header()


@pytest.mark.parametrize("trouble", [(503, "busy"), (429, "slow down"), (200, "<html>"), (200, "{}"), (200, "[]")])
def test_a_read_is_tried_again_after_a_passing_trouble(node, client, trouble):
    node.script("eth_maxPriorityFeePerGas", trouble, trouble, result("0x7"))

    assert client.priority_fee_wei() == 7
    assert node.count("eth_maxPriorityFeePerGas") == 3


def test_a_read_is_given_up_after_three_attempts(node, client):
    node.script("eth_maxPriorityFeePerGas", (503, "busy"))

    with pytest.raises(ChainUnavailable, match="HTTP status 503"):
        client.priority_fee_wei()

    assert node.count("eth_maxPriorityFeePerGas") == 3


@pytest.mark.parametrize("refusal", [(401, "who are you"), error(-32601, "method not found")])
def test_a_clear_refusal_is_not_asked_twice(node, client, refusal):
    node.script("eth_maxPriorityFeePerGas", refusal)

    with pytest.raises(ChainUnavailable):
        client.priority_fee_wei()

    assert node.count("eth_maxPriorityFeePerGas") == 1


def test_a_broadcast_is_never_retried(node, client):
    node.script("eth_sendRawTransaction", (503, "busy"))

    answer = client.send_raw("0x12")

    assert answer.outcome is BroadcastOutcome.UNKNOWN
    assert node.count("eth_sendRawTransaction") == 1


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (result("0x" + "12" * 32), BroadcastOutcome.ACCEPTED),
        (error(-32003, "transaction already imported"), BroadcastOutcome.ALREADY_KNOWN),
        (error(-32000, "already known"), BroadcastOutcome.ALREADY_KNOWN),
        (error(-32003, "nonce too low"), BroadcastOutcome.NONCE_USED),
        (error(-32000, "replacement transaction underpriced"), BroadcastOutcome.UNKNOWN),
        (error(-32003, "Insufficient funds for gas * price + value"), BroadcastOutcome.REFUSED),
    ],
)
def test_broadcast_answers_are_told_apart(node, client, reply, outcome):
    node.script("eth_sendRawTransaction", reply)

    assert client.send_raw("0x12").outcome is outcome


def test_an_unreachable_node_is_named_without_its_credentials():
    client = make_client("http://user:secret@127.0.0.1:9/v3/api-key?token=t")

    with pytest.raises(ChainUnavailable, match=r"node http://127\.0\.0\.1:9 did not answer eth_chainId") as trouble:
        client.header()

    told = str(trouble.value)
    assert not [secret for secret in ("secret", "api-key", "token") if secret in told]
    assert trouble.value.__suppress_context__


def test_one_failing_read_does_not_fail_the_rest(node, client):
    answer = encode(["(bool,bytes)[]"], [[(True, b"\x01"), (False, b"\x02")]])
    node.script("eth_call", result("0x" + answer.hex()))
    calls = [ReadCall(target=address(1), data="0x12"), ReadCall(target=address(2), data="0x34")]

    results = client.read_many(calls, block_number=100)

    assert list(results) == [ReadResult(succeeded=True, data="0x01"), ReadResult(succeeded=False, data="0x02")]
    ((_, (request, block)),) = node.requests
    assert (request["to"], request["data"], block) == (CONTRACTS.multicall, encode_reads(calls), "0x64")


def test_a_missing_multicall_is_unavailable(node, client):
    node.script("eth_call", result("0x"))

    with pytest.raises(ChainUnavailable, match="Multicall3"):
        client.read_many([ReadCall(target=address(1), data="0x12")], block_number=100)


def test_no_reads_ask_nothing(node, client):
    assert client.read_many([], block_number=100) == []
    assert node.requests == []


@pytest.mark.parametrize(("data", "expected"), [("0x08c379a0", "0x08c379a0"), ("Reverted", "0x"), (None, "0x")])
def test_a_revert_is_an_answer(node, client, data, expected):
    node.script("eth_call", error(3, "execution reverted", data))

    answer = client.call(CallRequest(address(1), address(2), "0x12"), block_number=100)

    assert answer == ReadResult(succeeded=False, data=expected)


def test_an_incomplete_simulation_is_unavailable(node, client):
    node.script("eth_simulateV1", result([{"calls": []}]))

    with pytest.raises(ChainUnavailable, match="simulated 0 of 1 calls"):
        client.simulate_v1([CallRequest(address(1), address(2), "0x12")], head=HEAD, seconds=12)


def test_a_transaction_in_no_block_has_no_receipt(node, client):
    node.script("eth_getTransactionReceipt", result(None))

    assert client.receipt("0x" + "12" * 32) is None


def test_transfers_are_net_per_holder_and_token():
    token, other = address(0x101), address(0x102)
    logs = (
        transfer_log(token, address(1), address(2), 5),
        transfer_log(token, address(2), address(1), 3),
        transfer_log(other, address(1), address(2), 7),
        transfer_log(other, address(2), address(1), 7),
    )

    assert net_transfers(logs) == (
        BalanceDelta(holder=address(1), token=token, amount=-2),
        BalanceDelta(holder=address(2), token=token, amount=2),
    )


def test_minted_tokens_come_from_nobody_and_native_money_is_the_zero_address():
    logs = (
        transfer_log(address(0x101), ZERO_ADDRESS, address(1), 5),
        transfer_log(NATIVE_LOG_ADDRESS, address(2), ZERO_ADDRESS, 7),
    )

    assert net_transfers(logs) == (
        BalanceDelta(holder=address(1), token=address(0x101), amount=5),
        BalanceDelta(holder=address(2), token=ZERO_ADDRESS, amount=-7),
    )


def test_an_absurd_claim_of_a_hostile_token_does_not_hide_the_rest():
    logs = (
        transfer_log(address(0xBAD), address(1), address(2), 2**256 - 1),
        transfer_log(address(0x101), address(1), address(2), 5),
    )

    deltas = {(delta.holder, delta.token): delta.amount for delta in net_transfers(logs)}

    assert deltas[address(1), address(0xBAD)] == INT256_MIN
    assert deltas[address(1), address(0x101)] == -5


def test_events_that_are_not_erc20_transfers_move_nothing():
    word = "0x" + "00" * 31 + "01"
    logs = (
        Log(address=address(0x101), topics=(TRANSFER_TOPIC, word, word, word), data="0x"),  # ERC-721
        Log(address=address(0x101), topics=(), data="0x"),
        Log(address=address(0x101), topics=(TRANSFER_TOPIC, "0x01", "0x02"), data=word),
    )

    assert net_transfers(logs) == ()


def test_approvals_of_others_are_not_ours():
    def approval(owner: str) -> Log:
        topics = (APPROVAL_TOPIC, *("0x" + holder[2:].zfill(64) for holder in (owner, address(9))))
        return Log(address=address(0x101), topics=topics, data="0x" + "00" * 32)

    found = approvals_by(address(1), (approval(address(1)), approval(address(2))))

    assert found == {Allowance(token=address(0x101), spender=address(9))}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("0x", "reverted without a reason"),
        ("0x08c379a0" + encode(["string"], ["GS013"]).hex(), "reverted: GS013"),
        ("0x08c379a0" + encode(["string"], ["a\nb"]).hex(), "reverted: a?b"),
        ("0x08c379a0" + "ff" * 32, "reverted with an unreadable reason"),
        ("0x4e487b71" + encode(["uint256"], [0x11]).hex(), "panicked with code 0x11"),
        ("0xdeadbeef", "reverted with custom error 0xdeadbeef"),
    ],
)
def test_revert_data_become_words(data, text):
    assert describe_revert(data) == text


def test_a_long_revert_reason_is_shortened():
    data = "0x08c379a0" + encode(["string"], ["x" * 5000]).hex()

    assert len(describe_revert(data)) == len("reverted: ") + 200
