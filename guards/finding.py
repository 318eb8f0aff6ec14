"""How a guard measures: exact comparisons that become rows, passing rows too, and at last text for the verdict.

Unknown or missing on either side fails: only the policy's word `unlimited` lets everything known pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import Enum
from typing import Final, NamedTuple

from domain.policy import is_unlimited
from domain.units import EXACT, decimal_text

UNKNOWN: Final = "unknown"
FACT: Final = "fact"
"""The unit of rows that are true or not; for programs and tables, never for sentences."""
MAX_TEXT: Final = 120
MAX_UNIT: Final = 24
SHOWN: Final = Decimal("1e-8")
Quantity = Decimal | int


class Sense(Enum):
    """On which side of its limit a row passes."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    FACT = "fact"


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

    @property
    def headroom(self) -> Decimal | None:
        """What is left up to the limit; None for a fact and wherever either side is no number."""
        observed, limit = exact(self.observed), exact(self.limit)
        if self.sense is Sense.FACT or observed is None or limit is None:
            return None
        return EXACT.subtract(limit, observed) if self.sense is Sense.AT_MOST else EXACT.subtract(observed, limit)


@dataclass(frozen=True, slots=True)
class Ruler:
    """Writes the rows of one guard."""

    guard: str

    def at_most(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Row:
        """Passes up to the limit itself; one unit over denies."""
        known, bound = number(observed), number(limit)
        passed = known is not None and (known <= bound if bound is not None else _lifts(limit))
        return Row(self.guard, code, subject, Sense.AT_MOST, observed, limit, unit, passed)

    def at_least(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Row:
        """Passes from the limit itself upwards."""
        known, bound = number(observed), number(limit)
        passed = known is not None and (known >= bound if bound is not None else _lifts(limit))
        return Row(self.guard, code, subject, Sense.AT_LEAST, observed, limit, unit, passed)

    def fact(self, code: str, subject: str, *, passed: bool, limit: str, observed: str, unit: str = FACT) -> Row:
        """A row that is true or not; `limit` says what had to be."""
        return Row(self.guard, code, subject, Sense.FACT, observed, limit, unit, passed)


def _lifts(limit: object) -> bool:
    return isinstance(limit, str) and is_unlimited(limit)


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
    if isinstance(value, str):
        return value[:MAX_TEXT]
    known = exact(value)
    if known is None:
        return UNKNOWN
    if known.adjusted() >= MAX_TEXT:
        return format(known, ".8e")  # beyond every amount there is; in full it would not fit
    shown = decimal_text(known.quantize(SHOWN, ROUND_HALF_EVEN, EXACT))
    return shown.rstrip("0").rstrip(".")


def finding_of(row: Row) -> dict[str, object]:
    """The fields of a domain Finding."""
    headroom = row.headroom
    return {
        "guard": row.guard,
        "code": row.code,
        "subject": row.subject[:MAX_TEXT],
        "limit": text(row.limit),
        "observed": text(row.observed),
        "unit": row.unit[:MAX_UNIT],
        "headroom": None if headroom is None else text(headroom),
        "passed": row.passed,
        "waived": row.waived,
    }
