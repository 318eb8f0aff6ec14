"""The same small world for every test: no network, one thread, no telemetry, nobody's keys or settings."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.network import Gate, block_network

FIXED = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "DO_NOT_TRACK": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LANGGRAPH_STRICT_MSGPACK": "true",  # read when langgraph is imported
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
KEPT = {"AUTOFI_CACHE", "AUTOFI_DATA", "AUTOFI_REQUIRE_SERVICES"}
FOREIGN = ("AUTOFI_", "LANGSMITH_", "LANGCHAIN_", "OPENAI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def _settle_environment() -> None:
    for name in [name for name in os.environ if name.upper().startswith(FOREIGN) and name not in KEPT]:
        del os.environ[name]
    os.environ.update(FIXED)


settings.register_profile("suite", deadline=None)  # a busy machine is no bug
settings.load_profile("suite")
_settle_environment()  # before any test module imports a library that reads it
block_network()


@pytest.fixture(autouse=True)
def _network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Opens the gate for tests marked `live` and for nothing else."""
    Gate.is_open = request.node.get_closest_marker("live") is not None
    yield
    Gate.is_open = False
