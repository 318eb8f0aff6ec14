"""How a guard measures: exact comparisons that become rows, passing rows too, and at last text for the verdict.

Unknown or missing on either side fails: only the policy's word `unlimited` lets everything known pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from enum import Enum, auto
from typing import Final, NamedTuple

from domain.policy import is_unlimited
from domain.units import EXACT

UNKNOWN: Final = "unknown"
FACT: Final = "fact"
"""The unit of rows that are true or not; for programs and tables, never for sentences."""
MAX_TEXT: Final = 120
MAX_UNIT: Final = 24
MAX_DIGITS: Final = 100
SHORT: Final = 10**MAX_DIGITS
Quantity = Decimal | int


class Sense(Enum):
    """On which side of its limit a row passes."""

    AT_MOST = auto()
    AT_LEAST = auto()
    FACT = auto()


class Row(NamedTuple):
    """One measurement against one limit, still in numbers: only `check` turns rows into text."""

    guard: str
    code: str
    subject: str
    sense: Sense
    observed: Quantity | str | None
    limit: Quantity | str | None
    unit: str
    passed: bool
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Ruler:
    """Writes the rows of one guard."""

    guard: str

    def at_most(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Row:
        """Passes up to the limit itself; one unit over denies."""
        known, bound = number(observed), number(limit)
        passed = known is not None and (known <= bound if bound is not None else is_unlimited(limit))
        return Row(self.guard, code, subject, Sense.AT_MOST, observed, limit, unit, passed)

    def at_least(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Row:
        """Passes from the limit itself upwards."""
        known, bound = number(observed), number(limit)
        passed = known is not None and (known >= bound if bound is not None else is_unlimited(limit))
        return Row(self.guard, code, subject, Sense.AT_LEAST, observed, limit, unit, passed)

    def fact(self, code: str, subject: str, *, passed: bool, limit: str, observed: str, unit: str = FACT) -> Row:
        """A row that is true or not; `limit` says what had to be."""
        return Row(self.guard, code, subject, Sense.FACT, observed, limit, unit, passed)


def number(value: object) -> Quantity | None:
    """The value where it is an integer or a finite Decimal; None for whatever only compares like one: bool, float."""
    if type(value) is int:
        return value
    return value if type(value) is Decimal and value.is_finite() else None


def exact(value: object) -> Decimal | None:
    """The same as Decimal."""
    known = number(value)
    return None if known is None else Decimal(known)


def measured(value: float | None) -> Decimal | None:
    """A statistic as the decimal that its shortest text names, so that 0.02 meets a limit of 0.02."""
    return None if value is None else exact(Decimal(str(value)))


def text(value: Quantity | str | None) -> str:
    """Plain notation, at most eight places; money and shares need no more to be read."""
    with localcontext(EXACT):
        return _text(value)


def _text(value: Quantity | str | None) -> str:
    if type(value) is Decimal:
        return _plain(value) if value.is_finite() else UNKNOWN
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if type(value) is int:
        return str(value) if -SHORT < value < SHORT else _plain(Decimal(value))
    return UNKNOWN


def _plain(value: Decimal) -> str:
    """Rounds as the current context says: half to even in EXACT."""
    if value.adjusted() >= MAX_DIGITS:
        return format(value, ".8e")  # beyond every amount there is; in full it would not fit
    return format(value, ".8f").rstrip("0").rstrip(".")


def findings_of(rows: Iterable[Row]) -> list[dict[str, object]]:
    """The fields of domain Findings: the only place where rows become text."""
    with localcontext(EXACT):
        return [_finding_of(row) for row in rows]


def _finding_of(row: Row) -> dict[str, object]:
    guard, code, subject, sense, observed, limit, unit, passed, waived = row
    return {
        "guard": guard,
        "code": code,
        "subject": subject[:MAX_TEXT],
        "limit": _text(limit),
        "observed": _text(observed),
        "unit": unit[:MAX_UNIT],
        "headroom": _headroom(sense, observed=observed, limit=limit),
        "passed": passed,
        "waived": waived,
    }


def _headroom(sense: Sense, *, observed: Quantity | str | None, limit: Quantity | str | None) -> str | None:
    """What is left up to the limit; None wherever either side is no number, as in a fact."""
    known, bound = number(observed), number(limit)
    if known is None or bound is None:
        return None
    return _text(bound - known if sense is Sense.AT_MOST else known - bound)
