"""What a test does when the server it needs is absent: skip here, fail where the services are promised."""

from __future__ import annotations

import os

import pytest

REQUIRED = "AUTOFI_REQUIRE_SERVICES"


def require_service(name: str, *, available: bool) -> None:
    """Continue when available. Otherwise skip with a reason, or fail when AUTOFI_REQUIRE_SERVICES is 1."""
    if available:
        return
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{name} is absent and {REQUIRED} is 1")
    pytest.skip(f"{name} is absent")
