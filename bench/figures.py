"""How a measurement is kept: build/<target>.json for programs and the same rows as a table for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured number. `against` is what it is compared with: a limit, a peer or nothing."""

    name: str
    value: float
    unit: str
    against: float | str | None = None
    note: str = ""


def write_figures(path: Path, figures: Sequence[Figure]) -> None:
    """Write the file, its folder included, and print the table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([figure._asdict() for figure in figures], indent=2) + "\n")
    print(table(figures))


def merge_figures(path: Path, figures: Sequence[Figure]) -> None:
    """Into what other programs have measured: only figures of the same names are replaced. Prints nothing."""
    names = {figure.name for figure in figures}
    measured = json.loads(path.read_text()) if path.exists() else []
    kept = [entry for entry in measured if entry["name"] not in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *(figure._asdict() for figure in figures)], indent=2) + "\n")


def table(figures: Sequence[Figure]) -> str:
    """Columns padded to their widest cell; the note comes last and is not padded."""
    rows = [("name", "value", "unit", "against", "note")]
    rows += [(f.name, f"{f.value:g}", f.unit, "" if f.against is None else str(f.against), f.note) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]) for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
