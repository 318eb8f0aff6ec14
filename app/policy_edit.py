"""Change one limit in a policy file, keeping its comments; the result must still be a policy."""

from __future__ import annotations

import re
from pathlib import Path

from app.settings import load_policy
from domain.errors import ConfigurationInvalid


def replace_limit(file: Path, section: str, key: str, value: str) -> None:
    """Raises ConfigurationInvalid and leaves the file as it was when the limit is unknown or the value is refused."""
    section_start = rf"^\[{re.escape(section)}\]$"
    line = rf"(?P<kept>{section_start}(?:(?!^\[).)*?^{re.escape(key)} = )[^\n#]*[^\n#\s]"
    after, count = re.subn(
        line, lambda match: match["kept"] + value, file.read_text(encoding="utf-8"), count=1, flags=re.M | re.S
    )
    if count != 1:
        raise ConfigurationInvalid(f"policy {file}: no line `{key} = ...` in section [{section}]")
    _replace_whole(file, after)


def _replace_whole(file: Path, text: str) -> None:
    """Checked beside the file first, so that nobody ever reads a policy that is none."""
    draft = file.with_name(f"{file.name}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        load_policy(draft)
        draft.replace(file)
    except ConfigurationInvalid as error:
        raise ConfigurationInvalid(str(error).replace(str(draft), str(file))) from None
    finally:
        draft.unlink(missing_ok=True)
