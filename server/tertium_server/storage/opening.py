"""From settings to a store that is ready."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from tertium_server.storage.database import Database, Synchronous
from tertium_server.storage.errors import StoreError
from tertium_server.storage.migrating import upgrade

FILE = "tertium.sqlite"
"""The store's file in the data folder."""


def sqlite_url(folder: Path) -> str:
    """The URL of the store in a data folder."""
    return URL.create("sqlite", database=str((folder / FILE).absolute())).render_as_string()


def open_store(url: str, *, synchronous: Synchronous = "FULL") -> Database:
    """The database of a URL, its tables brought up to date.

    Raises:
        StoreError: It can't be used, or was written by a newer version of Tertium.
        StoreUnavailableError: It is away; the same may succeed later.
    """
    database = Database(url, synchronous=synchronous)
    try:
        upgrade(database)
    except SQLAlchemyError as error:
        database.close()
        raise StoreError(f"the store ({database.name}) can't be brought up to date: {error}") from error
    except BaseException:
        database.close()
        raise
    return database
