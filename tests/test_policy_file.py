"""Bad policies and strategies: refused with file, line, key and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import load_catalog, load_policy
from app.toml_file import MAX_CONFIG_BYTES
from domain.errors import ConfigurationInvalid
from tests.repository import ROOT

POLICY = (ROOT / "config/policy.toml").read_text()
STRATEGIES = (ROOT / "config/strategies.toml").read_text()


def refusal_of_policy(folder: Path, text: str) -> str:
    file = folder / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        load_policy(file)
    assert str(refused.value).startswith(f"policy {file}")
    return str(refused.value).removeprefix(f"policy {file}")


def lines_of(text: str, start: str) -> list[int]:
    """Of the lines that start so."""
    return [number for number, line in enumerate(text.splitlines(), start=1) if line.startswith(start)]


def line_of(text: str, start: str) -> int:
    return lines_of(text, start)[0]


def changed(text: str, start: str, new: str) -> str:
    """The first line that starts so, replaced."""
    replaced, count = re.subn(rf"^{re.escape(start)}.*$", lambda _: new, text, count=1, flags=re.MULTILINE)
    assert count == 1
    return replaced


def test_policy_and_strategies_that_ship_are_valid() -> None:
    assert load_policy(ROOT / "config/policy.toml").name == "demo"
    assert load_catalog(ROOT / "config/strategies.toml").reserve_token == "usdc"


def test_word_unlimited_is_a_limit_where_the_policy_allows_it(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(changed(POLICY, "max_factor_share =", 'max_factor_share = "unlimited"'))

    assert load_policy(file).exposure.max_factor_share == "unlimited"


SHARE = 'a number, at least 0 and at most 1, or "unlimited" (a fraction: 0.35 is 35 %)'
AMOUNT = 'a number, at least 0, or "unlimited"'
WHOLE = "a whole number, at least 0"


@pytest.mark.parametrize(
    ("start", "new", "expected"),
    [
        (
            "max_strategy_share =",
            "max_strategy_shar = 0.35",
            f"unknown key 'exposure.max_strategy_shar': did you mean 'max_strategy_share'? allowed: {SHARE}",
        ),
        ("[budgets]", "[budget]", "unknown key 'budget': did you mean 'budgets'? allowed: a section"),
        (
            "max_rate_age_seconds =",
            "max_price_age = 600",
            "unknown key 'freshness.max_price_age': the unit is missing, "
            f"write 'max_price_age_over_heartbeat_seconds'; allowed: {WHOLE}",
        ),
        (
            "max_rate_age_seconds =",
            "max_rate_age = 900",
            "unknown key 'freshness.max_rate_age': the unit is missing, "
            f"write 'max_rate_age_seconds'; allowed: {WHOLE}",
        ),
        (
            "max_rate_age_seconds =",
            'max_rate_age_seconds = "fast"',
            f"key 'freshness.max_rate_age_seconds' is 'fast'; allowed: {WHOLE}",
        ),
        (
            "max_rate_age_seconds =",
            "max_rate_age_seconds = 900.5",
            f"key 'freshness.max_rate_age_seconds' is '900.5'; allowed: {WHOLE}",
        ),
        (
            "max_trade_slippage_bps =",
            'max_trade_slippage_bps = "unlimited"',
            f"key 'slippage.max_trade_slippage_bps' is 'unlimited'; allowed: {WHOLE} and at most 10000",
        ),
        (
            "max_trade_slippage_bps =",
            "max_trade_slippage_bps = 10_001",
            f"key 'slippage.max_trade_slippage_bps' is '10001'; allowed: {WHOLE} and at most 10000",
        ),
        (
            "max_strategy_share =",
            "max_strategy_share = 1.01",
            f"key 'exposure.max_strategy_share' is '1.01'; allowed: {SHARE}",
        ),
        ("max_gas_cost_usd =", "max_gas_cost_usd = -1", f"key 'economics.max_gas_cost_usd' is '-1'; allowed: {AMOUNT}"),
        (
            "max_gas_cost_usd =",
            "max_gas_cost_usd = nan",
            f"key 'economics.max_gas_cost_usd' is 'NaN'; allowed: {AMOUNT}",
        ),
        (
            "max_gas_cost_usd =",
            "max_gas_cost_usd = true",
            f"key 'economics.max_gas_cost_usd' is 'True'; allowed: {AMOUNT}",
        ),
        (
            "min_interval_confidence_share =",
            "min_interval_confidence_share = 1",
            "key 'risk.min_interval_confidence_share' is '1'; "
            "allowed: a number, above 0 and below 1 (a fraction: 0.35 is 35 %)",
        ),
        (
            "requires_four_eyes =",
            "requires_four_eyes = 1",
            "key 'approval.requires_four_eyes' is '1'; allowed: true or false",
        ),
        (
            "default_action =",
            'default_action = "panic"',
            'key \'mitigation.default_action\' is \'panic\'; allowed: "reduce" or "exit" or "exit_to_reserve"',
        ),
        ("version =", "version = 2", "key 'version' is '2'; allowed: 1"),
        (
            "name =",
            'name = "Big Name"',
            "key 'name' is 'Big Name'; allowed: text, that matches ^[a-z0-9][a-z0-9_-]{0,47}$",
        ),
        (
            "max_transaction_value_usd =",
            "max_transaction_value_usd = 1_500_001",
            "key 'budgets.max_transaction_value_usd' is '1500001'; allowed: at most 1500000, "
            "which is budgets.max_day_value_usd; a longer window holds the shorter one",
        ),
        (
            "min_price_sources_count =",
            "min_price_sources_count = 0",
            "key 'freshness.min_price_sources_count' is '0'; allowed: at least 1; "
            "a price that no source gives is no price",
        ),
    ],
)
def test_each_mistake_in_a_policy_gets_its_line_its_key_and_what_is_allowed(
    tmp_path: Path, start: str, new: str, expected: str
) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, start, new))

    assert refusal == f", line {line_of(POLICY, start)}: {expected}"


def test_a_missing_key_is_named_with_the_line_of_its_section(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, "max_strategy_share =", ""))

    line = line_of(POLICY, "[exposure]")
    assert refusal == f", line {line}: key 'exposure.max_strategy_share' is missing; allowed: {SHARE}"


def test_a_missing_section_is_named_with_the_file(tmp_path: Path) -> None:
    text = POLICY[: POLICY.index("[mitigation]")]

    assert refusal_of_policy(tmp_path, text) == ": key 'mitigation' is missing; allowed: a section"


def test_a_key_that_two_sections_have_is_found_in_the_right_one(tmp_path: Path) -> None:
    before, _, after = POLICY.partition("[economics]")
    text = before + "[economics]" + after.replace("horizon_days = 30", "horizon_days = 0", 1)

    refusal = refusal_of_policy(tmp_path, text)

    assert refusal.startswith(f", line {line_of(POLICY, 'horizon_days = 30')}: key 'economics.horizon_days' is '0'")


@pytest.mark.parametrize("written", ['"horizon_days" = 0', "'horizon_days' = 0", "  horizon_days=0  # soon"])
def test_a_line_is_found_however_its_key_is_written(tmp_path: Path, written: str) -> None:
    refusal = refusal_of_policy(tmp_path, changed(POLICY, "horizon_days = 1", written))

    assert refusal.startswith(f", line {line_of(POLICY, 'horizon_days = 1')}: key 'risk.horizon_days' is '0'")


def test_text_that_is_no_toml_names_the_line(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, 'name = "demo"\n[budgets\n')

    assert refusal.startswith(": not valid TOML:")
    assert "line 2" in refusal


def test_absent_policy_names_the_variable_that_points_to_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"no such file; set AUTOFI_POLICY to one"):
        load_policy(tmp_path / "absent.toml")


def test_folder_instead_of_a_policy_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        load_policy(tmp_path)


def test_oversized_policy_names_its_size_and_the_limit(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, "#" * (MAX_CONFIG_BYTES + 1))

    assert refusal == f": {MAX_CONFIG_BYTES + 1} bytes, limit {MAX_CONFIG_BYTES}"


def refusal_of_strategies(folder: Path, text: str) -> str:
    file = folder / "strategies.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        load_catalog(file)
    assert str(refused.value).startswith(f"strategies {file}")
    return str(refused.value).removeprefix(f"strategies {file}")


@pytest.mark.parametrize(
    ("start", "new", "expected"),
    [
        (
            "decimals =",
            "decimals = 37",
            "key 'tokens.0.decimals' is '37'; allowed: a whole number, at least 0 and at most 36",
        ),
        (
            "decimals =",
            "decimal = 6",
            "unknown key 'tokens.0.decimal': did you mean 'decimals'? "
            "allowed: a whole number, at least 0 and at most 36",
        ),
        (
            "feed_heartbeat_seconds =",
            "feed_heartbeat = 86400",
            "unknown key 'tokens.0.feed_heartbeat': the unit is missing, write 'feed_heartbeat_seconds'; "
            "allowed: a whole number, above 0",
        ),
        (
            "kind =",
            'kind = "compound"',
            "key 'strategies.0.kind' is 'compound'; allowed: \"aave_v3\" or \"erc4626\"",
        ),
    ],
)
def test_each_mistake_in_the_strategies_gets_its_line_its_key_and_what_is_allowed(
    tmp_path: Path, start: str, new: str, expected: str
) -> None:
    refusal = refusal_of_strategies(tmp_path, changed(STRATEGIES, start, new))

    assert refusal == f", line {line_of(STRATEGIES, start)}: {expected}"


def test_a_token_that_is_used_and_not_listed_is_named(tmp_path: Path) -> None:
    refusal = refusal_of_strategies(tmp_path, changed(STRATEGIES, "reserve_token =", 'reserve_token = "usdt"'))

    assert refusal == ": tokens ['usdt'] are used but not listed under tokens"


def entries_of(group: str) -> list[str]:
    """The text of each entry of a list."""
    parts = re.split(rf"^\[\[{group}\]\]\n", STRATEGIES, flags=re.MULTILINE)[1:]
    return [re.split(r"^\[", part, flags=re.MULTILINE)[0].rstrip() for part in parts]


@pytest.mark.parametrize(
    ("group", "renamed", "named"),
    [
        ("strategies", {}, "id"),
        ("strategies", {"id": "again"}, "receipt"),
        ("strategies", {"id": "again", "receipt": "0x" + "12" * 20}, "contract"),
        ("tokens", {}, "id"),
        ("tokens", {"id": "again"}, "address"),
        ("venues", {}, "id"),
        ("venues", {"id": "again"}, "pool"),
    ],
)
def test_an_entry_listed_twice_is_refused_with_both_lines_under_any_name(
    tmp_path: Path, group: str, renamed: dict[str, str], named: str
) -> None:
    """Twice the same place under two names would be counted against two caps."""
    first = entries_of(group)[0]
    copy = first
    for key, value in renamed.items():
        copy = re.sub(rf'^{key} = ".*"$', f'{key} = "{value}"', copy, count=1, flags=re.MULTILINE)
    text = f"{STRATEGIES}\n[[{group}]]\n{copy}\n"

    refusal = refusal_of_strategies(tmp_path, text)

    twice, place = len(entries_of(group)), text.index(f"[[{group}]]")
    first_line = text[:place].count("\n") + line_of(text[place:], f"{named} =")
    last_line = lines_of(text, f"{named} =")[-1]
    assert refusal.startswith(f", line {last_line}: key '{group}.{twice}.{named}' is ")
    assert f", line {first_line}; allowed: each {named}" in refusal
