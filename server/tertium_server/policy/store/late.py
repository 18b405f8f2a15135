"""A store in the server's own data folder, made as soon as there is something to store: most servers never do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from tertium_server.policy.errors import PolicyStoreError
from tertium_server.policy.model import Policy
from tertium_server.policy.store.database import DatabaseStore
from tertium_server.policy.store.values import Record, Standing
from tertium_server.storage import Database, StoreError


class LateStore:
    """A DatabaseStore that is opened when it is first written, or read while there is one."""

    def __init__(self, open_database: Callable[[], Database], exists: Callable[[], bool]) -> None:
        self._open_database = open_database
        self._exists = exists
        self._store: DatabaseStore | None = None
        self._lock = threading.Lock()

    def put(self, policy: Policy, author: str, reason: str) -> tuple[Record, bool]:
        """Stores a policy; see PolicyStore."""
        return self._opened().put(policy, author, reason)

    def records(self) -> list[Record]:
        """All stored policies; see PolicyStore."""
        return self._opened().records() if self._is_there() else []

    def standing(self) -> Standing:
        """Which versions stand where; see PolicyStore."""
        return self._opened().standing() if self._is_there() else Standing()

    def activate(self, record: Record, author: str, reason: str, kind: Literal["activate", "rollback"]) -> None:
        """Puts a version into force; see PolicyStore."""
        self._opened().activate(record, author, reason, kind)

    def try_out(self, record: Record | None, author: str, reason: str) -> None:
        """Puts a version into the shadow; see PolicyStore."""
        self._opened().try_out(record, author, reason)

    def _is_there(self) -> bool:
        return self._store is not None or self._exists()

    def _opened(self) -> DatabaseStore:
        with self._lock:
            if self._store is None:
                try:
                    self._store = DatabaseStore(self._open_database())
                except StoreError as error:
                    raise PolicyStoreError(str(error)) from error
            return self._store
