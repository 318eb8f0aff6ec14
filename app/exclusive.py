"""One walk through the graph at a time per home: the kernel keeps the turn, and takes it back from a killed process."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from domain.errors import StoreUnavailable

WAIT_SECONDS: Final = 600.0
"""Longer than any walk: six model calls and a receipt, each at its own limit."""
POLL_SECONDS: Final = 0.05


class Turn:
    """Whoever holds the file's lock walks; the others wait, and then find what was done."""

    def __init__(self, file: Path, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._file = file
        self._wait_seconds = wait_seconds

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Raises StoreUnavailable when another process does not finish."""
        with self._file.open("ab") as lock:
            self._wait_for(lock)
            yield

    def _wait_for(self, lock: IO[bytes]) -> None:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"another run holds {self._file} for more than {self._wait_seconds:g} s; "
                        "end the process that has it open, then try again"
                    ) from None
            time.sleep(POLL_SECONDS)
