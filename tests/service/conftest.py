"""A throwaway PostgreSQL cluster: on a Unix socket only, in a folder of its own, gone after the session."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from memory.database import Database, open_database
from tests.services import require_service

USER = "autofi"
ROOT_USER_ID = 0
NUMBERS = itertools.count(1)


def unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root; there, `nobody` runs it."""
    if os.geteuid() != ROOT_USER_ID:
        return []
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def run(*command: str, folder: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}
    done = subprocess.run(
        [*unprivileged(), *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        log = folder / "log"
        pytest.fail(f"{command[0]} failed: {done.stderr}{log.read_text() if log.exists() else ''}")


@pytest.fixture(scope="session")
def postgres_folder() -> Iterator[Path]:
    """Where the cluster lives and its socket; short, because a socket's path has at most 107 bytes."""
    require_service("PostgreSQL (initdb, pg_ctl)", available=all(map(shutil.which, ("initdb", "pg_ctl"))))
    folder = Path(tempfile.mkdtemp(prefix="autofi-pg-"))
    if unprivileged():
        shutil.chown(folder, "nobody", "nogroup")
    data = str(folder / "data")
    settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        run("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", folder=folder)
        run("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", settings, "start", folder=folder)
        yield folder
        run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop", folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_folder: Path) -> str:
    """Of a new, empty database for each test."""
    name = f"test_{next(NUMBERS)}"
    host = str(postgres_folder)
    with psycopg.connect(host=host, user=USER, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://{USER}@/{name}?host={quote(host)}"


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Database]:
    database = open_database(postgres_url)
    yield database
    database.close()
