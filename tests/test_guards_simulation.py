"""The simulation is of these bytes, recent, successful, and did to the account exactly what the calls say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.portfolio import Balance, Position
from domain.transaction import BalanceDelta
from tests.builders import ACCOUNT, NOW, OPERATOR, address, make_portfolio, make_snapshot
from tests.builders_evidence import (
    DAI,
    USDC,
    codes,
    deposit,
    exit_moves,
    make_evidence,
    make_plan,
    redeem,
    rows_of,
    supply,
    swap,
    withdraw,
)

THIEF = address(0xBAD)
USDC_TOKEN, DAI_TOKEN, AAVE_USDC, VAULT = address(0x101), address(0x102), address(0x201), address(0x301)
AAVE_USDX = address(0x203)
NATIVE = address(0)


def denied(evidence):
    return codes(rows_of("simulation", evidence))


def with_deltas(evidence, *extra):
    """The same evidence with balance changes added to the report: (holder, token, amount)."""
    added = tuple(BalanceDelta(holder=holder, token=token, amount=amount) for holder, token, amount in extra)
    report = evidence.simulation.model_copy(update={"deltas": evidence.simulation.deltas + added})
    return evidence.model_copy(update={"simulation": report})


@pytest.mark.parametrize(
    "moves",
    [
        [supply(50_000)],
        [deposit(1_000 * DAI)],
        [swap("usdc", "dai", 1_000 * USDC, 996 * DAI)],
        [withdraw("aave-usdx", "usdx", 500 * DAI)],
        list(exit_moves()),
    ],
)
def test_a_simulation_that_did_what_the_calls_say_passes(moves):
    assert denied(make_evidence(moves)) == set()


def test_redeeming_pays_at_least_the_position_s_share():
    before = make_portfolio(positions={"vault-limited-dai": 1_000 * DAI})
    evidence = make_evidence([redeem(500 * DAI)], before=before)

    short = with_deltas(evidence, (ACCOUNT, DAI_TOKEN, -DAI))

    assert denied(evidence) == set()
    assert "unplanned_outflow" in denied(short)


@pytest.mark.parametrize(("missing", "expected"), [(0, set()), (160 * DAI, set()), (161 * DAI, {"delta_mismatch"})])
def test_interest_that_aave_nets_against_a_withdrawal_is_no_mismatch(missing, expected):
    """The event of a burn says 98,000 when 100,000 leave, 2,000 of them interest: AToken._burnScaled of Aave v3.

    Missing may be 10 bps of the 60,000 that the call takes, and 10 bps of the 100,000 held.
    """
    evidence = make_evidence([withdraw("aave-usdx", "usdx", 60_000 * DAI)])
    kept = (Position(strategy="aave-usdx", shares=40_000 * DAI - missing, amount=40_000 * DAI - missing),)
    others = tuple(p for p in evidence.after.positions if p.strategy != "aave-usdx")

    after = evidence.after.model_copy(update={"positions": kept + others})
    netted = with_deltas(evidence.model_copy(update={"after": after}), (ACCOUNT, AAVE_USDX, 2_000 * DAI))

    assert denied(netted) == expected


def test_losing_more_than_was_held_denies_because_the_book_before_is_wrong():
    evidence = make_evidence([redeem(1)], before=make_portfolio(positions={"vault-limited-dai": 5}))
    empty = make_portfolio(positions={})

    assert denied(evidence.model_copy(update={"before": empty, "after": empty})) == {"delta_mismatch"}


def test_a_failed_simulation_denies_with_its_reason():
    evidence = make_evidence(simulated={"succeeded": False, "failure": "GS013"})

    rows = [row for row in rows_of("simulation", evidence) if row.code == "simulation_failed"]

    assert [(row.passed, row.observed) for row in rows] == [(False, "failed: GS013")]


@pytest.mark.parametrize(("gas", "passed", "observed"), [(0, False, "used no gas"), (1, True, "succeeded")])
def test_a_simulation_that_used_no_gas_simulated_nothing(gas, passed, observed):
    evidence = make_evidence(simulated={"gas_used": gas})

    (row,) = (row for row in rows_of("simulation", evidence) if row.code == "simulation_failed")

    assert (row.passed, row.observed, row.limit) == (passed, observed, "succeeded")


def test_a_simulation_of_another_batch_denies():
    assert denied(make_evidence(simulated={"batch_digest": "0" * 64})) == {"simulation_digest"}


@pytest.mark.parametrize(("head", "expected"), [(105, set()), (106, {"simulation_stale"}), (99, {"simulation_stale"})])
def test_a_simulation_may_be_five_blocks_old(head, expected):
    assert denied(make_evidence(head_block_number=head)) == expected


# The tolerance is 10 basis points of 50,000 USDC: 50 USDC either way.
@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (-50 * USDC, set()),
        (-50 * USDC - 1, {"unplanned_outflow"}),
        (50 * USDC, set()),
        (50 * USDC + 1, {"delta_mismatch"}),
    ],
)
def test_what_leaves_is_what_the_calls_say_within_the_tolerance(extra, expected):
    evidence = make_evidence()
    cash = tuple(
        Balance(token=balance.token, amount=balance.amount + (extra if balance.token == "usdc" else 0))
        for balance in evidence.after.cash
    )
    after = evidence.after.model_copy(update={"cash": cash})

    changed = with_deltas(evidence.model_copy(update={"after": after}), (ACCOUNT, USDC_TOKEN, extra))

    assert denied(changed) == expected


def test_a_supply_that_brings_no_receipt_denies():
    assert "unplanned_outflow" in denied(with_deltas(make_evidence(), (ACCOUNT, AAVE_USDC, -50_000 * USDC)))


def test_a_deposit_that_brings_too_few_shares_denies():
    # 1,000 DAI buy 1,000 shares at a share price of 1; a tenth of a percent may be missing, no more.
    evidence = make_evidence([deposit(1_000 * DAI)])

    assert "unplanned_outflow" not in denied(with_deltas(evidence, (ACCOUNT, VAULT, -DAI)))
    assert "unplanned_outflow" in denied(with_deltas(evidence, (ACCOUNT, VAULT, -DAI - 1)))


def test_a_deposit_without_a_known_share_price_may_not_lose_shares():
    evidence = make_evidence([deposit(1_000 * DAI)], snapshot=make_snapshot(rates=()))

    assert denied(evidence) == set()
    assert "unplanned_outflow" in denied(with_deltas(evidence, (ACCOUNT, VAULT, -1_000 * DAI - 1)))


def test_a_swap_that_pays_less_than_its_minimum_denies():
    evidence = make_evidence([swap("usdc", "dai", 1_000 * USDC, 996 * DAI)])

    assert denied(with_deltas(evidence, (ACCOUNT, DAI_TOKEN, -6 * DAI))) >= {"unplanned_outflow"}


def test_a_token_that_no_call_names_may_not_leave():
    assert "unplanned_outflow" in denied(with_deltas(make_evidence(), (ACCOUNT, address(0x999), -1)))


def test_a_token_that_nobody_asked_for_may_arrive():
    assert denied(with_deltas(make_evidence(), (ACCOUNT, address(0x999), 1))) == set()


def test_native_money_may_not_leave():
    assert denied(with_deltas(make_evidence(), (ACCOUNT, NATIVE, -1))) == {"unplanned_outflow"}


@pytest.mark.parametrize("token", [USDC_TOKEN, DAI_TOKEN, NATIVE])
@pytest.mark.parametrize("holder", [THIEF, OPERATOR])
def test_a_stranger_may_not_gain_a_single_unit(token, holder):
    assert denied(with_deltas(make_evidence(), (holder, token, 1))) == {"outflow_to_stranger"}


@pytest.mark.parametrize("holder", [AAVE_USDC, VAULT, address(0x401)])
def test_receipt_contracts_vaults_and_pools_are_no_strangers(holder):
    assert denied(with_deltas(make_evidence(), (holder, USDC_TOKEN, 1))) == set()


def test_a_vault_may_mint_fee_shares_while_it_pays_us_in_full():
    evidence = make_evidence([deposit(1_000 * DAI)])

    assert denied(with_deltas(evidence, (THIEF, VAULT, DAI))) == set()


def test_a_portfolio_that_holds_less_than_the_events_say_denies():
    evidence = make_evidence()
    poorer = evidence.after.model_copy(update={"cash": (Balance(token="usdc", amount=1),)})

    assert denied(evidence.model_copy(update={"after": poorer})) == {"delta_mismatch"}


def test_a_position_that_vanished_denies():
    evidence = make_evidence()
    kept = tuple(p for p in evidence.after.positions if p.strategy != "aave-weth")

    after = evidence.after.model_copy(update={"positions": kept})

    assert denied(evidence.model_copy(update={"after": after})) == {"delta_mismatch"}


def test_interest_and_gifts_are_no_mismatch():
    evidence = make_evidence()
    grown = tuple(
        Position(strategy=p.strategy, shares=p.shares * 2, amount=p.amount * 2) for p in evidence.after.positions
    )

    after = evidence.after.model_copy(update={"positions": grown, "native_wei": 2 * 10**18})

    assert denied(evidence.model_copy(update={"after": after})) == set()


def binding_codes(evidence):
    return codes(rows_of("binding", evidence))


def test_the_judged_calls_must_be_the_envelope_s():
    evidence = make_evidence()
    other = make_evidence([supply(49_999)]).batch

    assert binding_codes(evidence.model_copy(update={"batch": other})) == {"batch_mismatch"}


@pytest.mark.parametrize("part", ["calls", "envelope"])
def test_calls_and_envelope_of_a_plan_must_say_the_same(part):
    evidence = make_evidence()
    plan = evidence.plan.model_copy(update={part: getattr(make_plan([supply(49_999)]), part)})

    assert binding_codes(evidence.model_copy(update={"plan": plan})) == {"batch_mismatch"}


def test_the_listed_minimums_must_be_those_in_the_bytes():
    evidence = make_evidence([swap("usdc", "dai", 1_000 * USDC, 996 * DAI)])
    plan = evidence.plan.model_copy(update={"minimum_outs": (1,)})

    assert binding_codes(evidence.model_copy(update={"plan": plan})) == {"batch_mismatch"}


@pytest.mark.parametrize("code", ["policy_digest", "snapshot_digest"])
def test_a_plan_made_under_another_policy_or_snapshot_denies(code):
    evidence = make_evidence()
    plan = evidence.plan.model_copy(update={code: "0" * 64})

    assert binding_codes(evidence.model_copy(update={"plan": plan})) == {code}


@pytest.mark.parametrize(("seconds", "expected"), [(599, set()), (600, {"plan_expired"})])
def test_a_plan_is_good_until_its_expiry(seconds, expected):
    assert binding_codes(make_evidence(now=NOW + timedelta(seconds=seconds))) == expected
