"""Probe cases 6, 13, 14 and 15: state that is damaged, positions that are stuck, requests and answers that repeat."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from domain.errors import ApprovalRefused, StoreUnavailable
from domain.run import RunStatus
from domain.verdict import ApprovalStatus, TradingState
from guards import check
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from memory.trading_state import SqlTradingStateStore
from tests.builders import NOW, make_price, make_snapshot
from tests.builders_evidence import codes, make_approval, make_limits
from tests.corpus.scene import make_evidence
from tests.fakes import CATALOG, Treasury
from tests.test_probes import ENTRY, denials

ASKING = make_limits(approval={"min_value_without_approval_usd": 1})
FILE = "treasury.db"


@pytest.fixture
def treasury(tmp_path: Path) -> Iterator[Treasury]:
    with closing(Treasury(tmp_path)) as treasury:
        yield treasury


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Treasury]:
    with closing(Treasury(tmp_path, policy=ASKING)) as treasury:
        yield treasury


def execute(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for trigger in ("book_entries_no_update", "book_entries_no_delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        connection.execute(statement)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE book_entries SET body = '{}'",
        "DELETE FROM book_entries",
        "DELETE FROM book_entries WHERE sequence = 1",
        "DELETE FROM book_heads",
        "DROP TABLE book_entries",
    ],
)
def test_probe_06_damaged_state_is_halted_and_a_damaged_ledger_denies_and_both_say_why(
    treasury: Treasury, damage: str
) -> None:
    treasury.dependencies.budgets.count_run("run-1", at=NOW)
    execute(treasury.folder / FILE, damage)

    states, ledger = SqlTradingStateStore(treasury.database), treasury.dependencies.budgets
    budget = ledger.state(at=NOW)

    assert (states.read(), budget.is_intact) == (TradingState.HALTED, False)
    assert states.problem()
    assert ledger.problem()
    assert denials(make_evidence(ENTRY, budget=budget)) == {"ledger_corrupt"}
    assert denials(make_evidence(ENTRY, trading_state=states.read())) == {"trading_state_halted"}


@pytest.mark.parametrize(
    "damage",
    [lambda file: file.write_bytes(b"garbage" * 1_000), lambda file: file.write_bytes(file.read_bytes()[:2_000])],
)
def test_probe_06_a_file_that_is_no_database_opens_nothing_and_says_so(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    Treasury(tmp_path).close()
    damage(tmp_path / FILE)

    with pytest.raises(StoreUnavailable, match="the file is damaged: restore it from a backup"):
        open_database(f"sqlite:///{tmp_path / FILE}")


def test_probe_06_a_database_rolled_back_is_halted_and_its_ledger_denies(tmp_path: Path) -> None:
    """The copy was sound when it was made; what happened since then is missing."""
    with closing(Treasury(tmp_path)) as treasury:
        treasury.dependencies.budgets.count_run("run-1", at=NOW)
    shutil.copy(tmp_path / FILE, tmp_path / "copy")
    with closing(Treasury(tmp_path)) as treasury:
        treasury.dependencies.budgets.count_run("run-2", at=NOW)
    shutil.copy(tmp_path / "copy", tmp_path / FILE)

    with closing(open_database(f"sqlite:///{tmp_path / FILE}")) as database:
        states, ledger = SqlTradingStateStore(database), SqlBudgetLedger(database)

        assert (states.read(), ledger.state(at=NOW).is_intact) == (TradingState.HALTED, False)
        assert "are gone" in f"{states.problem()} {ledger.problem()}"


def test_probe_06_a_deleted_database_is_not_a_fresh_start(tmp_path: Path) -> None:
    with closing(Treasury(tmp_path)) as treasury:
        treasury.dependencies.budgets.count_run("run-1", at=NOW)
    (tmp_path / FILE).unlink()

    with closing(open_database(f"sqlite:///{tmp_path / FILE}")) as database:
        states, ledger = SqlTradingStateStore(database), SqlBudgetLedger(database)

        assert (states.read(), ledger.state(at=NOW).is_intact) == (TradingState.HALTED, False)


def stick(treasury: Treasury, strategy: str, **changes: object) -> None:
    """Nothing can leave the strategy any more."""
    rates = tuple(r.model_copy(update=changes if r.strategy == strategy else {}) for r in make_snapshot(CATALOG).rates)
    treasury.market.market = make_snapshot(CATALOG, rates=rates)


FROZEN = {"is_paused": True}
DRAINED = {"withdrawable": 0, "borrowed": 20_000_000 * 10**18}


@pytest.mark.parametrize("state", [FROZEN, DRAINED, FROZEN | DRAINED], ids=["paused", "drained", "both"])
def test_probe_13_a_stuck_position_is_left_alone_and_the_rest_goes_on(
    treasury: Treasury, state: dict[str, object]
) -> None:
    stick(treasury, "aave-usdx", **state)
    held = treasury.market.book.position_of("aave-usdx")

    record = treasury.run()

    assert record.status is RunStatus.EXECUTED
    assert {event.subject for event in record.events} == {"aave-usdx"}
    assert [move for move in record.plan.moves if move.strategy == "aave-usdx"] == []
    assert treasury.market.book.position_of("aave-usdx") == held


def test_probe_13_a_stuck_position_counts_at_the_lowest_price_that_any_source_gives(treasury: Treasury) -> None:
    stick(treasury, "aave-usdx", **FROZEN)
    low = make_price("usdx", "0.995", source="uniswap")
    others = tuple(p for p in treasury.market.market.prices if (p.token, p.source) != ("usdx", "uniswap"))
    treasury.market.market = treasury.market.market.model_copy(update={"prices": (*others, low)})

    record = treasury.run()

    assert record.net_asset_value_usd == 970_000 - 500
    shares = {row.subject: row.observed for row in record.verdict.findings if row.code == "strategy_share"}
    assert float(shares["aave-usdx"]) == pytest.approx(99_500 / 969_500, rel=1e-4)  # in full, not as nothing


def test_probe_13_what_can_leave_again_leaves(treasury: Treasury) -> None:
    """The peg breaks while the pool is drained; a day later half of the position can be had."""
    stick(treasury, "aave-usdx", **DRAINED)
    broken = tuple(
        make_price(p.token, "0.9" if p.token == "usdx" else str(p.price_usd), source=p.source)
        for p in make_snapshot(CATALOG).prices
    )
    treasury.market.market = treasury.market.market.model_copy(update={"prices": broken})
    treasury.run("run-1")
    stick(treasury, "aave-usdx", **DRAINED | {"withdrawable": 50_000 * 10**18})
    treasury.market.market = treasury.market.market.model_copy(update={"prices": broken})

    record = treasury.run("run-2")

    assert (record.status, record.verdict.is_exit) == (RunStatus.EXECUTED, True)
    assert treasury.market.book.position_of("aave-usdx") == 50_000 * 10**18


def waiting(treasury: Treasury, run_id: str = "run-1") -> str:
    """A run that asks; the digest that it asks about."""
    assert treasury.run(run_id) is RunStatus.WAITING
    (approval,) = treasury.dependencies.approvals.pending()
    return approval.batch_digest


def answer(
    treasury: Treasury, digest: str, *, by: str = "alice", role: str = "approver", approved: bool = True
) -> None:
    treasury.dependencies.approvals.answer(
        digest, approved=approved, answered_by=by, role=role, at=treasury.market.now()
    )


def test_probe_14_the_same_request_started_twice_is_one_run_and_one_transaction(treasury: Treasury) -> None:
    request = treasury.request()

    statuses = [treasury.conductor.start(request) for _ in range(2)]

    assert statuses == [RunStatus.EXECUTED] * 2
    assert len(treasury.market.receipts) == 1
    assert [entry.subject for entry in treasury.dependencies.journal.entries(kind="run")] == ["run-1"]


def test_probe_14_a_waiting_run_that_is_started_again_still_waits_for_the_same_answer(asking: Treasury) -> None:
    digest = waiting(asking)

    assert asking.conductor.start(asking.request()) is RunStatus.WAITING

    assert [approval.batch_digest for approval in asking.dependencies.approvals.pending()] == [digest]


@pytest.mark.parametrize(
    ("by", "role", "code"),
    [
        ("alice", "operator", "wrong_role"),
        ("alice", "admin", "wrong_role"),
        ("bob", "approver", "four_eyes"),  # who asked
        (" BOB ", "approver", "four_eyes"),
    ],
)
def test_probe_15_an_answer_by_the_wrong_person_is_refused(asking: Treasury, by: str, role: str, code: str) -> None:
    digest = waiting(asking)

    with pytest.raises(ApprovalRefused, match=rf"^{code}: "):
        answer(asking, digest, by=by, role=role)

    assert asking.conductor.resume("run-1") is RunStatus.WAITING
    assert asking.market.receipts == {}


def test_probe_15_an_answer_after_the_expiry_is_refused(asking: Treasury) -> None:
    digest = waiting(asking)
    asking.later(seconds=ASKING.approval.expiry_seconds)

    with pytest.raises(ApprovalRefused, match=r"^expired: "):
        answer(asking, digest)

    assert asking.conductor.resume("run-1") is RunStatus.REFUSED
    assert asking.market.receipts == {}


def test_probe_15_an_approval_of_one_run_is_of_no_use_to_another(asking: Treasury) -> None:
    """Both want the very same moves; the run is part of what was approved."""
    first = waiting(asking)
    assert asking.run("run-2") is RunStatus.WAITING

    answer(asking, first)

    assert asking.conductor.resume("run-2") is RunStatus.WAITING
    assert asking.market.receipts == {}


def test_probe_15_a_used_approval_is_not_used_again(asking: Treasury) -> None:
    digest = waiting(asking)
    answer(asking, digest)
    asking.conductor.resume("run-1")

    with pytest.raises(ApprovalRefused, match=r"^already_used: "):
        asking.dependencies.approvals.consume(digest, at=asking.market.now())


REPLAYED: dict[str, dict[str, object]] = {
    "approval_used": {"status": ApprovalStatus.USED},
    "approval_expired": {"expires_at": NOW},
    "approval_digest": {"batch_digest": "0" * 64},
    "approval_role": {"role": "operator"},
    "four_eyes": {"answered_by": "scheduler"},
    "approval_denied": {"status": ApprovalStatus.DENIED},
}


@pytest.mark.parametrize("code", REPLAYED)
def test_probe_15_guards_refuse_what_a_store_might_let_through(code: str) -> None:
    evidence = make_evidence(ENTRY, policy=ASKING)
    good = make_approval(evidence.plan, expires_at=NOW + timedelta(minutes=5))
    bad = make_approval(evidence.plan, **REPLAYED[code])

    assert check(evidence.model_copy(update={"approval": good})).is_pass
    assert codes(check(evidence.model_copy(update={"approval": bad})).denials) == {code}
