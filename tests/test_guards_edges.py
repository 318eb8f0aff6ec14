"""Evidence that contradicts itself, and lines that appear, vanish or stay away: one unit decides, one row tells."""

from __future__ import annotations

import pytest

from domain.abi import APPROVE, SWAP_EXACT_INPUT_SINGLE
from domain.portfolio import Balance
from domain.transaction import BalanceDelta, LeftoverApproval, UnsignedCall
from domain.verdict import TradingState
from guards import check
from guards.decode import decode_calls
from guards.render import describe_batch
from tests.builders import ACCOUNT, CONTRACTS, address, make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    deposit,
    exit_moves,
    make_evidence,
    make_limits,
    make_plan,
    redeem,
    rows_of,
    supply,
    withdraw,
)

THIEF = address(0xBAD)
WBTC, FOREIGN, VAULT = address(0x105), address(0x999), address(0x301)


def shown(guard, code, evidence):
    return [(row.subject, row.passed) for row in rows_of(guard, evidence) if row.code == code]


def with_batch(evidence, **changes):
    return evidence.model_copy(update={"batch": evidence.batch.model_copy(update=changes)})


def with_deltas(evidence, *extra):
    added = tuple(BalanceDelta(holder=holder, token=token, amount=amount) for holder, token, amount in extra)
    report = evidence.simulation.model_copy(update={"deltas": evidence.simulation.deltas + added})
    return evidence.model_copy(update={"simulation": report})


def test_a_batch_that_says_it_is_incomplete_is_not_believed_to_be_complete():
    assert shown("allowlist", "undecoded", with_batch(make_evidence(), is_complete=False)) == [("batch", False)]


def test_a_batch_with_an_unread_call_is_incomplete_whatever_it_says():
    evidence = make_evidence()
    unread = evidence.batch.calls[1].model_copy(update={"function": None})

    rows = shown("allowlist", "undecoded", with_batch(evidence, calls=(evidence.batch.calls[0], unread)))

    assert rows == [("batch", False)]


def test_a_call_whose_name_is_not_its_selector_s_is_not_listed():
    evidence = make_evidence()
    renamed = evidence.batch.calls[1].model_copy(update={"function": "withdraw"})

    denied = codes(rows_of("allowlist", with_batch(evidence, calls=(evidence.batch.calls[0], renamed))))

    assert "selector" in denied


def test_selling_a_token_that_is_not_listed_is_refused_by_name():
    sell = SWAP_EXACT_INPUT_SINGLE.encode((FOREIGN, address(0x102), 100, ACCOUNT, 5, 4, 0))
    calls = decode_calls([UnsignedCall(target=CONTRACTS.swap_router, data=sell)], catalog=make_evidence().catalog)

    denials = check(with_batch(make_evidence(), calls=calls)).denials

    assert ("argument", "a listed reserve or venue") in {(denial.code, denial.limit) for denial in denials}
    assert "guard_fault" not in codes(denials)


def test_an_open_allowance_is_one_row_and_not_also_none():
    left = LeftoverApproval(token=address(0x101), spender=THIEF, amount=1)
    evidence = make_evidence(simulated={"leftover_approvals": (left,)})

    assert shown("allowlist", "leftover_approval", evidence) == [(f"{address(0x101)} for {THIEF}", False)]


def test_an_approval_is_for_one_spender():
    """The pool's approval does not serve the router, nor the other way round."""
    evidence = make_evidence()
    wrong = UnsignedCall(target=address(0x101), data=APPROVE.encode(CONTRACTS.swap_router, 50_000 * USDC))
    calls = (*decode_calls([wrong], catalog=evidence.catalog), evidence.batch.calls[1])

    rows = shown("allowlist", "approval_amount", with_batch(evidence, calls=calls))

    assert rows == [("supply usdc", False), (f"usdc for {CONTRACTS.swap_router}", False)]


def test_supplying_the_largest_number_is_not_called_withdrawing_all():
    everything = supply(1).model_copy(update={"amount_in": 2**256 - 1})

    described = describe_batch(make_plan([everything]), catalog=make_evidence().catalog)

    assert described.splitlines()[1].startswith("supply 1157920892")


def test_a_contract_that_only_others_touch_is_none_of_our_rows():
    evidence = with_deltas(make_evidence(), (THIEF, FOREIGN, 5))

    assert FOREIGN not in {subject for subject, _ in shown("simulation", "unplanned_outflow", evidence)}


def test_a_token_that_no_call_names_may_come_and_go():
    evidence = with_deltas(make_evidence(), (ACCOUNT, FOREIGN, 5), (ACCOUNT, FOREIGN, -5))

    assert (FOREIGN, True) in shown("simulation", "unplanned_outflow", evidence)


@pytest.mark.parametrize(
    ("amount", "expected"), [(-5, [("batch", True)]), (0, [("batch", True)]), (1, [(THIEF, False)])]
)
def test_only_a_stranger_that_gains_is_told(amount, expected):
    evidence = with_deltas(make_evidence(), (THIEF, address(0x101), amount))

    assert shown("simulation", "outflow_to_stranger", evidence) == expected


def test_a_token_that_the_events_bring_must_be_there():
    evidence = with_deltas(make_evidence(), (ACCOUNT, WBTC, 1))

    assert ("wbtc", False) in shown("simulation", "delta_mismatch", evidence)


def test_a_token_that_no_event_brought_is_shown_as_a_gift():
    evidence = make_evidence()
    cash = (*evidence.after.cash, Balance(token="wbtc", amount=1))
    gifted = evidence.model_copy(update={"after": evidence.after.model_copy(update={"cash": cash})})

    assert ("wbtc", True) in shown("simulation", "delta_mismatch", gifted)
    assert "wbtc" not in {subject for subject, _ in shown("simulation", "delta_mismatch", evidence)}


@pytest.mark.parametrize(("missing", "passed"), [(0, True), (1, False)])
def test_without_tolerance_a_withdrawal_leaves_exactly_the_rest(missing, passed):
    policy = make_limits(simulation={"max_delta_tolerance_bps": 0})
    before = make_portfolio(positions={"aave-usdx": 100 * DAI})
    evidence = make_evidence([withdraw("aave-usdx", "usdx", 60 * DAI)], before=before, policy=policy)
    (position,) = evidence.after.positions
    left = position.model_copy(update={"shares": position.shares - missing})

    poorer = evidence.model_copy(update={"after": evidence.after.model_copy(update={"positions": (left,)})})

    assert ("aave-usdx", passed) in shown("simulation", "delta_mismatch", poorer)


def paid_more(evidence, token, contract, extra):
    """The events and the book afterwards show `extra` more of a token."""
    cash = tuple(
        balance.model_copy(update={"amount": balance.amount + extra}) if balance.token == token else balance
        for balance in evidence.after.cash
    )
    richer = evidence.model_copy(update={"after": evidence.after.model_copy(update={"cash": cash})})
    return with_deltas(richer, (ACCOUNT, contract, extra))


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([redeem(500 * DAI)], set()),
        ([withdraw("aave-dai", "dai", 500 * DAI, is_whole=True)], set()),
        ([withdraw("aave-dai", "dai", 500 * DAI)], {"delta_mismatch"}),
    ],
)
def test_only_what_is_open_upwards_may_pay_more_than_the_call_says(moves, expected):
    before = make_portfolio(positions={"vault-limited-dai": 1_000 * DAI, "aave-dai": 500 * DAI})

    evidence = paid_more(make_evidence(moves, before=before), "dai", address(0x102), 5 * DAI)

    assert codes(rows_of("simulation", evidence)) == expected


@pytest.mark.parametrize(("missing", "passed"), [(1_000 * DAI, True), (1_000 * DAI + 1, False)])
def test_without_a_share_price_a_deposit_may_bring_no_share_at_all(missing, passed):
    evidence = make_evidence([deposit(1_000 * DAI)], snapshot=make_snapshot(rates=()))

    rows = shown("simulation", "unplanned_outflow", with_deltas(evidence, (ACCOUNT, VAULT, -missing)))

    assert (VAULT, passed) in rows


def limit_of(evidence, code, subject):
    return [row.limit for row in rows_of("simulation", evidence) if (row.code, row.subject) == (code, subject)]


@pytest.mark.parametrize(("held", "expected"), [(0, "0"), (400, "400"), (500, "500"), (1_000, "500")])
def test_redeeming_promises_no_more_than_the_position(held, expected):
    """500 shares; below ten thousand units the tolerance rounds to nothing."""
    evidence = make_evidence([redeem(500)], before=make_portfolio(positions={"vault-limited-dai": 1_000}))
    position = evidence.before.positions[0].model_copy(update={"shares": held, "amount": held})
    before = evidence.before.model_copy(update={"positions": (position,) if held else ()})

    assert limit_of(evidence.model_copy(update={"before": before}), "unplanned_outflow", address(0x102)) == [expected]


@pytest.mark.parametrize("state", TradingState)
def test_a_way_out_is_told_that_no_state_stops_it(state):
    (row,) = rows_of("trading_state", make_evidence(exit_moves(), trading_state=state))

    assert (row.code, row.limit, row.observed, row.passed) == (
        "trading_state",
        "exits pass in every state",
        state.value,
        True,
    )


def test_a_way_out_with_a_misnamed_call_is_none():
    evidence = make_evidence(exit_moves())
    renamed = evidence.batch.calls[0].model_copy(update={"function": "supply"})

    assert not check(with_batch(evidence, calls=(renamed, *evidence.batch.calls[1:]))).is_exit
