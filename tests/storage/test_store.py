from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from tertium_server.storage import (
    Database,
    StoreError,
    StoreUnavailableError,
    open_store,
    revision_of,
    sqlite_url,
)
from tertium_server.storage.migrating import newest_revision, upgrade
from tertium_server.storage.tables import metadata


def differences(connection: Connection) -> object:
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


def test_migrations_make_the_tables_that_the_code_declares(store_url: str) -> None:
    store = open_store(store_url)
    with store.read() as connection:
        assert differences(connection) == []
        assert set(metadata.tables) <= set(inspect(connection).get_table_names())
    assert revision_of(store) == newest_revision()
    store.close()


def test_opening_a_store_again_changes_nothing(store_url: str) -> None:
    open_store(store_url).close()
    store = open_store(store_url)
    with store.write() as connection:
        connection.execute(text("INSERT INTO bridge_cursors VALUES ('one', 'x', 1)"))
    store.close()
    store = open_store(store_url)
    with store.read() as connection:
        assert connection.execute(text("SELECT cursor FROM bridge_cursors")).scalar() == "x"
    store.close()


def test_servers_that_start_together_migrate_once(store_url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            open_store(store_url).close()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_may_take_longer_than_a_question(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[object] = []
    migrate = command.upgrade

    def look_and_migrate(config: Any, revision: str) -> None:
        limits.extend(limits_of(config.attributes["connection"]))
        migrate(config, revision)

    def limits_of(connection: Connection) -> list[object]:
        if connection.dialect.name == "sqlite":
            return []
        return [connection.execute(text(f"SHOW {name}")).scalar() for name in ("statement_timeout", "lock_timeout")]

    monkeypatch.setattr(command, "upgrade", look_and_migrate)
    store = open_store(store_url)
    assert set(limits) <= {"0"}
    with store.read() as connection:
        assert set(limits_of(connection)) <= {"30s"}
    store.close()


def test_a_store_of_a_newer_version_is_refused(store_url: str) -> None:
    store = open_store(store_url)
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="written by another version of Tertium"):
        upgrade(store)
    store.close()


def test_a_transaction_that_fails_leaves_nothing(store_url: str) -> None:
    store = open_store(store_url)
    with pytest.raises(ZeroDivisionError), store.write() as connection:
        connection.execute(text("INSERT INTO bridge_cursors VALUES ('one', 'x', 1)"))
        _ = 1 / 0
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM bridge_cursors")).scalar() == 0
    store.close()


def test_writers_take_turns_and_lose_no_update(store_url: str) -> None:
    store = open_store(store_url, synchronous="OFF")
    with store.write() as connection:
        connection.execute(text("INSERT INTO bridge_cursors VALUES ('one', '0', 0)"))

    def count() -> None:
        for _ in range(50):
            with store.write() as connection:
                connection.execute(text("UPDATE bridge_cursors SET moved_at = moved_at + 1"))

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        assert connection.execute(text("SELECT moved_at FROM bridge_cursors")).scalar() == 200
    store.close()


def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    store = open_store(sqlite_url(tmp_path))
    with store.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    store.close()


def test_a_store_that_is_away_is_told_from_one_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="can't be used"):
        open_store(f"sqlite:///{tmp_path}/nowhere/x.sqlite")
    with pytest.raises(StoreUnavailableError):
        open_store("postgresql://nobody@127.0.0.1:1/nothing")
    (tmp_path / "text.sqlite").write_text("this is no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{tmp_path}/text.sqlite")


@pytest.mark.parametrize("url", ["", "no url", "mysql://host/database", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_can_not_be_used_is_refused(url: str) -> None:
    with pytest.raises(StoreError):
        Database(url)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(StoreUnavailableError) as caught:
        open_store("postgresql://reviewer:geheim@127.0.0.1:1/nothing")
    assert "geheim" not in str(caught.value)
    assert "reviewer:***@" in str(caught.value)
