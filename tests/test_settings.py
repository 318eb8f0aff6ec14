"""Bad configuration: one clear error each, naming the key, the limit and the fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.settings import MAX_CONFIG_BYTES, load_catalog, load_policy, load_settings
from domain.errors import ConfigurationInvalid
from tests.repository import ROOT

POLICY = (ROOT / "config/policy.toml").read_text()
STRATEGIES = (ROOT / "config/strategies.toml").read_text()


def refusal_of_policy(folder: Path, text: str) -> str:
    file = folder / "policy.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationInvalid) as refused:
        load_policy(file)
    assert str(refused.value).startswith(f"policy {file}: ")
    return str(refused.value).removeprefix(f"policy {file}: ")


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
    file.write_text(changed(POLICY, "max_strategy_share =", 'max_strategy_share = "unlimited"'))

    assert load_policy(file).exposure.max_strategy_share == "unlimited"


@pytest.mark.parametrize(
    ("start", "new", "expected"),
    [
        (
            "max_strategy_share =",
            "max_strategy_shar = 0.35",
            "unknown key 'exposure.max_strategy_shar': did you mean 'max_strategy_share'?",
        ),
        ("[budgets]", "[budget]", "unknown key 'budget': did you mean 'budgets'?"),
        (
            "max_rate_age_seconds =",
            "max_rate_age_seconds = 900\nmax_price_age = 600",
            "unknown key 'freshness.max_price_age': the unit is missing, write 'max_price_age_over_heartbeat_seconds'",
        ),
        (
            "max_rate_age_seconds =",
            "max_rate_age = 900",
            "unknown key 'freshness.max_rate_age': the unit is missing, write 'max_rate_age_seconds'",
        ),
        (
            "max_strategy_share =",
            "",
            "key 'exposure.max_strategy_share' is missing; every limit needs a value, "
            'or the word "unlimited" where it may be one',
        ),
        (
            "max_rate_age_seconds =",
            'max_rate_age_seconds = "fast"',
            "key 'freshness.max_rate_age_seconds': Input should be a valid integer, got 'fast'",
        ),
        (
            "max_rate_age_seconds =",
            "max_rate_age_seconds = 900.5",
            "key 'freshness.max_rate_age_seconds': Input should be a valid integer, got '900.5'",
        ),
        (
            "max_trade_slippage_bps =",
            'max_trade_slippage_bps = "unlimited"',
            "key 'slippage.max_trade_slippage_bps': Input should be a valid integer, got 'unlimited'",
        ),
        (
            "max_trade_slippage_bps =",
            "max_trade_slippage_bps = 10_001",
            "key 'slippage.max_trade_slippage_bps': Input should be less than or equal to 10000, got '10001'",
        ),
        (
            "max_strategy_share =",
            "max_strategy_share = 1.01",
            "key 'exposure.max_strategy_share': Input should be less than or equal to 1, got '1.01'; "
            "a fraction: 0.35 is 35 %",
        ),
        (
            "max_gas_cost_usd =",
            "max_gas_cost_usd = -1",
            "key 'economics.max_gas_cost_usd': Input should be greater than or equal to 0, got '-1'",
        ),
        (
            "max_gas_cost_usd =",
            "max_gas_cost_usd = nan",
            "key 'economics.max_gas_cost_usd': must be a finite decimal number as text or integer, got 'NaN'",
        ),
        (
            "max_gas_cost_usd =",
            "max_gas_cost_usd = true",
            "key 'economics.max_gas_cost_usd': must be a finite decimal number as text or integer, got 'True'",
        ),
        (
            "default_action =",
            'default_action = "panic"',
            "key 'mitigation.default_action': Input should be 'reduce', 'exit' or 'exit_to_reserve', got 'panic'",
        ),
        ("version =", "version = 2", "key 'version': Input should be 1, got '2'"),
    ],
)
def test_each_mistake_in_a_policy_gets_its_own_sentence(tmp_path: Path, start: str, new: str, expected: str) -> None:
    assert refusal_of_policy(tmp_path, changed(POLICY, start, new)) == expected


def test_text_that_is_no_toml_names_the_line(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, 'name = "demo"\n[budgets\n')

    assert refusal.startswith("not valid TOML:")
    assert "line 2" in refusal


def test_absent_policy_names_the_variable_that_points_to_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"no such file; set AUTOFI_POLICY to one"):
        load_policy(tmp_path / "absent.toml")


def test_folder_instead_of_a_policy_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="cannot be read"):
        load_policy(tmp_path)


def test_oversized_policy_names_its_size_and_the_limit(tmp_path: Path) -> None:
    refusal = refusal_of_policy(tmp_path, "#" * (MAX_CONFIG_BYTES + 1))

    assert refusal == f"{MAX_CONFIG_BYTES + 1} bytes, limit {MAX_CONFIG_BYTES}"


@pytest.mark.parametrize(
    ("start", "new", "expected"),
    [
        ("decimals =", "decimals = 37", "key 'tokens.0.decimals': Input should be less than or equal to 36"),
        ("decimals =", "decimal = 6", "unknown key 'tokens.0.decimal': did you mean 'decimals'?"),
        (
            "feed_heartbeat_seconds =",
            "feed_heartbeat = 86400",
            "unknown key 'tokens.0.feed_heartbeat': the unit is missing, write 'feed_heartbeat_seconds'",
        ),
        ("reserve_token =", 'reserve_token = "usdt"', "tokens ['usdt'] are used but not listed under tokens"),
        ("kind =", 'kind = "compound"', "key 'strategies.0.kind': Input should be 'aave_v3' or 'erc4626'"),
    ],
)
def test_each_mistake_in_the_strategies_gets_its_own_sentence(
    tmp_path: Path, start: str, new: str, expected: str
) -> None:
    file = tmp_path / "strategies.toml"
    file.write_text(changed(STRATEGIES, start, new))

    with pytest.raises(ConfigurationInvalid) as refused:
        load_catalog(file)

    assert str(refused.value).startswith(f"strategies {file}: {expected}")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("AUTOFI_MODE", "test", "key 'AUTOFI_MODE': Input should be 'paper', 'shadow' or 'live', got 'test'"),
        ("AUTOFI_LIVE_CONFIRMED", "perhaps", "key 'AUTOFI_LIVE_CONFIRMED': Input should be a valid boolean"),
        ("AUTOFI_MODEL_TIMEOUT_SECONDS", "0", "key 'AUTOFI_MODEL_TIMEOUT_SECONDS': Input should be greater than 0"),
        ("AUTOFI_MODEL_TIMEOUT_SECONDS", "soon", "key 'AUTOFI_MODEL_TIMEOUT_SECONDS': Input should be a valid number"),
        ("AUTOFI_USER", "Big Name", "key 'AUTOFI_USER': String should match pattern"),
    ],
)
def test_each_bad_value_of_the_environment_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationInvalid) as refused:
        load_settings()

    assert str(refused.value).startswith(f"settings: {expected}")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AUTOFI_POLICIES", "did you mean AUTOFI_POLICY?"),
        ("AUTOFI_DATABSE_URL", "did you mean AUTOFI_DATABASE_URL?"),
        ("autofi_polcy", "did you mean AUTOFI_POLICY?"),
        ("AUTOFI_X", "after AUTOFI_ may stand API_TOKEN, CACHE, "),
    ],
)
def test_an_unknown_variable_of_ours_is_refused_with_the_likely_one(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "secret-value")

    with pytest.raises(ConfigurationInvalid) as refused:
        load_settings()

    assert str(refused.value).startswith(f"settings: unknown variable {name} in the environment: {hint}")
    assert "secret-value" not in str(refused.value)


@pytest.mark.parametrize("name", ["AUTOFI_CACHE", "AUTOFI_REQUIRE_SERVICES", "AUTOFI_DATA", "AUTOFIX"])
def test_variables_of_the_tools_around_and_of_others_are_let_be(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")

    assert load_settings().mode == "paper"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("localhost:8000/v1", "localhost:8000/v1"),
        ("ftp://models/v1", "ftp://models/v1"),
        ("http://", "http://"),
        ("", ""),
        ("me:password@models/v1?key=password", "models/v1"),
    ],
)
def test_a_model_endpoint_without_http_is_refused_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, address: str, shown: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)

    with pytest.raises(ConfigurationInvalid) as refused:
        load_settings()

    assert str(refused.value) == (
        f"settings: OPENAI_BASE_URL must start with http:// or https://, got {shown!r}; "
        "correct it, or unset it for OpenAI's own endpoint"
    )


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://models.example/v1"])
def test_a_model_endpoint_with_http_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)

    assert load_settings().openai_base_url == address


def test_live_mode_with_one_of_its_two_settings_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFI_MODE", "live")

    with pytest.raises(ConfigurationInvalid, match="needs both AUTOFI_MODE=live and AUTOFI_LIVE_CONFIRMED=true"):
        load_settings()


def test_live_mode_starts_with_both_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFI_MODE", "live")
    monkeypatch.setenv("AUTOFI_LIVE_CONFIRMED", "true")

    assert load_settings().mode == "live"


def test_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTOFI_HOME", str(tmp_path / "environment"))

    assert load_settings(home=tmp_path / "flag").home == tmp_path / "flag"
    assert load_settings(home=None).home == tmp_path / "environment"


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFI_API_TOKEN", "a-token-nobody-may-read")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-nobody-may-read")

    assert "nobody-may-read" not in repr(load_settings())


def test_policy_in_the_home_wins_over_the_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)

    assert load_settings(home=tmp_path).policy_path == tmp_path / "policy.toml"
    assert load_settings(home=tmp_path / "empty").policy_path == ROOT / "config/policy.toml"
