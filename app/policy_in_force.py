"""Which policy and which catalog bind: the file is the wish, the database says what is in force.

Where the records of it cannot be trusted, trading halts, and exits are judged by the file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic

from app.clock import SystemClock
from app.paper import require_local_chain
from app.settings import load_catalog, load_policy
from domain import catalog_change, policy_change
from domain.breakers import MAX_TEXT, Trip
from domain.change_history import D
from domain.errors import ConfigurationInvalid, InvariantBroken, StoreUnavailable
from domain.market import Catalog
from domain.policy import Policy
from domain.verdict import TradingState
from guards.finding import FACT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.settings import Settings
    from app.stores import Stores
    from domain.change_history import ChangeEvent, Proposal
    from domain.ports import Clock
    from memory.policies import SqlChangeStore

logger = logging.getLogger(__name__)

RESTART: Final = "another catalog is in force since this process started; restart it to take it"


class InForce(Generic[D]):
    """Delays are measured by the machine's clock: a simulated chain may run days ahead of the people who read."""

    def __init__(
        self,
        store: SqlChangeStore[D],
        load: Callable[[], D],
        meet: Callable[[D, D], D],
        *,
        stores: Stores,
        by: str,
        clock: Clock | None,
    ) -> None:
        self._store = store
        self._load = load
        self._meet = meet
        self._stores = stores
        self._by = by
        self._clock = clock or SystemClock()
        self._in_force: D | None = None
        self.problem: str | None = None
        """Why the file, or the record of what is in force, is not followed just now."""

    def current(self) -> D:
        """As of the last time that the file was followed."""
        if self._in_force is None:
            self.follow_file()
        if self._in_force is None:
            raise InvariantBroken(f"no {self._store.name} is in force after the file was followed")
        return self._in_force

    def pending(self) -> Proposal | None:
        """What waits for an approval or its time; nothing where nobody can tell."""
        with suppress(StoreUnavailable):
            return self._store.standing().proposal
        return None

    def follow_file(self) -> Sequence[ChangeEvent]:
        """Take the file as the wish: what changed, or nothing. Raises ConfigurationInvalid for a file that is none."""
        wish = self._load()
        self.problem = None
        try:
            events = self._store.follow(wish, by=self._by, at=self._clock.now())
            self._in_force = self._store.standing().in_force
        except StoreUnavailable as error:
            # Halted from here on: what is left to judge is the way out.
            self._in_force = wish if self._in_force is None else self._meet(self._in_force, wish)
            self._halt(str(error))
            return ()
        for event in events:
            logger.info("%s digest=%s in_force=%s by=%s", event.kind, event.digest, event.in_force, event.by)
        return events

    def start(self) -> None:
        """Follow the file; a bad one closes no way out: what is in force stays, and `problem` says why.

        Raises ConfigurationInvalid where nothing is in force yet, or nobody can tell what is.
        """
        try:
            self.follow_file()
        except ConfigurationInvalid as error:
            with suppress(StoreUnavailable):
                self._in_force = self._store.standing().in_force
            if self._in_force is None:
                raise
            self.problem = str(error)

    def before_walk(self) -> None:
        """A server outlives a bad edit: it goes on under what was in force, and says so once."""
        known = self.problem
        try:
            self.follow_file()
        except ConfigurationInvalid as error:
            self.problem = str(error)
            if self.problem != known:
                logger.warning("%s_file_refused problem=%s", self._store.name, error)

    def _halt(self, problem: str) -> None:
        self.problem = problem
        code = f"{self._store.name}_unreadable"
        logger.error("%s problem=%s", code, problem)
        trip = Trip(
            code=code,
            state=TradingState.HALTED,
            subject=f"{self._store.name} in force",
            limit="readable",
            observed=problem[:MAX_TEXT],
            unit=FACT,
        )
        self._stores.trading_state.tighten([trip], at=self._clock.now())


class PolicyInForce(InForce[Policy]):
    """Follows an edit before every walk."""

    def __init__(self, stores: Stores, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(
            stores.policies,
            lambda: load_policy(settings.policy_path),
            policy_change.meet,
            stores=stores,
            by=settings.user,
            clock=clock,
        )


class CatalogInForce(InForce[Catalog]):
    """Client, simulator and signer are made for one catalog: a process keeps the one that it started with."""

    def __init__(self, stores: Stores, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(
            stores.catalogs,
            lambda: load_wish(settings),
            catalog_change.meet,
            stores=stores,
            by=settings.user,
            clock=clock,
        )
        self._bound: Catalog | None = None
        self.restart: str | None = None
        """Why this process should be started again."""

    def bind(self) -> Catalog:
        """What this process works with from now on."""
        self._bound = self.current()
        return self._bound

    def before_walk(self) -> None:
        super().before_walk()
        is_other = self._bound is not None and bool(catalog_change.compare(self._bound, self.current()))
        if is_other and self.restart is None:
            logger.warning("catalog_needs_restart in_force=%s", self.current().digest())
        self.restart = RESTART if is_other else None


def load_wish(settings: Settings) -> Catalog:
    """The file of strategies. Raises ConfigurationInvalid, also where paper mode would meet another chain."""
    catalog = load_catalog(settings.strategies_path)
    if settings.mode == "paper":
        require_local_chain(catalog, settings.strategies_path)
    return catalog


def known_catalog(stores: Stores, settings: Settings) -> Catalog:
    """For a look without following the file: what is in force, or the file where nothing is or nobody can tell."""
    with suppress(StoreUnavailable):
        in_force = stores.catalogs.standing().in_force
        if in_force is not None:
            return in_force
    return load_catalog(settings.strategies_path)
