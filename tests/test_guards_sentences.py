"""Sentences and tables of small verdicts, word by word: what people read must say what was decided."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain.verdict import Denial, Finding, Verdict
from guards.render import alternative_rows, describe_batch, summary_rows, verdict_rows, verdict_sentence
from tests.builders import make_catalog
from tests.builders_evidence import DAI, USDC, make_plan, redeem, swap

DIGEST = "0" * 64


def row(code, *, passed=True, waived=False, observed="1", headroom=None):
    return Finding(
        guard="sample",
        code=code,
        subject="batch",
        limit="2",
        observed=observed,
        unit="usd",
        headroom=headroom,
        passed=passed,
        waived=waived,
    )


def denial(code, *, unit="usd", feasible_bps=None):
    return Denial(code=code, subject="batch", limit="2", observed="3", unit=unit, feasible_bps=feasible_bps)


def verdict(*findings, denials=(), **changes):
    fields = {"is_exit": False, "needs_approval": False, "feasible_usd": None, **changes}
    return Verdict(batch_digest=DIGEST, policy_digest=DIGEST, findings=findings, denials=denials, **fields)


A, B, WAIVED = row("a"), row("b"), row("c", waived=True)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (verdict(A, B), "Passed: batch within 2 measured limits."),
        (verdict(A, B, needs_approval=True), "Passed: batch within 2 measured limits; it waits for a human."),
        (
            verdict(A, B, WAIVED, is_exit=True),
            "Passed: exit within 2 measured limits, 1 waived because it is a way out.",
        ),
    ],
)
def test_a_pass_is_told_in_one_sentence(judged, expected):
    assert verdict_sentence(judged) == expected


ONE, TWO, THREE, FOUR = (denial(code) for code in ("one", "two", "three", "four"))


@pytest.mark.parametrize(
    ("denials", "expected"),
    [
        ((ONE,), "Denied: one (batch: 3 usd, limit 2)."),
        ((denial("one", unit="fact"),), "Denied: one (batch: 3, limit 2)."),
        (
            (ONE, TWO, THREE),
            "Denied: one (batch: 3 usd, limit 2); two (batch: 3 usd, limit 2); three (batch: 3 usd, limit 2).",
        ),
        (
            (ONE, TWO, THREE, FOUR),
            "Denied: one (batch: 3 usd, limit 2); two (batch: 3 usd, limit 2); three (batch: 3 usd, limit 2);"
            " and 1 more.",
        ),
    ],
)
def test_a_denial_names_three_codes_and_counts_the_rest(denials, expected):
    assert verdict_sentence(verdict(denials=denials)) == expected


MOVED = row("transaction_value", observed="200000")


@pytest.mark.parametrize(
    ("feasible", "moved", "expected"),
    [
        (Decimal("50000.99"), MOVED, " The largest part within every limit: 25 % of this batch, 50,000 USD."),
        (Decimal(12_345), MOVED, " The largest part within every limit: 6.17 % of this batch, 12,345 USD."),
        (Decimal("50000.99"), row("transaction_value", observed="unknown"), ""),
        (Decimal("50000.99"), A, ""),
        (None, MOVED, ""),
    ],
)
def test_the_largest_part_is_told_where_there_is_one(feasible, moved, expected):
    judged = verdict(moved, denials=(ONE,), feasible_usd=feasible)

    assert verdict_sentence(judged) == "Denied: one (batch: 3 usd, limit 2)." + expected


def test_each_denial_s_own_part_is_a_row_where_there_is_one():
    judged = verdict(denials=(denial("a", feasible_bps=1_234), denial("b"), denial("c", feasible_bps=0)))

    assert alternative_rows(judged) == [("a", "batch", "12.34 %"), ("c", "batch", "0 %")]


def results(rows):
    return [(cells[1], cells[-1]) for cells in rows]


DENIED = row("d", passed=False)
MIXED = verdict(A, B, A, DENIED, WAIVED, WAIVED, DENIED, row("approval_required"))


def test_every_row_is_in_the_table_and_denials_come_first():
    assert results(verdict_rows(MIXED)) == [
        ("d", "DENY"),
        ("d", "DENY"),
        ("a", "PASS"),
        ("b", "PASS"),
        ("a", "PASS"),
        ("c", "WAIVED"),
        ("c", "WAIVED"),
        ("approval_required", "ASK"),
    ]


def test_the_summary_leaves_out_only_further_rows_that_simply_passed():
    assert results(summary_rows(MIXED)) == [
        ("d", "DENY"),
        ("d", "DENY"),
        ("a", "PASS"),
        ("b", "PASS"),
        ("c", "WAIVED"),
        ("c", "WAIVED"),
        ("approval_required", "ASK"),
    ]


@pytest.mark.parametrize(("headroom", "cell"), [(None, ""), ("7", "7")])
def test_headroom_is_a_cell_and_empty_where_there_is_none(headroom, cell):
    (cells,) = verdict_rows(verdict(row("a", headroom=headroom)))

    assert cells == ("sample", "a", "batch", "1", "2", "usd", cell, "PASS")


def test_a_swap_on_an_unlisted_venue_is_described_as_such():
    catalog = make_catalog()
    elsewhere = catalog.model_copy(update={"venues": ()})

    described = describe_batch(make_plan([swap("usdc", "dai", 5 * USDC, 4 * DAI)], catalog=catalog), catalog=elsewhere)

    assert described.splitlines()[1] == "swap 5 usdc for at least 4 dai on an UNKNOWN venue"


def test_the_receipt_s_own_decimals_tell_how_many_shares_are_redeemed():
    catalog = make_catalog()
    vault = catalog.strategies[-1].model_copy(update={"receipt_decimals": 6})
    catalog = catalog.model_copy(update={"strategies": (*catalog.strategies[:-1], vault)})

    described = describe_batch(make_plan([redeem(2 * 10**6)], catalog=catalog), catalog=catalog)

    assert described.splitlines()[0] == "redeem 2 shares of vault-limited-dai"
