"""Leading a home to other books: an operator's act, journaled there, that leaves trading halted."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from app.books import note_identity, noted_identity, require_home
from app.clock import SystemClock
from app.settings import DATABASE_FILE
from app.stores import Stores, make_stores
from app.verification import accept_books
from domain.digest import canonical_json
from domain.errors import AutofiError, ConfigurationInvalid
from domain.verdict import TradingState
from memory.database import Database, open_database

if TYPE_CHECKING:
    from app.settings import Settings
    from domain.market import Catalog
    from domain.policy import Policy


def move_books(settings: Settings, *, reason: str) -> str:
    """The identity of the books that the home belongs to now. Raises ConfigurationInvalid, StoreUnavailable.

    The note in the home is written last: until then the home belongs where it did.
    """
    require_home(settings)
    old = noted_identity(settings.home)
    with closing(open_database(settings.database, anchors=settings.home)) as database:
        identity = database.identity()
        if identity == old:
            raise ConfigurationInvalid(f"home {settings.home} belongs to books {identity} already; nothing was moved")
        _begin(database, make_stores(database), settings, old=old, reason=reason)
        note_identity(settings.home, identity)
    return identity


def _begin(database: Database, stores: Stores, settings: Settings, *, old: str | None, reason: str) -> None:
    clock, by = SystemClock(), settings.user
    if database.is_new_here() or database.is_unwritten():
        accept_books(stores, by=by, reason=reason, clock=clock)  # an anchor of lost books may still lie there
    stores.trading_state.write(TradingState.HALTED, by=by, reason=f"other books: {reason}", at=clock.now())
    body = canonical_json({"by": by, "from": old, "reason": reason, "to": database.identity()})
    stores.journal.append(kind="books_moved", subject=by, body=body, at=clock.now())
    policy, catalog = _left_behind(settings, old)
    if policy is not None and stores.policies.standing().in_force is None:
        stores.policies.follow(policy, by=by, at=clock.now())
    if catalog is not None and stores.catalogs.standing().in_force is None:
        stores.catalogs.follow(catalog, by=by, at=clock.now())


def _left_behind(settings: Settings, old: str | None) -> tuple[Policy | None, Catalog | None]:
    """Where the old books can be read, what was in force stays: the files are no way around the delay."""
    file = settings.home / DATABASE_FILE
    with suppress(AutofiError), closing(open_database(f"sqlite:///{file}", create=False)) as database:
        if database.identity() == old or old is None:
            stores = make_stores(database)
            return stores.policies.standing().in_force, stores.catalogs.standing().in_force
    return None, None
