"""The policies of a running server: the one in force and the one in its shadow, where they come from, and how they change.

What is in force is one immutable value, replaced as a whole: whoever looks sees the old policy and its shadow, or the new ones, never some of each.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tertium_server.policy.errors import PolicyError, PolicyStateError, PolicyStoreError
from tertium_server.policy.file import default_policy, load_policy
from tertium_server.policy.model import Policy
from tertium_server.policy.store import BUILT_IN, Activation, FolderStore, PolicyStore, Record, Standing
from tertium_server.policy.store.values import before, find


@dataclass(frozen=True, slots=True)
class InForce:
    """What a server judges by."""

    policy: Policy
    """The policy whose verdicts are sent."""

    shadow: Policy | None = None
    """The policy whose verdicts are only counted."""


class PolicySource(Protocol):
    """Where a server has its policies from."""

    def read(self) -> InForce:
        """What is to be in force now.

        Raises:
            PolicyError: It can't be used.
        """
        ...

    @property
    def watched(self) -> Path | None:
        """The folder in which a change of a file may mean another policy."""
        ...


class FileSource:
    """One file, which is the server's only policy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark: tuple[int, int, int] | None = None
        self._read: Policy | PolicyError | None = None

    def read(self) -> InForce:
        """The file's policy, read once for as long as the file stays the same."""
        try:
            status = self.path.stat()
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        except OSError:
            mark = None  # which load_policy says better
        if mark is None or mark != self._mark:
            self._mark, self._read = mark, self._load()
        if isinstance(self._read, Policy):
            return InForce(self._read)
        raise self._read or PolicyError(f"{self.path}: was never read")

    @property
    def watched(self) -> Path:
        """The file's folder: editors and Kubernetes put another file in its place."""
        return self.path.absolute().parent

    def _load(self) -> Policy | PolicyError:
        try:
            return load_policy(self.path)
        except PolicyError as error:
            return error


class StoreSource:
    """A store, of which the version that was activated last is in force."""

    def __init__(self, store: PolicyStore) -> None:
        self.store = store
        self._was_active = False

    def read(self) -> InForce:
        """The active version, or the built-in policy where none ever was, and the shadow."""
        standing = self.store.standing()
        if standing.active is None and self._was_active:
            # Files that are away for a moment, as when git changes branches, are no wish for the built-in policy.
            raise PolicyStoreError(
                "the store does not say any more which policy is in force; put it back, or activate another"
            )
        self._was_active = standing.active is not None
        if standing.active is None and standing.shadow is None:
            return InForce(default_policy())
        records = self.store.records()
        shadow = None if standing.shadow is None else self._find(records, standing.shadow)
        return InForce(default_policy() if standing.active is None else self._find(records, standing.active), shadow)

    @property
    def watched(self) -> Path | None:
        """The store's folder, if it is one."""
        return self.store.folder if isinstance(self.store, FolderStore) else None

    def _find(self, records: list[Record], version: str) -> Policy:
        broken = self.store.broken() if isinstance(self.store, FolderStore) else {}
        if version in broken:
            raise broken[version]
        return find(records, version).policy


class PolicyKeeper:
    """Holds what is in force. ``in_force`` may be read by any thread at any time; changes are made one at a time."""

    def __init__(self, source: PolicySource) -> None:
        self._source = source
        self._changing = threading.Lock()
        self.in_force = source.read()
        """What is in force now."""

    @property
    def watched(self) -> Path | None:
        """The folder to watch."""
        return self._source.watched

    @property
    def is_shared(self) -> bool:
        """Others may change what is in force without a word: the source is a database."""
        return isinstance(self._source, StoreSource) and self._source.watched is None

    def look(self) -> InForce | None:
        """What is to be in force from now on, if that is something else than what is.

        Raises:
            PolicyError: It can't be used. What is in force stays.
        """
        wanted, present = self._source.read(), self.in_force
        same = wanted.policy.version == present.policy.version and _version(wanted.shadow) == _version(present.shadow)
        return None if same else wanted

    def broken(self) -> dict[str, PolicyError]:
        """Files of the source's folder that can't be used, though nobody may want them now, and why."""
        source = self._source
        return (
            source.store.broken() if isinstance(source, StoreSource) and isinstance(source.store, FolderStore) else {}
        )

    def put(self, policy: Policy, author: str, reason: str) -> tuple[Record, bool]:
        """Stores a policy; its record, and whether it was there before."""
        with self._changing:
            return self._store().put(policy, author, reason)

    def records(self) -> list[Record]:
        """All there are, newest last. The built-in policy comes first."""
        stored = (
            self._source.store.records() if isinstance(self._source, StoreSource) else [Record(self.in_force.policy)]
        )
        known = {record.policy.sha256 for record in stored}
        built_in = [] if default_policy().sha256 in known else [Record(default_policy(), BUILT_IN)]
        return [*built_in, *stored]

    def find(self, wanted: str) -> Record:
        """The record of a version; "": the one in force.

        Raises:
            UnknownVersionError: There is none, or there are several.
        """
        if not wanted:
            return Record(self.in_force.policy)
        if wanted == BUILT_IN:
            wanted = default_policy().sha256
        return find(self.records(), wanted)

    def activations(self) -> list[Activation]:
        """What was put into force, newest first."""
        return list(reversed(self._standing().activations))

    def activate(self, wanted: str, author: str, reason: str) -> Record:
        """Has the source say that a version is in force. It is as soon as somebody looks."""
        with self._changing:
            return self._activate(wanted, author, reason, "activate")

    def roll_back(self, author: str, reason: str) -> Record:
        """Has the source say that the version before the present one is in force."""
        with self._changing:
            return self._activate(before(self._store().standing()), author, reason, "rollback")

    def try_out(self, wanted: str, author: str, reason: str) -> Record | None:
        """Has the source say that a version is in the shadow; "": none."""
        with self._changing:
            store = self._store()
            record = self._stored(wanted) if wanted else None
            store.try_out(record, author, reason)
            return record

    def _activate(self, wanted: str, author: str, reason: str, kind: Literal["activate", "rollback"]) -> Record:
        store = self._store()
        record = self._stored(wanted)
        store.activate(record, author, reason, kind)
        return record

    def _stored(self, wanted: str) -> Record:
        """The record of a version. The built-in policy is stored first: it may be another one in the next release."""
        record = self.find(wanted)
        if record.file == BUILT_IN:
            record, _ = self._store().put(record.policy, "tertium", "the built-in policy")
        return record

    def _store(self) -> PolicyStore:
        if not isinstance(self._source, StoreSource):
            raise PolicyStateError(
                "the server judges by the file of --policy and stores nothing; change the file, or run the server without the option"
            )
        return self._source.store

    def _standing(self) -> Standing:
        return self._source.store.standing() if isinstance(self._source, StoreSource) else Standing()


def _version(policy: Policy | None) -> str:
    return "" if policy is None else policy.version
