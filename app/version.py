"""Which code is running, for records and people."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    try:
        return version("autofi-nexus")
    except PackageNotFoundError:
        return "0.0.0+uninstalled"
