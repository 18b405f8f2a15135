"""A store for each test of quality: of every kind in turn where SQL is at stake."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tertium_server.storage import Database, open_store, sqlite_url


@pytest.fixture
def store(store_url: str) -> Generator[Database]:
    """An empty store. What SQLite has not written to the disk when the power fails is no matter here."""
    database = open_store(store_url, synchronous="OFF")
    yield database
    database.close()


@pytest.fixture
def file_store(tmp_path: Path) -> Generator[Database]:
    """An empty SQLite store."""
    database = open_store(sqlite_url(tmp_path), synchronous="OFF")
    yield database
    database.close()
