"""Where trading was last resumed by a person: peaks and streaks start anew from there, by sequence and not by clock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from domain.verdict import TradingState
from memory.hash_chain import Book
from memory.tables import book_entries

STATE_KIND: Final = "state"
"""An operator's change in the trading book."""
BREAKER_KIND: Final = "breaker"
"""A change that nobody asked for, in the trading book and in the journal."""
JOURNAL_KIND: Final = "trading_state"
"""An operator's change in the journal."""
_C: Final = book_entries.c


def last_resume(connection: Connection, book: Book) -> int:
    """Sequence of the newest entry with which an operator let trading go on; 0 where there is none."""
    kind = JOURNAL_KIND if book is Book.JOURNAL else STATE_KIND
    resumes = (_C.book == book, _C.kind == kind, _C.subject != TradingState.HALTED)
    found: int | None = connection.execute(select(func.max(_C.sequence)).where(*resumes)).scalar()
    return found or 0
