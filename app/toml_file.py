"""A TOML file as it was written: its values, and the line of each key, so that a refusal can point at it."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from domain.errors import ConfigurationInvalid

MAX_CONFIG_BYTES: Final = 1_000_000
_HEADER: Final = re.compile(r"\s*(?P<list>\[)?\[\s*(?P<name>[^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"\s*(?P<name>(?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")

Location = tuple[str, ...]
"""Keys from the top: ("budgets", "max_day_value_usd"), ("tokens", "0", "id")."""


@dataclass(frozen=True, slots=True)
class TomlFile:
    what: str
    """`policy` or `strategies`: what a refusal calls it."""
    path: Path
    text: str
    values: dict[str, Any]

    def where(self, location: Sequence[str] = ()) -> str:
        """The file, and the line of the key where it has one; of its section where it is missing there."""
        lines, wanted = dict(_lines(self.text)), tuple(location)
        while wanted and wanted not in lines:
            wanted = wanted[:-1]
        line = f", line {lines[wanted]}" if wanted else ""
        return f"{self.what} {self.path}{line}"


def _number(text: str) -> Decimal:
    """Exact. Minus zero is zero, as among whole numbers, and reads so in every message."""
    number = Decimal(text)
    return number if number else number.copy_abs()


def _lines(text: str) -> Iterator[tuple[Location, int]]:
    table: Location = ()
    seen: Counter[str] = Counter()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = _parts(header["name"])
            table = (*name, str(seen[header["name"]])) if header["list"] else name
            seen[header["name"]] += 1
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, *_parts(key["name"])), number


def _parts(name: str) -> Location:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def read_toml(path: Path, *, what: str) -> TomlFile:
    """Raises ConfigurationInvalid for what cannot be read, is too large or is no TOML."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigurationInvalid(f"{what} {path}: {path.stat().st_size} bytes, limit {MAX_CONFIG_BYTES}")
        text = path.read_text(encoding="utf-8")
        return TomlFile(what, path, text, tomllib.loads(text, parse_float=_number))
    except FileNotFoundError:
        raise ConfigurationInvalid(f"{what} {path}: no such file; set AUTOFI_{what.upper()} to one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid(f"{what} {path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{what} {path}: not valid TOML: {error}") from None
