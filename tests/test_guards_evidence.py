"""What the refusal of unreadable evidence says: which part, and how its text changed; and what a fault says."""

from __future__ import annotations

import pytest

from guards import check
from guards.certificate import issue_certificate
from guards.finding import MAX_TEXT
from tests.builders_evidence import make_evidence

SAMPLE = make_evidence()


def refusal(**changes):
    (denial,) = check(SAMPLE.model_copy(update=changes)).denials
    return denial.observed


def with_first_call(**changes):
    first, *others = SAMPLE.batch.calls
    return SAMPLE.batch.model_copy(update={"calls": (first.model_copy(update=changes), *others)})


def test_the_row_that_refuses_does_not_say_that_it_passed():
    verdict = check(None)
    (row,) = verdict.findings

    assert (row.guard, row.code, row.subject, row.limit) == (
        "soundness",
        "evidence_invalid",
        "evidence",
        "reads back equal",
    )
    assert (row.passed, verdict.needs_approval, verdict.is_exit) == (False, False, False)


def test_what_cannot_be_written_is_told_in_one_line_without_the_library_s_name_for_it():
    observed = refusal(now=object())

    assert observed == "Unable to serialize unknown type: <class 'object'>"


def test_of_several_fields_that_do_not_parse_the_first_is_named():
    assert refusal(batch=with_first_call(target="short", selector="0x1")).startswith("evidence.batch.calls.0.target: ")


def test_text_that_reads_back_differently_is_shown_around_the_place():
    report = SAMPLE.simulation.model_copy(update={"block_hash": "0x" + "AB" * 32})

    assert (
        refusal(simulation=report)
        == (
            'text reads back differently: er":100,"block_hash":"0xABABABABABABABABABABABAB became '
            'er":100,"block_hash":"0xabababababababababababab'[:MAX_TEXT]
        )
    )


def test_a_letter_of_two_bytes_that_is_cut_in_half_does_not_stop_the_explanation():
    batch = with_first_call(selector="0x095EA7B3", function="éééé")

    assert '"function":"éé\N{REPLACEMENT CHARACTER} became ' in refusal(batch=batch)


def test_a_call_without_its_amount_faults_by_what_is_missing():
    evidence = make_evidence()
    spend = evidence.batch.calls[1]
    without = tuple(argument for argument in spend.arguments if argument.name != "amount")
    calls = (evidence.batch.calls[0], spend.model_copy(update={"arguments": without}))
    batch = evidence.batch.model_copy(update={"calls": calls})

    denials = check(evidence.model_copy(update={"batch": batch})).denials

    faults = [denial for denial in denials if denial.code == "guard_fault"]
    assert {(fault.limit, fault.unit) for fault in faults} == {("a judgement", "fact")}
    assert {fault.observed for fault in faults} == {"ValueError: invalid literal for int() with base 10: 'missing'"}


def test_a_call_without_its_recipient_goes_to_nobody_that_is_us():
    evidence = make_evidence()
    spend = evidence.batch.calls[1]
    without = tuple(argument for argument in spend.arguments if argument.name != "onBehalfOf")
    calls = (evidence.batch.calls[0], spend.model_copy(update={"arguments": without}))
    batch = evidence.batch.model_copy(update={"calls": calls})

    denials = check(evidence.model_copy(update={"batch": batch})).denials

    assert [denial.observed for denial in denials if denial.code == "recipient"] == ["missing"]


def test_a_denied_certificate_lists_each_code_once_in_order():
    evidence = make_evidence(economics=None, risk_after=None, scores=(), head_block_number=10**6)

    with pytest.raises(Exception, match="is denied by ") as refused:
        issue_certificate(check(evidence), evidence)

    expected = ["block_lag", "break_even", "net_gain", "open_incident", "protocol_score", "risk_missing"]
    assert str([*expected, "simulation_stale"]) in str(refused.value)
