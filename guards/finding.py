"""How a guard measures: exact comparisons that become rows of the verdict, passing rows too.

Unknown or missing on either side fails: only the policy's word `unlimited` lets everything pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from domain.policy import is_unlimited
from domain.units import EXACT, decimal_text
from domain.verdict import Finding

UNKNOWN: Final = "unknown"
FACT: Final = "fact"
"""The unit of rows that are true or not; for programs and tables, never for sentences."""
MAX_TEXT: Final = 120
SHOWN: Final = Decimal("1e-8")
Quantity = Decimal | int


@dataclass(frozen=True, slots=True)
class Ruler:
    """Writes the rows of one guard."""

    guard: str

    def at_most(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Finding:
        """Passes up to the limit itself; one unit over denies."""
        if isinstance(limit, str) and is_unlimited(limit):
            return self._row(
                code, subject, limit=limit, observed=observed, unit=unit, passed=exact(observed) is not None
            )
        known, bound = exact(observed), exact(limit)
        room = None if known is None or bound is None else EXACT.subtract(bound, known)
        return self._row(code, subject, limit=limit, observed=observed, unit=unit, passed=_fits(room), room=room)

    def at_least(
        self, code: str, subject: str, *, observed: Quantity | None, limit: Quantity | str | None, unit: str
    ) -> Finding:
        """Passes from the limit itself upwards."""
        if isinstance(limit, str) and is_unlimited(limit):
            return self._row(
                code, subject, limit=limit, observed=observed, unit=unit, passed=exact(observed) is not None
            )
        known, bound = exact(observed), exact(limit)
        room = None if known is None or bound is None else EXACT.subtract(known, bound)
        return self._row(code, subject, limit=limit, observed=observed, unit=unit, passed=_fits(room), room=room)

    def fact(self, code: str, subject: str, *, passed: bool, limit: str, observed: str, unit: str = FACT) -> Finding:
        """A row that is true or not; `limit` says what had to be."""
        return Finding(
            guard=self.guard,
            code=code,
            subject=subject[:MAX_TEXT],
            limit=limit[:MAX_TEXT],
            observed=observed[:MAX_TEXT],
            unit=unit,
            passed=passed,
        )

    def _row(
        self,
        code: str,
        subject: str,
        *,
        limit: Quantity | str | None,
        observed: Quantity | None,
        unit: str,
        passed: bool,
        room: Decimal | None = None,
    ) -> Finding:
        row = self.fact(code, subject, passed=passed, limit=text(limit), observed=text(observed), unit=unit)
        return row if room is None else row.model_copy(update={"headroom": text(room)})


def _fits(room: Decimal | None) -> bool:
    return room is not None and room >= 0


def exact(value: object) -> Decimal | None:
    """The number as Decimal; None for anything that is not one: NaN, infinity, bool, text, None."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None


def measured(value: float | None) -> Decimal | None:
    """A statistic as the decimal that its shortest text names, so that 0.02 meets a limit of 0.02."""
    return None if value is None else exact(Decimal(str(value)))


def text(value: Quantity | str | None) -> str:
    """Plain notation, at most eight places; money and shares need no more to be read."""
    if value is None:
        return UNKNOWN
    if isinstance(value, (str, int)):
        return str(value)[:MAX_TEXT]
    if not value.is_finite():
        return UNKNOWN
    shown = decimal_text(value.quantize(SHOWN, rounding=ROUND_HALF_EVEN, context=EXACT))
    return shown.rstrip("0").rstrip(".")[:MAX_TEXT]
