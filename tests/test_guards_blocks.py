"""What was read of the chain is of one block, or of blocks of one chain: a book, a market, a simulation, every rate."""

from __future__ import annotations

import pytest

from domain.verdict import Evidence, Finding
from guards import check
from guards.what_if import on_market
from tests.builders import CHAIN_ID, make_portfolio, make_snapshot
from tests.builders_evidence import codes, exit_moves, make_evidence, rows_of

HASH, OTHER = "0x" + "ab" * 32, "0x" + "cd" * 32


def row_about(subject: str, evidence: Evidence) -> Finding:
    (row,) = (row for row in rows_of("binding", evidence) if (row.code, row.subject) == ("block_mismatch", subject))
    return row


def with_rate(**changes: object) -> Evidence:
    """One rate of a strategy that this batch does not touch differs."""
    first, *others = make_snapshot().rates
    return make_evidence(snapshot=make_snapshot(rates=(*others, first.model_copy(update=changes))))


@pytest.mark.parametrize(("block", "passed"), [(100, True), (99, False), (101, False), (1, False)])
def test_the_book_before_is_of_the_snapshots_block(block: int, passed: bool) -> None:
    row = row_about("before", make_evidence(before=make_portfolio(block_number=block)))

    assert (row.passed, row.limit, row.observed) == (passed, "block 100", f"block {block}")


@pytest.mark.parametrize(
    ("block", "block_hash", "passed"), [(100, HASH, True), (100, OTHER, False), (99, OTHER, True), (99, HASH, True)]
)
def test_one_height_has_one_block(block: int, block_hash: str, passed: bool) -> None:
    row = row_about("simulation", make_evidence(simulated={"block_number": block, "block_hash": block_hash}))

    assert (row.passed, row.limit, row.observed) == (passed, f"{HASH} at 100", f"{block_hash} at {block}")


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({}, True),
        ({"block_number": 99}, True),
        ({"block_number": 101}, False),
        ({"chain_id": CHAIN_ID + 1}, False),
        ({"chain_id": 1, "block_number": 1}, False),
    ],
)
def test_a_rate_is_of_the_snapshots_chain_and_not_of_a_later_block(changes: dict[str, object], passed: bool) -> None:
    row = row_about("rates", with_rate(**changes))

    assert (row.passed, row.limit) == (passed, "chain 31337 up to block 100")
    assert row.observed == ("all" if passed else "aave-usdc")


def test_all_rates_that_stray_are_named() -> None:
    rates = tuple(rate.model_copy(update={"block_number": 101}) for rate in make_snapshot().rates[:2])

    assert row_about("rates", make_evidence(snapshot=make_snapshot(rates=rates))).observed == "aave-usdc, aave-dai"


def test_mixed_blocks_deny_an_entry_and_not_a_way_out() -> None:
    mixed = {"before": make_portfolio(block_number=1), "simulated": {"block_hash": OTHER}}

    assert codes(check(make_evidence(**mixed)).denials) == {"block_mismatch"}
    assert codes(check(make_evidence(exit_moves(), **mixed)).denials) == set()


@pytest.mark.parametrize(("block", "expected"), [(100, set()), (99, {"block_mismatch"})])
def test_on_another_market_the_book_is_of_its_block_where_it_was_before(block: int, expected: set[str]) -> None:
    later = make_snapshot(block_number=101, block_hash=OTHER)
    evidence = make_evidence(before=make_portfolio(block_number=block), head_block_number=101)

    assert codes(check(on_market(evidence, later)).denials) == expected
