"""Two processes that reserve from one ledger as fast as they can; imports little, because each imports it anew."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Barrier

from domain.budget import WindowLimits
from domain.errors import BudgetExceeded
from memory.budgets import SqlBudgetLedger
from memory.database import open_database
from tests.test_budgets import reserve

ATTEMPTS = 15
ROOM = 20
"""More than one worker asks for, less than both do."""
WAIT_SECONDS = 120


def reserve_greedily(url: str, first: int, limits: WindowLimits, start: Barrier, taken: multiprocessing.Queue) -> None:
    database = open_database(url)
    ledger, count = SqlBudgetLedger(database), 0
    start.wait(WAIT_SECONDS)
    for number in range(first, first + ATTEMPTS):
        try:
            reserve(ledger, number, value="1", loss="1", gas="1", slippage="1", turnover="1", limits=limits)
            count += 1
        except BudgetExceeded:
            continue
    database.close()
    taken.put(count)


def race(url: str, limits: WindowLimits, *, workers: int = 2) -> list[int]:
    """How many reservations of one dollar each worker got."""
    context = multiprocessing.get_context("spawn")
    start, taken = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=reserve_greedily, args=(url, 1000 * (number + 1), limits, start, taken))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    counts = [taken.get(timeout=WAIT_SECONDS) for _ in processes]
    for process in processes:
        process.join(timeout=WAIT_SECONDS)
    return counts
