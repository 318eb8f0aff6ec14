"""Proving the records, halting where they do not hold, exporting; proving a SQLite file loads no SQLAlchemy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.settings import DATABASE_FILE, Settings
from domain.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from app.stores import Stores
    from domain.journal import JournalEntry, Verification
    from domain.ports import Clock
    from memory.journal import SqlJournal

EXPORT_LIMIT: Final = 10_000_000
MAX_REASON_LENGTH: Final = 200


def verify_journal(settings: Settings) -> Verification:
    """Prove all records. Raises ConfigurationInvalid or StoreUnavailable."""
    if settings.database_url is None:
        from memory.journal_verify import verify_file

        file = settings.home / DATABASE_FILE
        if not file.is_file():
            raise ConfigurationInvalid(f"nothing is set up in {settings.home}; run `autofi init`")
        return verify_file(file)
    from app.stores import open_stores

    with open_stores(settings=settings) as stores:
        return stores.journal.verify()


def halt_on_broken_journal(stores: Stores, clock: Clock) -> None:
    """Trading stops while the journal does not hold. Called before every walk, so that no resume outlives the break."""
    from domain.verdict import TradingState

    problem, trading = stores.journal.problem(), stores.trading_state
    if problem is None or trading.problem() is not None:  # a trading book that cannot be trusted is halted already
        return
    reason = f"the journal does not hold: {problem}"[:MAX_REASON_LENGTH]
    newest = trading.history()[-1:]
    if not any(change.state is TradingState.HALTED and change.reason == reason for change in newest):
        trading.write(TradingState.HALTED, by="system", reason=reason, at=clock.now())


def accept_books(stores: Stores, *, by: str, reason: str, clock: Clock) -> JournalEntry:
    """An operator's act, journaled. Journaled first, so that no crash leaves an acceptance without its entry."""
    from domain.digest import canonical_json

    body = canonical_json({"reason": reason})
    entry = stores.journal.append(kind="reanchor", subject=by, body=body, at=clock.now())
    stores.database.reanchor()
    return entry


def export_journal(journal: SqlJournal, target: Path) -> int:
    """One JSON object a line: the entry's fields and its body. Returns how many; the file appears whole or not."""
    if not target.parent.is_dir():
        raise ConfigurationInvalid(f"export {target}: the folder {target.parent} does not exist; make it first")
    entries = journal.entries(limit=EXPORT_LIMIT)
    draft = target.with_name(f"{target.name}.draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            for entry in entries:
                body = json.loads(journal.body(entry.sequence))
                file.write(json.dumps({**entry.model_dump(mode="json"), "body": body}, ensure_ascii=False) + "\n")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return len(entries)


def describe_proof(result: Verification) -> str:
    """What was verified, in one phrase."""
    return f"{result.entries} entries, {result.books} books, {result.artifacts} artifacts, head {result.head[:16]}"
