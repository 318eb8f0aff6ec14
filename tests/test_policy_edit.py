"""Editing one limit in place: comments stay, and what would be no policy is never written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.policy_edit import replace_limit
from app.settings import load_policy
from domain.errors import ConfigurationInvalid
from tests.builders import POLICY_PATH


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(POLICY_PATH, tmp_path / "policy.toml"))


def test_one_limit_changes_and_every_other_line_stays(policy):
    before = policy.read_text().splitlines()

    replace_limit(policy, "approval", "min_value_without_approval_usd", "12_500")

    after = policy.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("min_value_without_approval_usd = 400_000", "min_value_without_approval_usd = 12_500")]
    assert load_policy(policy).approval.min_value_without_approval_usd == 12_500


def test_a_comment_behind_the_limit_stays(policy):
    text = policy.read_text().replace("expiry_seconds = 1_800", "expiry_seconds = 1_800  # half an hour")
    policy.write_text(text)

    replace_limit(policy, "approval", "expiry_seconds", "900")

    assert "expiry_seconds = 900  # half an hour" in policy.read_text()


def test_a_key_that_two_sections_have_changes_in_the_named_one(policy):
    replace_limit(policy, "risk", "horizon_days", "2")

    assert (load_policy(policy).risk.horizon_days, load_policy(policy).economics.horizon_days) == (2, 30)


@pytest.mark.parametrize(
    ("section", "key", "value", "named"),
    [
        ("approval", "no_such_limit_usd", "1", "no line `no_such_limit_usd = ...` in section [approval]"),
        ("no_such_section", "expiry_seconds", "1", "in section [no_such_section]"),
        ("approval", "default_action", '"reduce"', "in section [approval]"),
        ("approval", "expiry_seconds", '"soon"', "approval.expiry_seconds"),
        ("approval", "expiry_seconds", "-1", "approval.expiry_seconds"),
        ("approval", "expiry_seconds", "1\nnew_key = 2", "unknown key 'approval.new_key'"),
        ("approval", "expiry_seconds", "= =", "not valid TOML"),
    ],
)
def test_what_would_be_no_policy_is_refused_and_the_file_stays(policy, section, key, value, named):
    before = policy.read_bytes()

    with pytest.raises(ConfigurationInvalid) as caught:
        replace_limit(policy, section, key, value)

    assert named in str(caught.value)
    assert f"policy {policy}" in str(caught.value)
    assert policy.read_bytes() == before
    assert [path.name for path in policy.parent.iterdir()] == ["policy.toml"]
