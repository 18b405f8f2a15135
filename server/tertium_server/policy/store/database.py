"""Policies in the server's database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import Connection, RowMapping, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from tertium_server.policy.errors import PolicyStoreError
from tertium_server.policy.file import dump_policy, parse_policy
from tertium_server.policy.model import Policy
from tertium_server.policy.store.values import REMEMBERED_ACTIVATIONS, Activation, Record, Standing, numbered
from tertium_server.storage import Database, StoreError
from tertium_server.storage.tables.policies import policies, policy_standing

_SHADOW = "shadow"
_MICROS = 1_000_000


class DatabaseStore:
    """Policies in a database that servers share. What is in force is the newest row of a table: a change is one insertion."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[str, Record] = {}

    def put(self, policy: Policy, author: str, reason: str) -> tuple[Record, bool]:
        """Stores a policy under the next number; see PolicyStore."""
        with self._writing() as connection:
            if not self._database.is_sqlite:  # there, only one writes at a time anyway
                connection.execute(text("LOCK TABLE policies IN EXCLUSIVE MODE"))
            row = connection.execute(select(policies).where(policies.c.sha256 == policy.sha256)).mappings().first()
            if row is not None:
                return self._record(row), True
            highest = connection.execute(select(func.max(policies.c.number))).scalar() or 0
            stored = numbered(policy, highest + 1, author, reason)
            values = {
                "sha256": stored.sha256,
                "number": stored.number,
                "name": stored.name,
                "author": author,
                "reason": reason,
                "created_at": _micros(),
                "document": dump_policy(stored),
            }
            connection.execute(insert(policies).values(values))
        return Record(stored), False

    def records(self) -> list[Record]:
        """All stored policies, by number; see PolicyStore."""
        with self._reading() as connection:
            rows = connection.execute(select(policies).order_by(policies.c.number)).mappings().all()
        return [self._record(row) for row in rows]

    def standing(self) -> Standing:
        """Which versions stand where; see PolicyStore."""
        newest = select(policy_standing).order_by(policy_standing.c.seq.desc())
        with self._reading() as connection:
            shadow = connection.execute(newest.where(policy_standing.c.kind == _SHADOW).limit(1)).mappings().first()
            activations = (
                connection.execute(newest.where(policy_standing.c.kind != _SHADOW).limit(REMEMBERED_ACTIVATIONS))
                .mappings()
                .all()
            )
        return Standing(
            activations[0]["version"] if activations else None,
            shadow["version"] if shadow is not None else None,
            tuple(_activation(row) for row in reversed(activations)),
        )

    def activate(self, record: Record, author: str, reason: str, kind: Literal["activate", "rollback"]) -> None:
        """Puts a version into force; see PolicyStore."""
        self._stand(kind, record.version, author, reason)

    def try_out(self, record: Record | None, author: str, reason: str) -> None:
        """Puts a version into the shadow; see PolicyStore."""
        self._stand(_SHADOW, None if record is None else record.version, author, reason)

    def _stand(self, kind: str, version: str | None, author: str, reason: str) -> None:
        values = {"kind": kind, "version": version, "author": author, "reason": reason, "at": _micros()}
        with self._writing() as connection:
            connection.execute(insert(policy_standing).values(values))

    def _record(self, row: RowMapping) -> Record:
        """A row's record, parsed once: rows never change."""
        digest = row["sha256"]
        if digest not in self._records:
            policy = parse_policy(row["document"], f"policy {row['number']} of {self._database.name}", ours=True)
            if policy.sha256 != digest:
                raise PolicyStoreError(
                    f"policy {row['number']} of {self._database.name} was changed after it was stored; store it anew, as a version of its own"
                )
            self._records[digest] = Record(policy)
        return self._records[digest]

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        try:
            with self._database.write() as connection:
                yield connection
        except (StoreError, SQLAlchemyError) as error:
            raise PolicyStoreError(" ".join(str(error).split())[:500]) from error

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        try:
            with self._database.read() as connection:
                yield connection
        except (StoreError, SQLAlchemyError) as error:
            raise PolicyStoreError(" ".join(str(error).split())[:500]) from error


def _activation(row: RowMapping) -> Activation:
    at = datetime.fromtimestamp(row["at"] / _MICROS, UTC).isoformat(timespec="milliseconds")
    return Activation(row["version"], at, row["author"], row["reason"], row["kind"])


def _micros() -> int:
    return int(datetime.now(UTC).timestamp() * _MICROS)
