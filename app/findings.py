"""What the doctor found: one line a part, and how looking at a part becomes one."""

from __future__ import annotations

from collections.abc import Callable

from domain.errors import AutofiError
from domain.units import Value

Look = Callable[[], str]
"""What was seen; raises when it is not well."""


class Finding(Value):
    """One part: what was seen, and what to do when it is not well."""

    part: str
    is_healthy: bool
    observed: str
    fix: str


def look_at(part: str, look: Look, *, fix: str) -> Finding:
    try:
        return Finding(part=part, is_healthy=True, observed=look(), fix="")
    except AutofiError as error:
        return Finding(part=part, is_healthy=False, observed=str(error), fix=fix)
    except Exception as error:  # noqa: BLE001  # a doctor who dies of what he examines helps nobody
        # Only the kind: the text of a foreign error may hold an address with a password.
        return Finding(part=part, is_healthy=False, observed=f"failed with {type(error).__name__}", fix=fix)


def gather(part: str, examine_all: Callable[[], tuple[Finding, ...]], *, fix: str) -> tuple[Finding, ...]:
    """The findings, or one for the part that all of them need."""
    found: list[Finding] = []

    def look() -> str:
        found.extend(examine_all())
        return ""

    opened = look_at(part, look, fix=fix)
    return tuple(found) if opened.is_healthy else (opened,)
