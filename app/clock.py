"""The two clocks: the machine's, and the local chain's, whose time scenarios move ahead."""

from __future__ import annotations

from datetime import UTC, datetime

from domain.ports import ChainReads


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class ChainClock:
    """Paper mode's time is the head block's: prices age and approvals expire as the scenario says."""

    def __init__(self, reads: ChainReads) -> None:
        self._reads = reads

    def now(self) -> datetime:
        return self._reads.header().time
