"""One database and its transactions."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tertium_server.storage.errors import StoreError, StoreUnavailableError

Synchronous = Literal["FULL", "NORMAL", "OFF"]
"""How often SQLite waits for the disk: FULL at each commit, so that what was answered outlives a power cut."""

_BUSY_SECONDS = 30.0
_CONNECT_SECONDS = 5
_STATEMENT_MILLISECONDS = 30_000
_POSTGRES_OPTIONS = (
    f"-c statement_timeout={_STATEMENT_MILLISECONDS} -c lock_timeout={_STATEMENT_MILLISECONDS} -c timezone=UTC"
)


class Database:
    """A pool of connections and two kinds of transactions. May be used by any number of threads."""

    def __init__(self, url: str, *, synchronous: Synchronous = "FULL", pool_size: int = 8) -> None:
        self._url = _parse(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        # SQLite has one writer at a time. Threads of this process queue here, in turn; by themselves they would poll the file's lock.
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()
        self.engine = create_engine(self._url, **_engine_options(self.is_sqlite, pool_size))
        if self.is_sqlite:
            _prepare_sqlite(self.engine, synchronous)

    @property
    def name(self) -> str:
        """Its URL, without the password."""
        return self._url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that may write: committed at the end of the block, undone if an error leaves it.

        Raises:
            StoreUnavailableError: The database is away, locked or full. Nothing was written.
        """
        with self._writing, self._translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                # A transaction that begins with reading and then writes fails if another has written in between; this one takes its turn first.
                connection = connection.execution_options(tertium_begin="BEGIN IMMEDIATE")  # noqa: PLW2901 - the same one
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that only reads, from one snapshot.

        Raises:
            StoreUnavailableError: The database is away.
        """
        with self._translated(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(  # noqa: PLW2901 - the same one
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Closes all connections that are not in use."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            cause = error.orig if isinstance(error, OperationalError | InterfaceError) else error
            raise StoreUnavailableError(f"the store ({self.name}) can't be used: {_in_one_line(cause)}") from error


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(
            "the store's URL is none; write postgresql://USER@HOST/DATABASE or sqlite:////FOLDER/FILE"
        ) from error
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise StoreError(f"stores are kept in sqlite or postgresql, not in {parsed.get_backend_name()}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StoreError("the store's URL names no file; write sqlite:////FOLDER/FILE")
    return parsed


def _engine_options(is_sqlite: bool, pool_size: int) -> dict[str, Any]:  # noqa: FBT001 - one of two kinds
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 2 * pool_size, "pool_timeout": _BUSY_SECONDS}
    if is_sqlite:
        return options | {"connect_args": {"timeout": _BUSY_SECONDS, "check_same_thread": False}}
    arguments = {"connect_timeout": _CONNECT_SECONDS, "options": _POSTGRES_OPTIONS, "application_name": "tertium"}
    return options | {"pool_pre_ping": True, "connect_args": arguments}


def _prepare_sqlite(engine: Any, synchronous: Synchronous) -> None:  # noqa: ANN401 - SQLAlchemy's events take anything
    """Has every connection write ahead, wait for the disk, hold foreign keys, and begin transactions when we say so."""

    def on_connect(connection: Any, _record: object) -> None:  # noqa: ANN401 - sqlite3's, by way of SQLAlchemy
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("tertium_begin", "BEGIN"))

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "begin", on_begin)


def _in_one_line(error: object) -> str:
    return " ".join(str(error).split())
