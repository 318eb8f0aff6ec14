"""The file of score weights, roles and facts: the one that ships is sound, and a bad one is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import load_catalog, load_risk_facts, load_settings
from domain.errors import ConfigurationInvalid
from domain.risk_facts import STABLE_ROLES, Factor
from tests.repository import ROOT

SHIPPED = ROOT / "config/protocol_scores.toml"


def refusal_of(folder: Path, old: str, new: str) -> str:
    text = SHIPPED.read_text()
    assert old in text
    file = folder / "protocol_scores.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigurationInvalid) as refused:
        load_risk_facts(file)
    return str(refused.value).removeprefix(f"protocol_scores {file}")


def test_file_that_ships_weighs_every_factor_to_a_hundred() -> None:
    facts = load_risk_facts(SHIPPED)

    assert {entry.factor for entry in facts.factors} == set(Factor)
    assert sum(entry.weight for entry in facts.factors) == 100


def test_every_token_of_the_catalog_that_ships_has_a_role_of_its_kind() -> None:
    facts, catalog = load_risk_facts(SHIPPED), load_catalog(ROOT / "config/strategies.toml")

    kinds = {token.id: facts.role_of(token.id) in STABLE_ROLES for token in catalog.tokens}

    assert kinds == {token.id: token.is_stable for token in catalog.tokens}
    assert None not in {facts.role_of(token.id) for token in catalog.tokens}


def test_facts_name_protocols_of_the_catalog_and_their_source() -> None:
    facts, catalog = load_risk_facts(SHIPPED), load_catalog(ROOT / "config/strategies.toml")

    assert {fact.id for fact in facts.protocols} <= {strategy.protocol for strategy in catalog.strategies}
    assert all(fact.source for fact in facts.protocols)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("min_known_share = 0.7", "min_known_share = 5", "line 3: key 'min_known_share' is '5'"),
        ('role = "ether"', 'role = "gas"', "key 'tokens.3.role' is 'gas'"),
        ('admin = "timelocked_vote"', 'admins = "none"', "unknown key 'protocols.0.admins': did you mean 'admin'?"),
        ("launched = 2022-03-16", 'launched = "spring"', "key 'protocols.0.launched' is 'spring'"),
        ('factor = "age"', 'factor = "size"', "factors must name each one once"),
        ("weight = 10", "weight = -1", "key 'factors.0.weight' is '-1'"),
    ],
)
def test_bad_file_is_refused_by_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal_of(tmp_path, old, new)


def test_file_in_home_comes_before_the_one_that_ships(tmp_path: Path) -> None:
    assert load_settings(home=tmp_path).protocol_scores_path == SHIPPED

    (tmp_path / "protocol_scores.toml").write_text("")

    assert load_settings(home=tmp_path).protocol_scores_path == tmp_path / "protocol_scores.toml"


def test_file_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFI_PROTOCOL_SCORES", str(tmp_path / "mine.toml"))

    assert load_settings(home=tmp_path).protocol_scores_path == tmp_path / "mine.toml"
