"""A store for each test of quality, of every kind in turn."""

from collections.abc import Generator

import pytest

from tertium_server.storage import Database, open_store


@pytest.fixture
def store(store_url: str) -> Generator[Database]:
    """An empty store. What SQLite has not written to the disk when the power fails is no matter here."""
    database = open_store(store_url, synchronous="OFF")
    yield database
    database.close()
