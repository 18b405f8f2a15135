"""The database of what has to last (cases, votes, policies, outcomes): SQLite in the data folder, or PostgreSQL by URL.

A part of the server that keeps something declares its tables in ``storage/tables/``, adds a migration to ``storage/migrations/versions/``, and
reads and writes them through a :class:`Database`. No frame waits for any of it.
"""

from tertium_server.storage.database import Database
from tertium_server.storage.errors import StoreError, StoreUnavailableError
from tertium_server.storage.migrating import HEAD, revision_of, upgrade
from tertium_server.storage.opening import open_store, sqlite_url

__all__ = [
    "HEAD",
    "Database",
    "StoreError",
    "StoreUnavailableError",
    "open_store",
    "revision_of",
    "sqlite_url",
    "upgrade",
]
