"""A secret is found wherever it could turn up, in whatever form, and its text is never repeated."""

from __future__ import annotations

import base64
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from tests.redteam.leaks import SECRETS, search_home, search_texts, told

KEY = SECRETS["OPENAI_API_KEY"].encode()
FORMS = {
    "plain": KEY,
    "hex": KEY.hex().encode(),
    "reversed": KEY[::-1],
    "base64": base64.b64encode(KEY),
    "base64 behind one byte": base64.b64encode(b"x" + KEY + b"yz"),
    "base64 behind two bytes": base64.b64encode(b"xy" + KEY + b"z"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    found = list(told("a file", b"before " + FORMS[form] + b" after"))

    assert found == ["OPENAI_API_KEY in a file"]


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_is_looked_for(name: str) -> None:
    found = list(search_texts("an answer", ["harmless", f"so {SECRETS[name]} it is"]))

    assert found == [f"{name} in an answer"]


def test_the_operators_key_is_found_as_bytes_too() -> None:
    assert list(told("memory", bytes.fromhex(SECRETS["operator key"]))) == ["operator key in memory"]


def test_what_is_no_secret_is_not_reported() -> None:
    assert list(told("a file", b"sk-canary" + bytes(range(256)) + KEY[:-2])) == []


def test_files_of_a_home_are_searched_and_the_nodes_own_are_not(tmp_path: Path) -> None:
    (tmp_path / "recall").mkdir()
    (tmp_path / "recall" / "index.bin").write_bytes(KEY)
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "anvil.log").write_bytes(KEY)

    assert list(search_home(tmp_path)) == ["OPENAI_API_KEY in index.bin"]


def test_compressed_artifacts_are_unpacked(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "autofi.db")) as connection:
        connection.execute("CREATE TABLE artifacts (digest TEXT, size_bytes INTEGER, content BLOB)")
        rows = [("ab" * 32, 1, zlib.compress(b"nothing")), ("cd" * 32, 1, zlib.compress(b"prompt with " + KEY))]
        connection.executemany("INSERT INTO artifacts VALUES (?, ?, ?)", rows)
        connection.commit()

    assert list(search_home(tmp_path)) == ["OPENAI_API_KEY in artifact cdcdcdcdcdcd"]
