"""Change one limit in a policy file, keeping its comments; the result must still be a policy."""

from __future__ import annotations

import re
from pathlib import Path

from app.settings import load_policy
from domain.errors import ConfigurationInvalid


def replace_limit(file: Path, section: str, key: str, value: str) -> None:
    """Raises ConfigurationInvalid and leaves the file as it was when the limit is unknown or the value is refused."""
    before = file.read_text(encoding="utf-8")
    pattern = re.compile(rf"(^\[{re.escape(section)}\]$.*?^{re.escape(key)} = )[^\n]+", re.MULTILINE | re.DOTALL)
    after, count = pattern.subn(lambda match: match[1] + value, before, count=1)
    if count != 1:
        raise ConfigurationInvalid(f"policy {file}: no line `{key} = ...` in section [{section}]")
    file.write_text(after, encoding="utf-8")
    try:
        load_policy(file)
    except ConfigurationInvalid:
        file.write_text(before, encoding="utf-8")
        raise
