"""One walk at a time: the next one waits, and gives up where the last one hangs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from app.exclusive import Turn
from domain.errors import StoreUnavailable


def test_who_comes_second_walks_after_the_first_has_ended(tmp_path: Path) -> None:
    turn, walked, is_waiting = Turn(tmp_path / "turn.lock"), [], threading.Event()

    def second() -> None:
        is_waiting.set()
        with Turn(tmp_path / "turn.lock")():
            walked.append("second")

    thread = threading.Thread(target=second)
    with turn():
        thread.start()
        is_waiting.wait(10)
        walked.append("first")
    thread.join(10)

    assert walked == ["first", "second"]


def test_a_walk_that_does_not_end_is_named_after_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "turn.lock"

    with Turn(file)(), pytest.raises(StoreUnavailable) as caught, Turn(file, wait_seconds=0.1)():
        pass

    assert f"another run holds {file} for more than 0.1 s" in str(caught.value)


def test_a_turn_ends_with_the_walk_even_when_that_fails(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "turn.lock", wait_seconds=0.1)

    with pytest.raises(ZeroDivisionError), turn():
        _ = 1 / 0

    with turn():
        assert (tmp_path / "turn.lock").exists()
