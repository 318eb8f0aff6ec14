"""What somebody gives us between observation and simulation neither closes a way out nor hides what left."""

from __future__ import annotations

import pytest

from domain.transaction import BalanceDelta
from guards import check
from tests.builders import ACCOUNT, make_catalog, make_portfolio
from tests.builders_evidence import DAI, USDC, codes, make_evidence, rows_of, swap, withdraw

CATALOG = make_catalog()
USDX_TOKEN, AAVE_USDX = CATALOG.token("usdx").address, CATALOG.strategy("aave-usdx").receipt


def denied(evidence):
    return codes(rows_of("simulation", evidence))


def with_deltas(evidence, *extra):
    """The same evidence with balance changes added to the report: (holder, token, amount)."""
    added = tuple(BalanceDelta(holder=holder, token=token, amount=amount) for holder, token, amount in extra)
    report = evidence.simulation.model_copy(update={"deltas": evidence.simulation.deltas + added})
    return evidence.model_copy(update={"simulation": report})


WHOLE = withdraw("aave-usdx", "usdx", 100_000 * DAI, is_whole=True)


def given_receipts(gift, *, brought=None, moves=(WHOLE,)):
    """Out of USDX altogether, with receipts that somebody gave us since the position was read."""
    evidence = make_evidence(moves)
    after, brought = evidence.after, gift if brought is None else brought
    extra = ((AAVE_USDX, USDX_TOKEN, -gift), (ACCOUNT, USDX_TOKEN, brought), (ACCOUNT, AAVE_USDX, -gift))
    evidence = with_deltas(evidence, *extra)
    cash = tuple(b.model_copy(update={"amount": b.amount + brought}) if b.token == "usdx" else b for b in after.cash)
    return evidence.model_copy(update={"after": after.model_copy(update={"cash": cash})})


@pytest.mark.parametrize("gift", [1, 5_000 * DAI, 10**9 * DAI])
def test_receipts_given_meanwhile_leave_with_a_whole_position(gift):
    evidence = given_receipts(gift)

    verdict = check(evidence)

    assert (verdict.is_exit, verdict.denials) == (True, ())


def test_receipts_given_meanwhile_leave_beside_other_calls():
    sale = swap("usdx", "usdc", 50_000 * DAI, 49_750 * USDC, venue="usdc-usdx-100")

    assert denied(given_receipts(5_000 * DAI, moves=(WHOLE, sale))) == set()


def test_a_reserve_that_pays_less_than_the_position_is_found_out():
    """As if 101 of 100,000 had never been there, and 100 are tolerated."""
    short = with_deltas(make_evidence([WHOLE]), (AAVE_USDX, USDX_TOKEN, 101 * DAI), (ACCOUNT, USDX_TOKEN, -101 * DAI))

    assert "unplanned_outflow" in denied(short)


def test_what_the_reserve_paid_for_given_receipts_must_come_to_us():
    """The tolerance of 10 basis points is of all that was withdrawn: 105 of 105,000."""
    at = given_receipts(5_000 * DAI, brought=4_895 * DAI)
    below = given_receipts(5_000 * DAI, brought=4_895 * DAI - 1)

    assert denied(at) == set()
    assert denied(below) == {"unplanned_outflow"}


def test_no_more_receipts_leave_than_the_reserve_paid_for():
    evidence = given_receipts(5_000 * DAI)

    at, below = (with_deltas(evidence, (ACCOUNT, AAVE_USDX, -amount)) for amount in (105 * DAI, 105 * DAI + 1))

    assert "unplanned_outflow" not in denied(at)
    assert "unplanned_outflow" in denied(below)


def test_a_part_of_a_position_takes_no_given_receipts_along():
    evidence = make_evidence([withdraw("aave-usdx", "usdx", 50_000 * DAI)])
    more = ((AAVE_USDX, USDX_TOKEN, -5_000 * DAI), (ACCOUNT, USDX_TOKEN, 5_000 * DAI))

    assert "unplanned_outflow" in denied(with_deltas(evidence, *more, (ACCOUNT, AAVE_USDX, -5_000 * DAI)))


def test_what_was_given_raises_the_most_that_may_leave_by_no_more():
    """Of 100,000 held 10 basis points are tolerated: 100 beyond the 105,000 that the reserve paid for."""
    evidence = given_receipts(5_000 * DAI)

    at, over = (with_deltas(evidence, (ACCOUNT, AAVE_USDX, -amount)) for amount in (100 * DAI, 100 * DAI + 1))

    assert "delta_mismatch" not in denied(at)
    assert "delta_mismatch" in denied(over)


def test_another_position_that_leaves_as_a_whole_excuses_none():
    before = make_portfolio(positions={"aave-usdx": 100_000 * DAI, "aave-dai": 100 * DAI})
    out = [withdraw("aave-usdx", "usdx", 100_000 * DAI, is_whole=True), withdraw("aave-dai", "dai", 100 * DAI)]
    evidence, dai = make_evidence(out, before=before), CATALOG.token("dai").address
    receipt = CATALOG.strategy("aave-dai").receipt

    more = with_deltas(evidence, (receipt, dai, -DAI), (ACCOUNT, dai, DAI), (ACCOUNT, receipt, -DAI))

    assert denied(evidence) == set()
    assert {"unplanned_outflow", "delta_mismatch"} <= denied(more)
    assert receipt in {row.subject for row in rows_of("simulation", more) if not row.passed}
    assert "aave-dai" in {row.subject for row in rows_of("simulation", more) if not row.passed}
