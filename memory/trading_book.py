"""Reading the trading book: every link of it, and why it may not be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from memory import books
from memory.hash_chain import Book, Head, Link, genesis, walk


class TradingBook(NamedTuple):
    links: Sequence[Link]
    problem: str | None


def read_book(connection: Connection, anchor: Head | None) -> TradingBook:
    """`anchor` is what was noted outside the database."""
    head = books.head_of(connection, Book.TRADING)
    links = tuple(books.links(connection, Book.TRADING))
    return TradingBook(links, walk(links, start=genesis(Book.TRADING), head=head, anchor=anchor).problem)
