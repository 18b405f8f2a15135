"""Who tells: of all processes that share a store, one at a time does a piece of work."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tertium_server.quality.values import MICROS
from tertium_server.storage import Database
from tertium_server.storage.tables import quality

_leases = quality.leases.c
_PROCESS = secrets.token_hex(4)
"""Tells this process from one that had its number before."""
_INSTANCES = itertools.count()


class Leadership:
    """A lease on one piece of work, renewed by asking. ``seconds``: how long it outlives a holder that is gone without a word."""

    def __init__(
        self, store: Database, name: str, *, seconds: float, clock: Callable[[], int], holder: str | None = None
    ) -> None:
        self._store = store
        self._name = name
        self._micros = round(seconds * MICROS)
        self._clock = clock
        self._holder = holder or f"{_place()}/{os.getpid()}/{_PROCESS}/{next(_INSTANCES)}"

    def hold(self) -> bool:
        """Takes the lease, or keeps it; False: another process has it.

        Raises:
            StoreUnavailableError: The store is away.
        """
        try:
            return self._hold()
        except IntegrityError:  # another was the first in this very moment
            return False

    def _hold(self) -> bool:
        now = self._clock()
        values = {"holder": self._holder, "expires_at": now + self._micros}
        with self._store.write() as connection:
            query = select(_leases.holder, _leases.expires_at).where(_leases.name == self._name).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                connection.execute(quality.leases.insert().values(name=self._name, **values))
            elif row.holder == self._holder or row.expires_at <= now or _is_gone(row.holder, self._holder):
                connection.execute(quality.leases.update().where(_leases.name == self._name).values(**values))
            else:
                return False
        return True

    def give_up(self) -> None:
        """Lets another have it at once."""
        with self._store.write() as connection:
            connection.execute(
                quality.leases.delete().where(_leases.name == self._name, _leases.holder == self._holder)
            )


def _place() -> str:
    """Where numbers of processes mean something: containers may share a host's name, and number their processes by themselves."""
    numbering = ""
    with contextlib.suppress(OSError):  # no Linux
        numbering = Path("/proc/self/ns/pid").readlink().name
    return f"{socket.gethostname()} {numbering}".strip()


def _is_gone(holder: str, own: str) -> bool:
    """Whether a holder was a process of this machine, or of this container, that is no more."""
    host, pid, process, _ = holder.rsplit("/", 3)
    own_host, own_pid, own_process, _ = own.rsplit("/", 3)
    if host != own_host:
        return False
    if pid == own_pid:
        return process != own_process
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
