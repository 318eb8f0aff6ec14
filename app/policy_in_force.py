"""Which policy binds: the file is the wish, the database says what is in force. Asked before every walk.

Where the records of it cannot be trusted, trading halts, and exits are judged by the file.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from app.clock import SystemClock
from app.settings import load_policy
from domain.breakers import MAX_TEXT, Trip
from domain.errors import ConfigurationInvalid, InvariantBroken, StoreUnavailable
from domain.policy_change import meet
from domain.verdict import TradingState
from guards.finding import FACT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.settings import Settings
    from app.stores import Stores
    from domain.policy import Policy
    from domain.policy_history import PolicyEvent, Proposal
    from domain.ports import Clock

logger = logging.getLogger(__name__)

UNREADABLE: Final = "policy_unreadable"


class PolicyInForce:
    """Delays are measured by the machine's clock: a simulated chain may run days ahead of the people who read."""

    def __init__(self, stores: Stores, settings: Settings, clock: Clock | None = None) -> None:
        self._stores = stores
        self._settings = settings
        self._clock = clock or SystemClock()
        self._policy: Policy | None = None
        self.problem: str | None = None
        """Why the file, or the record of what is in force, is not followed just now."""

    def current(self) -> Policy:
        """As of the last time that the file was followed."""
        if self._policy is None:
            self.follow_file()
        if self._policy is None:
            raise InvariantBroken("no policy is in force after the file was followed")
        return self._policy

    def pending(self) -> Proposal | None:
        """What waits for an approval or its time; nothing where nobody can tell."""
        with suppress(StoreUnavailable):
            return self._stores.policies.standing().proposal
        return None

    def follow_file(self) -> Sequence[PolicyEvent]:
        """Take the file as the wish: what changed, or nothing. Raises ConfigurationInvalid for a file that is none."""
        wish = load_policy(self._settings.policy_path)
        self.problem = None
        try:
            events = self._stores.policies.follow(wish, by=self._settings.user, at=self._clock.now())
            self._policy = self._stores.policies.standing().in_force
        except StoreUnavailable as error:
            # Halted from here on: what is left to judge is the way out.
            self._policy = wish if self._policy is None else meet(self._policy, wish)
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
                self._policy = self._stores.policies.standing().in_force
            if self._policy is None:
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
                logger.warning("policy_file_refused problem=%s", error)

    def _halt(self, problem: str) -> None:
        self.problem = problem
        logger.error("policy_unreadable problem=%s", problem)
        trip = Trip(
            code=UNREADABLE,
            state=TradingState.HALTED,
            subject="policy in force",
            limit="readable",
            observed=problem[:MAX_TEXT],
            unit=FACT,
        )
        self._stores.trading_state.tighten([trip], at=self._clock.now())
