"""Verdicts and batches as text: denials first, by code and number, and nothing that a plan says of itself."""

from __future__ import annotations

from decimal import Decimal

from guards import check
from guards.render import COLUMNS, describe_batch, summary_rows, verdict_rows, verdict_sentence
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
    swap,
    withdraw,
)

SAMPLE = make_evidence()


def test_rows_put_denials_first_and_name_the_result():
    rows = verdict_rows(check(make_evidence(economics=None)))

    results = [row[COLUMNS.index("result")] for row in rows]
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert results == sorted(results)
    assert results.count("DENY") == 2
    assert {row[-1] for row in verdict_rows(check(make_evidence(exit_moves(), economics=None)))} == {"PASS", "WAIVED"}


def test_the_summary_keeps_every_denial_and_one_row_per_passing_code():
    verdict = check(make_evidence(economics=None))

    rows = summary_rows(verdict)

    passing = [row[1] for row in rows if row[-1] == "PASS"]
    assert len(passing) == len(set(passing))
    assert {row[1] for row in rows if row[-1] == "DENY"} == codes(verdict.denials)
    assert {row[1] for row in rows} == {row.code for row in verdict.findings}


def test_a_denial_is_told_with_code_observed_and_limit():
    policy = make_limits(exposure={"max_strategy_share": Decimal("0.05")})

    sentence = verdict_sentence(check(make_evidence(policy=policy)))

    assert sentence == (
        "Denied: strategy_share (aave-usdc: 0.05154639 of value, limit 0.05);"
        " strategy_share (aave-usdx: 0.10309278 of value, limit 0.05);"
        " strategy_share (aave-weth: 0.07216495 of value, limit 0.05)."
    )


def test_a_long_list_of_denials_is_cut_and_counted():
    verdict = check(make_evidence(economics=None, scores=(), risk_after=None))

    assert verdict_sentence(verdict).endswith(f"; and {len(verdict.denials) - 3} more.")


def test_a_pass_says_how_much_was_measured_waived_and_awaited():
    asking = make_limits(approval={"min_value_without_approval_usd": 0})

    assert verdict_sentence(check(SAMPLE)).startswith("Passed: batch within ")
    assert "waits for a human" in verdict_sentence(check(make_evidence(policy=asking)))
    assert "waived because it is a way out" in verdict_sentence(check(make_evidence(exit_moves(), economics=None)))


def test_a_batch_is_described_from_its_own_bytes():
    moves = [
        withdraw("aave-usdx", "usdx", DAI, is_whole=True),
        withdraw("aave-weth", "weth", 10**18),
        redeem(2 * DAI),
        swap("usdc", "dai", 1_000 * USDC, 996 * DAI),
        deposit(5 * DAI),
    ]

    lines = describe_batch(make_plan(moves), catalog=SAMPLE.catalog).splitlines()

    assert lines == [
        "withdraw all usdx from aave-usdx",
        "withdraw 1 weth from aave-weth",
        "redeem 2 shares of vault-limited-dai",
        "approve 1000 usdc for 0x0000000000000000000000000000000000000051",
        "swap 1000 usdc for at least 996 dai on usdc-dai-100",
        "approve 5 dai for 0x0000000000000000000000000000000000000301",
        "deposit 5 dai to vault-limited-dai",
        "at most 20000000000000000 wei (0.02 ETH) of gas, until 2026-03-01 12:10 UTC",
    ]


def test_an_unreadable_batch_is_described_as_such():
    envelope = SAMPLE.plan.envelope.model_copy(update={"data": "0xdeadbeef"})

    described = describe_batch(SAMPLE.plan.model_copy(update={"envelope": envelope}), catalog=SAMPLE.catalog)

    assert described.startswith(f"UNREADABLE call to {SAMPLE.catalog.account}")
