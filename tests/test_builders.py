"""Moves become exactly the calls that the protocols document, and impossible moves never become bytes."""

from __future__ import annotations

import pytest

from domain.abi import AAVE_WITHDRAW, APPROVE, MULTISEND, SAFE_EXEC_TRANSACTION, SWAP_EXACT_INPUT_SINGLE, VAULT_REDEEM
from domain.errors import InvariantBroken, UnknownSubject
from domain.plan import Move, MoveKind
from domain.transaction import Operation, UnsignedCall
from domain.units import UINT256_MAX
from tests.builders import ACCOUNT, CONTRACTS, OPERATOR, address, make_catalog
from tests.builders_evidence import DAI, USDC, deposit, make_plan, redeem, supply, swap, withdraw
from tools.transactions.batch import build_calls
from tools.transactions.erc20 import approve
from tools.transactions.safe import pack_calls, wrap_calls

CATALOG = make_catalog()


def arguments(function, call):
    return function.decode_input(bytes.fromhex(call.data[2:]))


def test_a_supply_is_an_exact_approval_and_the_pool_call():
    approval, action = build_calls(supply(5), CATALOG)

    assert (approval.target, arguments(APPROVE, approval)) == (address(0x101), (CONTRACTS.aave_pool, 5 * USDC))
    # supply(asset, amount, onBehalfOf, referralCode): selector 617ba037, four words
    words = f"{0x101:064x}{5 * USDC:064x}{int(ACCOUNT, 16):064x}{0:064x}"
    assert (action.target, action.data) == (CONTRACTS.aave_pool, "0x617ba037" + words)


@pytest.mark.parametrize(("is_whole", "asked"), [(False, 7), (True, UINT256_MAX)])
def test_a_withdrawal_goes_to_the_account_and_a_whole_one_asks_for_everything(is_whole, asked):
    (call,) = build_calls(withdraw("aave-usdx", "usdx", 7, is_whole=is_whole), CATALOG)

    assert arguments(AAVE_WITHDRAW, call) == (address(0x103), asked, ACCOUNT)


def test_a_deposit_approves_the_vault_itself():
    approval, action = build_calls(deposit(9), CATALOG)

    assert arguments(APPROVE, approval) == (address(0x301), 9)
    assert action.data == "0x6e553f65" + f"{9:064x}{int(ACCOUNT, 16):064x}"


def test_a_redemption_names_shares_and_the_account_twice():
    (call,) = build_calls(redeem(11), CATALOG)

    assert arguments(VAULT_REDEEM, call) == (11, ACCOUNT, ACCOUNT)


def test_a_swap_carries_fee_recipient_and_minimum():
    approval, action = build_calls(swap("usdc", "dai", 5 * USDC, 4 * DAI), CATALOG)

    assert arguments(APPROVE, approval) == (CONTRACTS.swap_router, 5 * USDC)
    expected = (address(0x101), address(0x102), 100, ACCOUNT, 5 * USDC, 4 * DAI, 0)
    assert arguments(SWAP_EXACT_INPUT_SINGLE, action) == (expected,)


@pytest.mark.parametrize(
    ("move", "message"),
    [
        (swap("usdc", "dai", 5, 0), "minimum out above 0"),
        (swap("usdc", "weth", 5, 1), "does not fit venue"),
        (swap("usdc", "dai", 5, 1, venue="ghost"), "unknown venue ghost"),
        (supply(0), "must be above 0"),
        (withdraw("aave-usdx", "usdx", 0), "must be above 0"),
        (redeem(0), "must name shares"),
        (Move(kind=MoveKind.SUPPLY, token_in="dai", token_out="dai", amount_in=1), "names no strategy"),
        (supply(1).model_copy(update={"strategy": "vault-limited-dai"}), "needs a aave_v3 strategy"),
    ],
)
def test_a_move_that_makes_no_sense_never_becomes_bytes(move, message):
    with pytest.raises(InvariantBroken, match=message):
        build_calls(move, CATALOG)


def test_an_unknown_strategy_is_named():
    with pytest.raises(UnknownSubject, match="ghost"):
        build_calls(supply(1).model_copy(update={"strategy": "ghost"}), CATALOG)


def test_calls_are_packed_as_multisend_reads_them():
    call = UnsignedCall(target=address(0xABCD), value_wei=3, data="0x0102")

    packed = pack_calls([call])

    assert packed.hex() == "00" + f"{0xABCD:040x}" + f"{3:064x}" + f"{2:064x}" + "0102"


def test_a_delegatecall_is_never_packed():
    call = UnsignedCall(target=address(1), data="0x", operation=Operation.DELEGATECALL)

    with pytest.raises(InvariantBroken, match="must be a plain call"):
        pack_calls([call])


def test_the_envelope_delegates_to_multisend_and_nothing_else():
    calls = (approve(CATALOG.token("dai"), spender=address(0x301), amount=1),)

    envelope = wrap_calls(calls, CATALOG)

    target, value, data, operation, *refund, signatures = arguments(SAFE_EXEC_TRANSACTION, envelope)
    assert (envelope.target, envelope.value_wei, envelope.operation) == (ACCOUNT, 0, Operation.CALL)
    assert (target, value, operation) == (CONTRACTS.multisend_call_only, 0, 1)
    assert refund == [0, 0, 0, address(0), address(0)]
    assert signatures.hex() == "00" * 12 + OPERATOR[2:] + "00" * 32 + "01"
    assert MULTISEND.decode_input(data) == (pack_calls(calls),)


def test_a_plan_lists_the_minimums_of_its_swaps_in_order():
    plan = make_plan([swap("usdc", "dai", 5, 4), supply(1), swap("dai", "usdc", 6, 3)])

    assert plan.minimum_outs == (4, 3)
    assert len(plan.calls) == 6
    assert plan.envelope == wrap_calls(plan.calls, CATALOG)


@pytest.mark.parametrize("moves", [[], [supply(1)] * 33])
def test_a_plan_has_at_least_one_and_at_most_64_calls(moves):
    with pytest.raises(InvariantBroken, match="1 to 64 calls"):
        make_plan(moves)


def test_the_same_moves_give_the_same_digest():
    assert make_plan().batch_digest() == make_plan().batch_digest()
