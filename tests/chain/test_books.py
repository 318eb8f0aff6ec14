"""A home restored from a backup, anchor and all, and a Safe that was used before: the chain knows better."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.settings import STRATEGIES_FILE, Settings, load_catalog
from app.wiring import open_application
from domain.verdict import TradingState
from tests.chain.test_cli import ended, of, operator_nonce

pytestmark = pytest.mark.chain

BOOKS = ("autofi.db", "autofi.db-wal", "autofi.db-shm", "autofi.db.anchor", "checkpoints.db")


def copy_books(source: Path, target: Path) -> None:
    """The database with everything beside it, as a backup takes it."""
    target.mkdir(exist_ok=True)
    for name in BOOKS:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)


def restored(home: Path, backup: Path) -> None:
    """Run once, and go back to the books of before."""
    copy_books(home, backup)
    assert ended(of(home)("run"))[0] == "EXECUTED"
    copy_books(backup, home)


def test_a_restored_backup_halts_even_after_a_resume_until_somebody_accepts(home: Path, tmp_path: Path) -> None:
    command = of(home)
    restored(home, tmp_path / "backup")
    sent = operator_nonce(home)

    denied = command("run")
    command("resume", "--reason", "it will be fine", "--as", "alice")
    again, standing = command("run"), json.loads(command("status", "--json").stdout)
    found = {each["part"]: each for each in json.loads(command("doctor", "--json").stdout)}

    assert {ended(denied)[0], ended(again)[0]} <= {"DENIED", "UNCHANGED"}
    assert operator_nonce(home) == sent
    assert standing["trading_state"] == "halted"
    assert f"books_behind_chain: the chain shows {sent} transactions of operator" in standing["trading_state_problem"]
    assert "the books know 0" in standing["trading_state_problem"]
    assert not found["books"]["is_healthy"]
    assert "autofi books accept" in found["books"]["fix"]


def test_after_the_acceptance_a_resume_lasts(home: Path, tmp_path: Path) -> None:
    command = of(home)
    restored(home, tmp_path / "backup")

    accepted = command("books", "accept", "--reason", "restored the backup of today", "--yes", "--as", "alice")
    command("resume", "--reason", "looked at it", "--as", "alice")
    standing = json.loads(command("status", "--json").stdout)

    assert accepted.exit_code == 0, accepted
    assert "trading is halted" in accepted.stdout
    assert (standing["trading_state"], standing["trading_state_problem"]) == ("active", None)
    assert command("audit", "verify").exit_code == 0


def test_new_books_for_a_safe_that_was_used_start_halted(home: Path, tmp_path: Path) -> None:
    """A second home over the first one's chain would have every budget unspent."""
    catalog = load_catalog(home / STRATEGIES_FILE)
    assert ended(of(home)("run"))[0] == "EXECUTED"
    live = {"AUTOFI_MODE": "live", "AUTOFI_LIVE_CONFIRMED": "true"}
    with open_application(Settings(home=home)) as application:
        assert application.paper is not None
        rpc = {"AUTOFI_RPC_URL": application.paper.start()}
        other = tmp_path / "other"
        made = of(other)("init", "--safe", catalog.account, **live, **rpc, AUTOFI_STRATEGIES=home / STRATEGIES_FILE)

    assert made.exit_code == 0, made
    (newest, *_) = json.loads(of(other)("audit", "list", "--kind", "trading_state", "--json").stdout)
    assert newest["subject"] == TradingState.HALTED
    exported = tmp_path / "trail.jsonl"
    of(other)("audit", "export", str(exported))
    assert "the Safe has executed 1 transactions before these books" in exported.read_text()
