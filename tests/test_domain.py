"""Invariants of the vocabulary: references resolve, unknown is never zero, digests change with every field."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from domain.digest import canonical_json, digest_of
from domain.errors import StaleOrDisputed, UnknownSubject
from domain.journal import JournalEntry
from domain.market import Catalog, DailySeries, MarketHistory
from domain.policy import is_unlimited
from domain.portfolio import net_asset_value_usd, value_holdings
from domain.run import RunStatus
from domain.stages import Assessment
from domain.transaction import BalanceDelta, FeeQuote, Receipt
from tests.builders import (
    ACCOUNT,
    CHAIN_ID,
    NOW,
    address,
    make_catalog,
    make_policy,
    make_portfolio,
    make_price,
    make_rate,
    make_snapshot,
)
from tests.builders_evidence import make_plan, make_report, make_simulation, make_tail


def test_canonical_json_sorts_keys_and_keeps_unicode():
    assert canonical_json({"b": (1, None), "a": "ü"}) == '{"a":"ü","b":[1,null]}'.encode()


def test_canonical_json_refuses_integers_that_other_readers_would_round():
    with pytest.raises(ValueError, match="must be a decimal string"):
        canonical_json({"amount": 2**53})


def test_canonical_json_refuses_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(math.nan)


def test_two_kinds_never_share_a_digest():
    assert digest_of({}, domain="a") != digest_of({}, domain="b")


def test_a_catalog_refuses_a_token_that_it_does_not_list():
    raw = make_catalog().model_dump()

    with pytest.raises(ValidationError, match="ghost"):
        Catalog.model_validate({**raw, "reserve_token": "ghost"})


def test_a_catalog_refuses_two_entries_of_one_id():
    raw = make_catalog().model_dump()

    with pytest.raises(ValidationError, match="unique"):
        Catalog.model_validate({**raw, "tokens": [*raw["tokens"], raw["tokens"][0]]})


def test_a_catalog_names_what_it_does_not_know():
    with pytest.raises(UnknownSubject, match="'ghost' is not in the catalog"):
        make_catalog().token("ghost")
    with pytest.raises(UnknownSubject, match="strategy 'ghost'"):
        make_catalog().strategy("ghost")


def test_a_catalog_finds_tokens_by_address_and_venues_by_pair():
    catalog = make_catalog()

    assert catalog.token_at(address(0x102)) == catalog.token("dai")
    assert catalog.token_at(address(0x999)) is None
    assert [venue.id for venue in catalog.venues_between("dai", "usdc")] == ["usdc-dai-100"]


def test_holdings_are_valued_at_the_lowest_source():
    prices = (make_price("usdc", "1"), make_price("usdc", "0.97", source="uniswap"))
    portfolio = make_portfolio(cash={"usdc": 100 * 10**6}, positions={})

    (line,) = value_holdings(portfolio, make_snapshot(prices=prices), make_catalog())

    assert (line.token, line.strategy, line.value_usd) == ("usdc", None, Decimal(97))


def test_a_held_token_without_a_price_is_not_worth_zero():
    with pytest.raises(StaleOrDisputed, match="token usdc has no price"):
        net_asset_value_usd(make_portfolio(), make_snapshot(prices=()), make_catalog())


def test_the_sample_treasury_is_worth_970_000_dollars():
    # 700,000 + 100,000 + 100,000 + 20 x 3,500
    assert net_asset_value_usd(make_portfolio(), make_snapshot(), make_catalog()) == Decimal(970_000)


def test_a_portfolio_sums_cash_and_positions_by_name():
    portfolio = make_portfolio()

    assert portfolio.cash_of("usdc") == 700_000 * 10**6
    assert portfolio.position_of("aave-weth") == 20 * 10**18
    assert portfolio.cash_of("weth") == 0


def test_utilization_is_unknown_where_nothing_is_lent_or_supplied():
    rate = make_rate("aave-usdc")

    assert rate.utilization == pytest.approx(0.7)
    assert rate.model_copy(update={"borrowed": None}).utilization is None
    assert rate.model_copy(update={"supplied": 0}).utilization is None


def test_a_snapshot_finds_rates_and_answers_none_for_others():
    snapshot = make_snapshot()

    assert snapshot.rate("aave-dai").strategy == "aave-dai"
    assert snapshot.rate("ghost") is None
    assert snapshot.price_usd("ghost") is None


def test_a_history_refuses_a_series_of_another_length():
    series = DailySeries(subject="aave-dai", values=(0.1,))

    with pytest.raises(ValidationError, match="1 values, 2 days"):
        MarketHistory(days=(NOW, NOW + timedelta(days=1)), supply_apr=(series,), share_price=(), price_usd=())


@pytest.mark.parametrize("second", [NOW, NOW - timedelta(days=1)], ids=["repeated", "falling"])
def test_a_history_refuses_days_that_do_not_rise(second):
    with pytest.raises(ValidationError, match="column days, row 1: must be later than row 0"):
        MarketHistory(days=(NOW, second), supply_apr=(), share_price=(), price_usd=())


@pytest.mark.parametrize("kind", ["supply_apr", "share_price", "price_usd", "supplied", "utilization"])
def test_a_history_refuses_two_series_of_one_subject_and_kind(kind):
    twice = tuple(DailySeries(subject="aave-dai", values=(rate,)) for rate in (0.1, 0.2))
    none = {"supply_apr": (), "share_price": (), "price_usd": ()}

    with pytest.raises(ValidationError, match="series aave-dai, row 1: a subject has one series per kind"):
        MarketHistory(days=(NOW,), **{**none, kind: twice})


def test_every_field_of_a_plan_that_matters_changes_its_batch_digest():
    plan = make_plan()
    other = plan.envelope.model_copy(update={"value_wei": 1})
    changes = {
        "run_id": "run-2",
        "chain_id": 1,
        "account": address(1),
        "calls": plan.calls[::-1],
        "envelope": other,
        "minimum_outs": (1,),
        "fee_cap_wei": plan.fee_cap_wei + 1,
        "policy_digest": "1" * 64,
        "snapshot_digest": "1" * 64,
        "expires_at": plan.expires_at + timedelta(seconds=1),
    }

    digests = {plan.model_copy(update={name: value}).batch_digest() for name, value in changes.items()}

    assert len(digests | {plan.batch_digest()}) == len(changes) + 1


def test_a_policy_refuses_unknown_missing_and_unitless_keys():
    raw = make_policy().model_dump()

    for broken in ({**raw, "extra": 1}, {key: raw[key] for key in raw if key != "risk"}):
        with pytest.raises(ValidationError):
            type(make_policy()).model_validate(broken)


def test_only_the_word_unlimited_is_no_limit():
    assert is_unlimited("unlimited")
    assert not is_unlimited(Decimal(0))


def test_a_tail_is_found_by_its_level():
    report = make_report(tails=(make_tail(0.95, 0.01, 0.02),))

    assert report.tail(0.95).var.value == 0.01
    assert report.tail(0.99) is None


def test_deltas_sum_per_holder_and_token():
    pair = {"holder": ACCOUNT, "token": address(1)}
    deltas = (BalanceDelta(**pair, amount=-5), BalanceDelta(**pair, amount=2))

    report = make_simulation(make_plan(), deltas)

    assert report.delta_of(ACCOUNT, address(1)) == -3
    assert report.delta_of(ACCOUNT, address(2)) == 0


def test_a_simulation_digest_depends_on_what_it_saw():
    plan = make_plan()

    assert make_simulation(plan, ()).digest() != make_simulation(plan, (), gas_used=1).digest()


def test_costs_multiply_gas_and_price():
    quote = FeeQuote(gas_limit=100, max_fee_per_gas_wei=7, max_priority_fee_per_gas_wei=1)
    receipt = Receipt(
        batch_digest="0" * 64,
        transaction_hash="0x" + "1" * 64,
        chain_id=CHAIN_ID,
        block_number=1,
        block_hash="0x" + "2" * 64,
        succeeded=True,
        gas_used=90,
        effective_gas_price_wei=5,
        deltas=(),
        mined_at=NOW,
    )

    assert (quote.cost_cap_wei, receipt.gas_cost_wei) == (700, 450)


def test_running_and_waiting_are_the_only_states_that_are_not_final():
    assert {status for status in RunStatus if not status.is_final} == {RunStatus.RUNNING, RunStatus.WAITING}


def test_a_journal_hash_covers_every_field():
    fields = {
        "sequence": 1,
        "recorded_at": NOW,
        "kind": "run",
        "subject": "run-1",
        "body_digest": "0" * 64,
        "previous": "0" * 64,
    }
    changed = {"sequence": 2, "recorded_at": NOW + timedelta(1), "kind": "x", "subject": "x", "previous": "1" * 64}

    hashes = {JournalEntry.hash_of(**{**fields, name: value}) for name, value in changed.items()}

    assert len(hashes | {JournalEntry.hash_of(**fields)}) == len(changed) + 1


def test_a_veto_has_no_chosen_candidate():
    empty = Assessment.model_construct(candidates=(), chosen=None)

    assert empty.chosen_candidate() is None
