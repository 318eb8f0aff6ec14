"""One row per comparison: what was observed against which limit. Unknown fails; equal passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from domain.policy import Policy
from tests.oracle.exact import DOLLAR, Measure, Rational, pair_of

Found = TypeVar("Found")


class Row(NamedTuple):
    code: str
    passed: bool
    observed: Measure = None
    limit: tuple[str, str] | None = None
    """Section and key in the policy, where it is a number there."""
    unit: int = 1
    """How many of the observed make one of the limit's."""


class Sheet:
    """Collects the rows of one piece of evidence."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.rows: list[Row] = []

    def limit(self, section: str, key: str) -> Decimal | int | str:
        limit: Decimal | int | str = getattr(getattr(self._policy, section), key)
        return limit

    def require(self, code: str, holds: bool) -> None:
        self.rows.append(Row(code, holds))

    def require_all(self, code: str, holds: Iterable[bool]) -> None:
        self.rows.append(Row(code, all(holds)))

    def at_most(self, code: str, observed: Measure, section: str, key: str, *, unit: int = 1) -> None:
        """`unit` is how many of the observed make one of the limit's."""
        limit = self.limit(section, key)
        passed = observed is not None
        if observed is not None and not isinstance(limit, str):
            (bound, parts), (numerator, denominator) = pair_of(limit), observed
            passed = numerator * parts <= bound * denominator * unit
        self.rows.append(Row(code, passed, observed, (section, key), unit))

    def at_least(self, code: str, observed: Measure, section: str, key: str, *, unit: int = 1) -> None:
        limit = self.limit(section, key)
        passed = observed is not None
        if observed is not None and not isinstance(limit, str):
            (bound, parts), (numerator, denominator) = pair_of(limit), observed
            passed = numerator * parts >= bound * denominator * unit
        self.rows.append(Row(code, passed, observed, (section, key), unit))

    def money_at_most(self, code: str, observed: Rational | None, section: str, key: str) -> None:
        self.at_most(code, None if observed is None else (observed, 1), section, key, unit=DOLLAR)


def share(part: Rational | None, whole: Rational | None) -> Measure:
    """Unknown where either is, and of nothing."""
    return None if part is None or whole is None or whole <= 0 else (part, whole)


def plus(*parts: Rational | None) -> Rational | None:
    total: Rational = 0
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def or_unknown(found: Sequence[Found]) -> Sequence[Found | None]:
    """All that was found, or one unknown: what is missing must fail, not be skipped."""
    return found or (None,)
