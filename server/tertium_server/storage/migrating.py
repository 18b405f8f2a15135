"""Bringing a store's tables up to date: the migrations ship with the package and run when a server starts."""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text

from tertium_server.storage.database import Database
from tertium_server.storage.errors import StoreError

HEAD = "head"
"""The newest revision."""

_LOCATION = "tertium_server.storage:migrations"
_ADVISORY_LOCK = 0x7E27_1035
"""Any number that nobody else in the database takes: only one server migrates at a time."""

_ALEMBIC = threading.Lock()
"""alembic keeps what it works on in module globals."""


def upgrade(database: Database, revision: str = HEAD) -> None:
    """Migrates to a revision, in one transaction, while other servers that start wait.

    Raises:
        StoreError: The tables are of a newer version of Tertium, or of something else.
    """
    with _ALEMBIC, database.write() as connection:
        if not database.is_sqlite:
            # Of this transaction alone: an index on many millions of rows takes longer than any question may, and so does waiting for it.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        try:
            command.upgrade(_config(connection), revision)
        except CommandError as error:
            raise StoreError(
                f"the store ({database.name}) was written by another version of Tertium ({error}); run that version, or name another store"
            ) from error


def revision_of(database: Database) -> str | None:
    """The revision a store is at; None: it has no tables yet."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """The revision that this version of Tertium works with."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", _LOCATION)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
