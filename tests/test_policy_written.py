"""How a policy may be written: zero has no sign, keys stand under their header, the word is above every number."""

from __future__ import annotations

from pathlib import Path

from tests.test_policy_file import POLICY, SHARE, changed, line_of, refusal_of_policy


def test_minus_zero_is_zero_in_limits_and_in_what_is_said_of_them(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, "max_protocol_share =", "max_protocol_share = -0.0"))

    assert "allowed: at most 0.0, which is exposure.max_protocol_share" in refusal


def test_keys_without_their_header_are_said_to_miss_it(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, "[stress]", ""))

    line = line_of(POLICY, "utilization_days =")
    told = "key 'risk.utilization_days' belongs to section [stress], whose header is missing above it"
    assert refusal == f", line {line}: {told}"


def test_the_word_unlimited_under_a_number_names_both_keys(tmp_path: Path) -> None:
    text = changed(POLICY, "max_strategy_share =", 'max_strategy_share = "unlimited"')

    assert refusal_of_policy(tmp_path, text).endswith(
        ": key 'exposure.max_strategy_share' is 'unlimited'; allowed: at most 0.70, "
        "which is exposure.max_protocol_share; what one of them holds counts in the other, too"
    )


def test_a_number_in_quotes_is_no_number(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, "max_strategy_share =", 'max_strategy_share = "0.35"'))

    told = f"key 'exposure.max_strategy_share' is '\"0.35\"'; allowed: {SHARE}; write it without quotes"
    assert refusal.endswith(f": {told}")
