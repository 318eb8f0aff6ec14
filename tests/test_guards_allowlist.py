"""For every allowed call its forbidden neighbours: target, function, recipient, spender, amount, value, operation."""

from __future__ import annotations

import pytest

from domain.abi import (
    AAVE_SUPPLY,
    AAVE_WITHDRAW,
    APPROVE,
    SWAP_EXACT_INPUT_SINGLE,
    TRANSFER,
    VAULT_DEPOSIT,
    VAULT_REDEEM,
)
from domain.transaction import LeftoverApproval, Operation, UnsignedCall
from guards import check
from guards.decode import decode_batch
from tests.builders import ACCOUNT, CONTRACTS, address, make_catalog
from tests.builders_evidence import DAI, USDC, codes, deposit, make_evidence, rows_of, supply, swap, withdraw
from tools.transactions.safe import wrap_calls

CATALOG = make_catalog()
THIEF = address(0xBAD)
POOL, ROUTER, VAULT = CONTRACTS.aave_pool, CONTRACTS.swap_router, address(0x301)
TOKEN, OTHER = address(0x101), address(0x102)


def call(target, function, *arguments, value=0):
    return UnsignedCall(target=target, value_wei=value, data=function.encode(*arguments))


def denied(*calls, **parts):
    """Codes of the allowlist for exactly these inner calls."""
    batch = decode_batch(wrap_calls(calls, CATALOG), catalog=CATALOG)
    return codes(rows_of("allowlist", make_evidence(batch=batch, **parts)))


def approved(token, spender, amount, action):
    return (call(token, APPROVE, spender, amount), action)


def trade(*, token_out=OTHER, fee=100, recipient=ACCOUNT, price_limit=0):
    return call(ROUTER, SWAP_EXACT_INPUT_SINGLE, (TOKEN, token_out, fee, recipient, 5, 4, price_limit))


@pytest.mark.parametrize(
    "calls",
    [
        approved(TOKEN, POOL, 5, call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0)),
        approved(OTHER, VAULT, 5, call(VAULT, VAULT_DEPOSIT, 5, ACCOUNT)),
        approved(TOKEN, ROUTER, 5, trade()),
        (call(POOL, AAVE_WITHDRAW, TOKEN, 5, ACCOUNT),),
        (call(VAULT, VAULT_REDEEM, 5, ACCOUNT, ACCOUNT),),
    ],
)
def test_each_action_in_its_own_form_passes(calls):
    assert denied(*calls) == set()


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (approved(TOKEN, POOL, 5, call(POOL, AAVE_SUPPLY, TOKEN, 5, THIEF, 0)), {"recipient"}),
        (approved(TOKEN, POOL, 5, call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 1)), {"argument"}),
        (approved(OTHER, VAULT, 5, call(VAULT, VAULT_DEPOSIT, 5, THIEF)), {"recipient"}),
        (approved(TOKEN, ROUTER, 5, trade(recipient=THIEF)), {"recipient"}),
        (approved(TOKEN, ROUTER, 5, trade(fee=3000)), {"argument"}),
        (approved(TOKEN, ROUTER, 5, trade(token_out=THIEF)), {"argument", "approval_amount"}),
        (approved(TOKEN, ROUTER, 5, trade(price_limit=1)), {"argument"}),
        ((call(POOL, AAVE_WITHDRAW, TOKEN, 5, THIEF),), {"recipient"}),
        ((call(POOL, AAVE_WITHDRAW, THIEF, 5, ACCOUNT),), {"argument"}),
        ((call(VAULT, VAULT_REDEEM, 5, THIEF, ACCOUNT),), {"recipient"}),
        ((call(VAULT, VAULT_REDEEM, 5, ACCOUNT, THIEF),), {"recipient"}),
    ],
)
def test_an_argument_that_is_not_ours_denies(calls, expected):
    assert denied(*calls) == expected


def test_a_transfer_is_read_and_refused():
    assert denied(call(TOKEN, TRANSFER, ACCOUNT, 5)) == {"selector"}


def test_an_unknown_function_of_a_known_contract_is_refused():
    unknown = UnsignedCall(target=POOL, data="0xdeadbeef")

    assert denied(unknown) == {"selector", "undecoded"}


def test_an_unknown_contract_is_refused():
    assert denied(call(THIEF, APPROVE, POOL, 5)) == {"contract", "selector", "undecoded"}


def test_native_value_is_refused():
    assert denied(call(POOL, AAVE_WITHDRAW, TOKEN, 5, ACCOUNT, value=1)) == {"native_value"}


def test_a_delegatecall_is_refused():
    evidence = make_evidence()
    calls = tuple(c.model_copy(update={"operation": Operation.DELEGATECALL}) for c in evidence.batch.calls)
    batch = evidence.batch.model_copy(update={"calls": calls})

    assert codes(rows_of("allowlist", evidence.model_copy(update={"batch": batch}))) == {"delegatecall"}


def test_a_batch_of_nothing_is_refused():
    evidence = make_evidence()
    batch = evidence.batch.model_copy(update={"calls": ()})

    assert codes(rows_of("allowlist", evidence.model_copy(update={"batch": batch}))) == {"undecoded"}


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        ((call(TOKEN, APPROVE, THIEF, 5),), {"spender", "approval_amount"}),
        ((call(TOKEN, APPROVE, VAULT, 5),), {"spender", "approval_amount"}),
        ((call(TOKEN, APPROVE, POOL, 5),), {"approval_amount"}),
        ((call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0),), {"approval_amount"}),
        (approved(TOKEN, POOL, 6, call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0)), {"approval_amount"}),
        (approved(TOKEN, POOL, 2**256 - 1, call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0)), {"approval_amount"}),
        (approved(OTHER, POOL, 5, call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0)), {"approval_amount"}),
        ((call(TOKEN, APPROVE, POOL, 0),), set()),
    ],
)
def test_an_approval_is_exactly_what_the_next_call_takes(calls, expected):
    assert denied(*calls) == expected


def test_one_approval_does_not_serve_two_calls():
    action = call(POOL, AAVE_SUPPLY, TOKEN, 5, ACCOUNT, 0)

    assert denied(call(TOKEN, APPROVE, POOL, 5), action, action) == {"approval_amount"}


@pytest.mark.parametrize(("amount", "expected"), [(0, set()), (1, {"leftover_approval"})])
def test_no_approval_is_left_behind(amount, expected):
    left = LeftoverApproval(token=TOKEN, spender=POOL, amount=amount)

    evidence = make_evidence(simulated={"leftover_approvals": (left,)})

    assert codes(rows_of("allowlist", evidence)) == expected


@pytest.mark.parametrize("part", ["plan", "batch", "before", "after", "simulation", "snapshot"])
def test_everything_is_about_this_chain(part):
    evidence = make_evidence()
    other = getattr(evidence, part).model_copy(update={"chain_id": 1})

    assert codes(rows_of("allowlist", evidence.model_copy(update={part: other}))) == {"chain_id"}


@pytest.mark.parametrize("part", ["plan", "batch", "before", "after"])
def test_everything_is_about_this_account(part):
    evidence = make_evidence()
    other = getattr(evidence, part).model_copy(update={"account": THIEF})

    assert codes(rows_of("allowlist", evidence.model_copy(update={part: other}))) == {"chain_id"}


@pytest.mark.parametrize(
    "moves",
    [
        [supply(1_000)],
        [deposit(1_000 * DAI)],
        [swap("usdc", "dai", 1_000 * USDC, 996 * DAI), deposit(996 * DAI)],
        [withdraw("aave-usdx", "usdx", 500 * DAI)],
        [
            withdraw("aave-usdx", "usdx", 1, is_whole=True),
            swap("usdx", "usdc", 500 * DAI, 499 * USDC, venue="usdc-usdx-100"),
        ],
    ],
)
def test_what_the_builders_make_passes(moves):
    assert codes(rows_of("allowlist", make_evidence(moves))) == set()


def test_an_unreadable_token_leaves_no_action_to_trust():
    evidence = make_evidence()
    stranger = evidence.batch.calls[0].model_copy(update={"target": THIEF})
    batch = evidence.batch.model_copy(update={"calls": (stranger, *evidence.batch.calls[1:])})

    verdict = check(evidence.model_copy(update={"batch": batch}))

    assert {"contract", "batch_mismatch", "approval_amount"} <= codes(verdict.denials)


def test_a_deposit_read_at_no_vault_is_no_action():
    evidence = make_evidence([deposit(1_000 * DAI)])
    moved = evidence.batch.calls[1].model_copy(update={"target": POOL})
    batch = evidence.batch.model_copy(update={"calls": (evidence.batch.calls[0], moved)})

    assert codes(rows_of("allowlist", evidence.model_copy(update={"batch": batch}))) == {"selector", "approval_amount"}
