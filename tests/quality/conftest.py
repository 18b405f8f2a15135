"""A store for each test of quality where the kind of SQL is not at stake."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tertium_server.storage import Database
from tests.stores import sqlite_store


@pytest.fixture
def file_store(tmp_path: Path) -> Generator[Database]:
    """An empty SQLite store."""
    database = sqlite_store(tmp_path)
    yield database
    database.close()
