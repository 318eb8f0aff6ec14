"""Artifacts come back as they were stored, or not at all."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from contextlib import closing

import pytest

from domain.errors import InvariantBroken, StoreUnavailable, UnknownSubject
from memory import artifacts
from memory.artifacts import SqlArtifactStore
from memory.database import open_database


@pytest.fixture
def store(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'autofi.db'}")
    yield SqlArtifactStore(database)
    database.close()


def replace_content(tmp_path, content: object) -> None:
    with closing(sqlite3.connect(tmp_path / "autofi.db", isolation_level=None)) as connection:
        connection.execute("UPDATE artifacts SET content = ?", (content,))


def count(tmp_path) -> int:
    with closing(sqlite3.connect(tmp_path / "autofi.db")) as connection:
        return connection.execute("SELECT count(*) FROM artifacts").fetchone()[0]


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 1000])
def test_content_comes_back_under_its_sha256(store, content):
    digest = store.put(content)

    assert digest == hashlib.sha256(content).hexdigest()
    assert store.get(digest) == content


def test_putting_twice_stores_once(store, tmp_path):
    assert store.put(b"same") == store.put(b"same")
    assert count(tmp_path) == 1


def test_repetitive_content_is_stored_smaller(store, tmp_path):
    store.put(b"abc" * 10_000)

    with closing(sqlite3.connect(tmp_path / "autofi.db")) as connection:
        assert connection.execute("SELECT size_bytes, length(content) < 1000 FROM artifacts").fetchone() == (30_000, 1)


def test_an_unknown_digest_is_an_unknown_subject(store):
    with pytest.raises(UnknownSubject, match=r"a{64} is not stored"):
        store.get("a" * 64)


@pytest.mark.parametrize("content", [b"not zlib", zlib.compress(b"something else"), b"", "text"])
def test_damaged_content_is_never_handed_out(store, tmp_path, content):
    digest = store.put(b"the original")
    replace_content(tmp_path, content)

    with pytest.raises(StoreUnavailable, match=digest):
        store.get(digest)


def test_content_above_the_limit_is_refused(store):
    with pytest.raises(InvariantBroken, match="above the limit of 33554432"):
        store.put(bytes(artifacts.MAX_ARTIFACT_BYTES + 1))
