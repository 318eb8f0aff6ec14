"""Sentences and tables for people: what they say, and what they keep to themselves."""

from __future__ import annotations

import stat

import pytest

from app.paper import PaperChain
from app.paper_node import LOG_FILE, PaperNode
from app.render import print_verdict
from domain.errors import ConfigurationInvalid
from domain.verdict import TradingState
from guards import check
from guards.finding import FACT
from guards.render import describe_batch, verdict_sentence
from tests.builders_evidence import make_evidence, make_limits, make_plan

ASKING = make_limits(approval={"min_value_without_approval_usd": 0})


def test_a_denied_fact_is_told_without_the_word_for_its_unit():
    verdict = check(make_evidence(trading_state=TradingState.HALTED))

    sentence = verdict_sentence(verdict)

    assert FACT in {denial.unit for denial in verdict.denials}
    assert f" {FACT}" not in sentence


def test_the_row_that_asks_for_a_human_does_not_say_pass(capsys):
    print_verdict(check(make_evidence(policy=ASKING)))

    (row,) = [line for line in capsys.readouterr().out.splitlines() if "approval_required" in line]
    assert "ASK" in row
    assert "PASS" not in row


def test_a_fee_cap_too_small_for_eight_places_is_told_in_full():
    plan = make_plan(fee_cap_wei=1_000_000)
    evidence = make_evidence()

    assert "at most 1000000 wei (0.000000000001 ETH) of gas" in describe_batch(plan, catalog=evidence.catalog)


def test_a_node_without_a_word_is_named_with_what_to_mend(monkeypatch, tmp_path):
    silent = tmp_path / "anvil"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(silent.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("ANVIL", str(silent))
    (tmp_path / LOG_FILE).write_text("words of an earlier start\n")

    with pytest.raises(ConfigurationInvalid) as refused:
        PaperNode(tmp_path).start(lambda: (), report=lambda _: None)

    assert f"{silent} ended without a word" in str(refused.value)
    assert "correct $ANVIL or PATH" in str(refused.value)
    assert "earlier" not in str(refused.value)


def test_a_damaged_chain_never_asks_to_remove_the_records(tmp_path):
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")

    with pytest.raises(ConfigurationInvalid) as refused:
        PaperChain.of(tmp_path)

    assert "manifest.json is damaged" in str(refused.value)
    assert "`autofi audit export FILE`" in str(refused.value)
    assert "set AUTOFI_HOME to a new directory" in str(refused.value)
    assert "remove" not in str(refused.value)
