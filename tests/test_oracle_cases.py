"""Single cases through both guards: values that only look right, edges of one unit, bytes and their wrappers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain import abi
from domain.transaction import BalanceDelta
from domain.verdict import Evidence, Verdict
from guards import check
from tests.oracle.actions import wrappers_of
from tests.oracle.bases import bases
from tests.oracle.calldata import BY_NAME, Call, read_envelope, read_words, write_multisend, write_safe, write_words
from tests.oracle.catalogs import CATALOG
from tests.oracle.compare import Outcome, compare
from tests.oracle.exact import age, pair_of_statistic, raised
from tests.oracle.garbage import BAD_VALUES, Twin
from tests.oracle.limits import judge
from tests.oracle.sample import calls_of, changed, with_calls, with_policy, with_snapshot

ENTRY, EXIT = "supply, pinned, plain", "leave usdx, pinned, plain"


CHAIN_IDS = ("plan", "batch", "simulation", "snapshot", "before", "after", "catalog")


@pytest.mark.parametrize("place", CHAIN_IDS)
@pytest.mark.parametrize("base", [ENTRY, EXIT])
def test_a_decimal_that_equals_the_chain_id_passes_no_allowlist(base, place):
    """`Decimal("31337") in {31337}` is true; an allowlist that asks so lets text of any kind become a chain."""
    evidence = bases()[base]
    trap = Decimal(evidence.catalog.chain_id)
    planted = changed(evidence, **{place: changed(getattr(evidence, place), chain_id=trap)})

    verdict = check(planted)

    assert trap in {evidence.catalog.chain_id}
    assert (judge(planted).allowed, [denial.code for denial in verdict.denials]) == (False, ["evidence_invalid"])


def test_a_heartbeat_of_a_million_years_is_judged_like_any_other():
    evidence = bases()["leave in two swaps, pinned, plain"]
    patient = tuple(changed(token, feed_heartbeat_seconds=10**15) for token in evidence.catalog.tokens)

    found = compare(changed(evidence, catalog=changed(evidence.catalog, tokens=patient)), check)

    assert (found.outcome, found.judgement.is_exit) == (Outcome.AGREES, True)


def test_a_check_that_falls_into_the_membership_trap_is_found():
    evidence = bases()[ENTRY]
    planted = changed(evidence, batch=changed(evidence.batch, chain_id=Decimal(evidence.batch.chain_id)))

    def trapped(judged: Evidence) -> Verdict:
        is_listed = judged.batch.chain_id in {judged.catalog.chain_id}
        return check(evidence) if is_listed else check(judged)

    assert compare(planted, trapped).outcome is Outcome.VIOLATION


@pytest.mark.parametrize("bad", BAD_VALUES, ids=lambda value: repr(value)[:16])
def test_a_bad_value_in_place_of_any_part_is_no_evidence(bad):
    for name in Evidence.model_fields:
        if bad is None and name in {"risk_before", "risk_after", "economics", "approval"}:
            continue
        evidence = changed(bases()[ENTRY], **{name: bad})
        assert compare(evidence, check).outcome is Outcome.AGREES
        assert not judge(evidence).allowed


@pytest.mark.parametrize("nothing", [None, 0, "", [], object(), Evidence])
def test_the_oracle_answers_whatever_it_is_asked(nothing):
    assert judge(nothing).codes == {"evidence_invalid"}


def test_a_number_of_another_class_is_judged_by_what_its_text_says_or_refused():
    evidence = bases()[ENTRY]
    planted = changed(evidence, head_block_number=Twin(evidence.head_block_number))

    judgement = judge(planted)

    assert (judgement.is_impostor, judgement.allowed) == (True, True)


@pytest.mark.parametrize("number", [1.0, 2.5, "100", True, None])
def test_an_amount_that_is_no_integer_is_unsound(number):
    evidence = bases()[ENTRY]

    judgement = judge(changed(evidence, before=changed(evidence.before, native_wei=number)))

    assert judgement.is_impostor or judgement.codes == {"evidence_invalid"}


def test_a_share_above_its_limit_by_the_last_digit_of_any_limit_is_denied():
    evidence = bases()["supply dai, open, plain"]
    below_third, above_third = Decimal("0." + "3" * 60), Decimal("0." + "3" * 59 + "4")
    pool = evidence.after.position_of("aave-dai") * 3
    rates = tuple(changed(r, withdrawable=pool) if r.strategy == "aave-dai" else r for r in evidence.snapshot.rates)
    lent = with_snapshot(evidence, rates=rates)

    below = compare(with_policy(lent, "exposure", max_pool_withdrawable_share=below_third), check)
    above = compare(with_policy(lent, "exposure", max_pool_withdrawable_share=above_third), check)

    assert (below.outcome, set(below.codes)) == (Outcome.AGREES, {"pool_withdrawable_share"})
    assert (above.outcome, above.judgement.allowed) == (Outcome.AGREES, True)


def test_a_gain_that_the_book_does_not_show_is_denied():
    evidence = bases()[ENTRY]
    receipt = CATALOG.strategy("aave-dai").receipt
    gift = BalanceDelta(holder=CATALOG.account, token=receipt, amount=1)
    simulation = changed(evidence.simulation, deltas=(*evidence.simulation.deltas, gift))

    found = compare(changed(evidence, simulation=simulation), check)

    assert (found.outcome, set(found.codes)) == (Outcome.AGREES, {"delta_mismatch"})


def test_of_two_scores_for_a_protocol_the_worse_one_counts():
    evidence = bases()[ENTRY]
    doubted = changed(evidence.scores[0], score=1.0, has_open_incident=True)

    for scores in ((*evidence.scores, doubted), (doubted, *evidence.scores)):
        found = compare(changed(evidence, scores=scores), check)
        assert (found.outcome, set(found.codes)) == (Outcome.AGREES, {"protocol_score", "open_incident"})


def test_what_was_read_or_measured_twice_is_unknown():
    evidence = bases()[ENTRY]
    rates, tails = evidence.snapshot.rates, evidence.risk_after.tails
    twice_read = with_snapshot(evidence, rates=(*rates, *(rate for rate in rates if rate.strategy == "aave-usdc")))
    twice_measured = changed(evidence, risk_after=changed(evidence.risk_after, tails=(*tails, tails[0])))

    read, measured = compare(twice_read, check), compare(twice_measured, check)

    assert (read.outcome, measured.outcome) == (Outcome.AGREES, Outcome.AGREES)
    assert {"rate_stale", "pool_supplied_share", "pool_withdrawable_share"} <= read.codes
    assert {"var_95", "cvar_95", "sample_too_small"} <= measured.codes


@pytest.mark.parametrize(
    "function",
    [
        abi.APPROVE,
        abi.TRANSFER,
        abi.AAVE_SUPPLY,
        abi.AAVE_WITHDRAW,
        abi.VAULT_DEPOSIT,
        abi.VAULT_REDEEM,
        abi.SWAP_EXACT_INPUT_SINGLE,
    ],
    ids=lambda function: function.name,
)
def test_the_oracles_own_reader_agrees_with_the_codec(function):
    signature = BY_NAME[function.name]
    values = [CATALOG.account if kind == "address" else index for index, (kind, _) in enumerate(signature.fields)]
    is_struct = function.types[0].startswith("(")

    encoded = function.encode(tuple(values)) if is_struct else function.encode(*values)

    assert signature.selector == function.selector_hex
    assert write_words(function.name, *values).hex() == encoded[2:]
    assert list((read_words(bytes.fromhex(encoded[2:])) or {}).values()) == values


def test_bytes_beyond_the_arguments_are_not_explained():
    data = write_words("approve", CATALOG.account, 1)

    assert [read_words(other) for other in (data + b"\0", data[:-1], b"", data[:4])] == [None] * 4


def test_any_flipped_byte_of_an_envelope_is_seen():
    envelope, around = bytes.fromhex(bases()[EXIT].plan.envelope.data[2:]), wrappers_of(CATALOG)
    original = read_envelope(envelope, around)

    for place in range(len(envelope)):
        flipped = envelope[:place] + bytes([envelope[place] ^ 1]) + envelope[place + 1 :]
        assert read_envelope(flipped, around) != original


def wrapped(depth: int, calls: list[Call]) -> Evidence:
    """The base's calls in that many Safe wrappers, the plan's own included."""
    evidence, catalog = bases()[ENTRY], CATALOG
    for _ in range(depth - 1):
        batch = Call(catalog.contracts.multisend_call_only, 0, True, write_multisend(calls))
        calls = [Call(catalog.account, 0, False, write_safe(batch, owner=catalog.operator))]
    return with_calls(evidence, calls)


@pytest.mark.parametrize(("depth", "is_allowed"), [(1, True), (4, True), (5, False)])
def test_wrappers_are_unpacked_four_deep(depth, is_allowed):
    found = compare(wrapped(depth, list(calls_of(bases()[ENTRY]))), check)

    assert (found.outcome, found.judgement.allowed) == (Outcome.AGREES, is_allowed)


@pytest.mark.parametrize(("count", "is_allowed"), [(64, True), (65, False)])
def test_a_batch_has_at_most_64_calls_however_they_are_wrapped(count, is_allowed):
    calls = list(calls_of(bases()[ENTRY]))
    idle = Call(CATALOG.token("dai").address, 0, False, write_words("approve", CATALOG.contracts.swap_router, 0))

    found = compare(wrapped(2, [*calls, *[idle] * (count - len(calls))]), check)

    assert (found.outcome, found.judgement.allowed) == (Outcome.AGREES, is_allowed)


def test_a_copy_that_remembers_the_prices_of_its_original_is_judged_by_its_own():
    """pydantic's copy keeps cached properties: asked for a price, such a snapshot answers with the original's."""
    evidence = bases()[ENTRY]
    cheap = tuple(changed(price, price_usd=Decimal("0.5")) for price in evidence.snapshot.prices)
    snapshot = evidence.snapshot
    assert snapshot.price_usd("usdc") == 1
    poisoned = changed(with_snapshot(evidence, prices=cheap), snapshot=snapshot.model_copy(update={"prices": cheap}))
    assert poisoned.snapshot.price_usd("usdc") == 1

    found = compare(poisoned, check)

    assert found.outcome is Outcome.AGREES
    assert "stable_deviation" in found.codes


def test_a_call_knows_its_signature_only_by_all_four_bytes():
    assert Call(CATALOG.account, 0, False, b"\x09\x5e\xa7").selector is None
    assert Call(CATALOG.account, 0, False, bytes(4)).signature is None


def test_numbers_are_what_their_shortest_text_names():
    assert pair_of_statistic(0.1) == (1, 10)
    assert raised(1, 10) == 2
    evidence = bases()[ENTRY]
    assert age(evidence.now, evidence.now) == 0
