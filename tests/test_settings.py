"""Bad settings: one clear error each, naming the variable, the limit and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_settings
from domain.errors import ConfigurationInvalid
from tests.repository import ROOT

POLICY = (ROOT / "config/policy.toml").read_text()


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
