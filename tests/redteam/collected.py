"""Hostile strings that others collected, read from a data folder where one is; carriers without an attack, too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from tests.redteam.case import Case, Family, Place
from tests.repository import ROOT

DATA = "AUTOFI_DATA"
BESIDE = ROOT.parent / "shared" / "data"
INJECTIONS = Path("injection") / "injection.parquet"
INJECTION_PLACES = (Place.TOKEN_SYMBOL, Place.NEWS, Place.PROTOCOL_METADATA)


class Injections(NamedTuple):
    """Strings that others collected, or why there are none."""

    cases: tuple[Case, ...]
    absence: str = ""


def data_folder() -> Path:
    """Named by AUTOFI_DATA, else shared/data beside the repository."""
    named = os.environ.get(DATA)
    return Path(named) if named else BESIDE


def read_injections(folder: Path) -> Injections:
    """Each string at three places; carriers without an attack in them are read, too: they must change nothing."""
    file = folder / INJECTIONS
    if not file.is_file():
        return Injections((), f"{file.name} is not there: set {DATA} to a folder that holds {INJECTIONS}")
    import pandas as pd

    try:
        table = pd.read_parquet(file)
    except ImportError:
        return Injections((), f"{file.name} needs pyarrow to be read: pip install pyarrow")
    return Injections(
        tuple(
            Case(
                id=f"{Family.TOOL_INJECTION}-collected-{number:03}",
                family=Family.TOOL_INJECTION,
                text=str(text),
                places=INJECTION_PLACES,
                tags=(str(kind), str(source)),
            )
            for number, (text, kind, source) in enumerate(
                zip(table["text"], table["kind"], table["source"], strict=True)
            )
        )
    )
