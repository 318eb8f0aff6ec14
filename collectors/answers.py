"""Questions to contracts and their answers, looked up by question; an answer that cannot be read is None."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from eth_abi.exceptions import DecodingError

from domain.abi import AbiFunction
from domain.ports import BlockHeader, ChainReads, ReadCall, ReadResult


class Question(NamedTuple):
    """One view function of one contract."""

    target: str
    function: AbiFunction
    arguments: tuple[object, ...] = ()

    def to_call(self) -> ReadCall:
        return ReadCall(target=self.target, data=self.function.encode(*self.arguments))


class Answers:
    """Results of `questions`, in the same order."""

    def __init__(self, questions: Sequence[Question], results: Sequence[ReadResult]) -> None:
        self._by_question = dict(zip(questions, results, strict=True))

    def values(self, question: Question) -> tuple[object, ...] | None:
        """None when the call failed or its bytes are not what the function returns."""
        result = self._by_question[question]
        if not result.succeeded:
            return None
        try:
            return question.function.decode_output(result.data)
        except DecodingError:
            return None

    def integer(self, question: Question) -> int | None:
        """The first value."""
        values = self.values(question)
        return values[0] if values and isinstance(values[0], int) else None

    def address(self, question: Question) -> str | None:
        """The first value."""
        values = self.values(question)
        return values[0] if values and isinstance(values[0], str) else None

    def integers(self, question: Question) -> tuple[int, ...] | None:
        """All values of a function that returns only integers and booleans, which count as 0 and 1."""
        values = self.values(question)
        if values is None:
            return None
        return tuple(value for value in values if isinstance(value, int))


def ask(reads: ChainReads, questions: Iterable[Question], header: BlockHeader) -> Answers:
    """All questions in one read at the header's block, each asked once. Raises ChainUnavailable."""
    unique = list(dict.fromkeys(questions))
    results = reads.read_many([question.to_call() for question in unique], block_number=header.number)
    return Answers(unique, results)
