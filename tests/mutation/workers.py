"""Several processes share a list of mutants; each writes what it finds into its own pipe, line by line."""

from __future__ import annotations

import json
import os
import selectors
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from tests.mutation.judge import Fate, Outcome
from tests.mutation.mutants import Key, Mutant

EVERY: Final = 200
BLOCK: Final = 20
Run = Callable[[Sequence[Mutant]], Iterable[tuple[Key, Outcome]]]


def share_out(mutants: Sequence[Mutant], run: Run, *, workers: int) -> Iterator[tuple[Key, Outcome]]:
    """Neighbours stay together: the test that kills one usually kills the next."""
    blocks = [mutants[start : start + BLOCK] for start in range(0, len(mutants), BLOCK)]
    shares = [[mutant for block in blocks[first::workers] for mutant in block] for first in range(workers)]
    processes = [_start(share, run) for share in shares if share]
    for done, line in enumerate(_lines([pipe for _, pipe in processes]), start=1):
        key, fate, killer = json.loads(line)
        if done % EVERY == 0:
            sys.stderr.write(f"{done} of {len(mutants)} judged\n")
        yield Key(*key), Outcome(Fate(fate), killer)
    for process, _ in processes:
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
            raise RuntimeError("a worker ended early, see above")


def _start(share: Sequence[Mutant], run: Run) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        _work(share, run, writing)
    os.close(writing)
    return process, reading


def _work(share: Sequence[Mutant], run: Run, pipe: int) -> None:
    status = 1
    try:
        for key, outcome in run(share):
            os.write(pipe, f"{json.dumps([list(key), *outcome])}\n".encode())
        status = 0
    except (RuntimeError, OSError, ValueError):
        traceback.print_exc()
    finally:
        os._exit(status)


def _lines(pipes: Sequence[int]) -> Iterator[str]:
    """From whichever pipe has one, until all are closed."""
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(os.fdopen(pipe, "rb", buffering=0), selectors.EVENT_READ, bytearray())
        while selector.get_map():
            for ready, _ in selector.select():
                received = os.read(ready.fd, 65_536)
                ready.data.extend(received)
                *complete, rest = bytes(ready.data).split(b"\n")
                ready.data[:] = rest
                yield from (line.decode() for line in complete)
                if not received:
                    selector.unregister(ready.fileobj)
