"""Policies as plain files in a folder, for people who keep them in git.

Every ``*.yaml`` of the folder is a policy. Those that were stored by ``put`` are named NUMBER-HASH.yaml, and must not be changed; others are
anybody's. ``active.json`` says which is in force, by version or file name, which was before, and which is in the shadow. Without it, the only
file of another name is in force.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from tertium_server.policy.errors import PolicyError, PolicyStoreError
from tertium_server.policy.file import dump_policy, load_policy
from tertium_server.policy.model import Policy
from tertium_server.policy.store.values import (
    REMEMBERED_ACTIVATIONS,
    Activation,
    Record,
    Standing,
    now,
    numbered,
)

ACTIVE_FILE = "active.json"
_LOCK_FILE = ".lock"
_STORED = re.compile(r"(?P<number>\d{4,})-(?P<digits>[0-9a-f]{12})\.yaml")


class FolderStore:
    """A folder of policies. Several servers may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, int, int], Record | PolicyError]] = {}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def put(self, policy: Policy, author: str, reason: str) -> tuple[Record, bool]:
        """Stores a policy under the next number; see PolicyStore."""
        with self._locked():
            records = self.records()
            known = next((record for record in records if record.policy.sha256 == policy.sha256), None)
            if known is not None:
                return known, True
            highest = max((record.policy.number for record in records), default=0)
            stored = numbered(policy, highest + 1, author, reason)
            name = f"{stored.number:04d}-{stored.sha256[:12]}.yaml"
            self._write(name, dump_policy(stored))
            return Record(stored, name), False

    def records(self) -> list[Record]:
        """All policies of the folder that can be used, by number and name."""
        found = [record for record in self._all().values() if isinstance(record, Record)]
        return sorted(found, key=lambda record: (record.policy.number, record.file))

    def broken(self) -> dict[str, PolicyError]:
        """Files that can't be used, and why."""
        return {path.name: error for path, error in self._all().items() if isinstance(error, PolicyError)}

    def standing(self) -> Standing:
        """What ``active.json`` says."""
        try:
            text = (self._folder / ACTIVE_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return self._standing_alone()
        except OSError as error:
            raise self._failed("read", ACTIVE_FILE, error) from error
        try:
            return _standing(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PolicyStoreError(
                f'{self._folder / ACTIVE_FILE}: is not of the form {{"active": VERSION or FILE}}: {error}'
            ) from error

    def activate(self, record: Record, author: str, reason: str, kind: Literal["activate", "rollback"]) -> None:
        """Puts a version into force; see PolicyStore."""
        with self._locked():
            standing = self.standing()
            activation = Activation(record.version, now(), author, reason, kind)
            activations = (*standing.activations, activation)[-REMEMBERED_ACTIVATIONS:]
            self._write_standing(Standing(record.version, standing.shadow, activations))

    def try_out(self, record: Record | None, author: str, reason: str) -> None:
        """Puts a version into the shadow; see PolicyStore."""
        del author, reason  # git, or the file's date, knows
        with self._locked():
            standing = self.standing()
            self._write_standing(
                Standing(standing.active, None if record is None else record.version, standing.activations)
            )

    def _standing_alone(self) -> Standing:
        # What was put is not in force before somebody says so.
        paths = [path for path in self._paths() if _STORED.fullmatch(path.name) is None]
        if len(paths) > 1:
            raise PolicyStoreError(
                f"{self._folder} holds {len(paths)} policies and no {ACTIVE_FILE} that says which is in force; "
                f'write {{"active": "{paths[0].name}"}} there'
            )
        return Standing(paths[0].name if paths else None)

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            # A volume that is away holds no policies either, but that is no reason to judge by another one.
            raise PolicyStoreError(f"{self._folder}: is not there, or is no folder; bring it back, or name another")
        try:
            return sorted(path for path in self._folder.glob("*.yaml") if not path.name.startswith("."))
        except OSError as error:
            raise self._failed("read", "", error) from error

    def _all(self) -> dict[Path, Record | PolicyError]:
        """Every file, read once for as long as it stays the same."""
        read: dict[Path, tuple[tuple[int, int, int], Record | PolicyError]] = {}
        for path in self._paths():
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # gone since the folder was listed
            mark = (status.st_ino, status.st_mtime_ns, status.st_size)
            before = self._read.get(path)
            read[path] = before if before is not None and before[0] == mark else (mark, _read_record(path))
        self._read = read
        return {path: record for path, (_, record) in read.items()}

    def _write_standing(self, standing: Standing) -> None:
        content = {
            "active": standing.active,
            "shadow": standing.shadow,
            "activations": [asdict(each) for each in standing.activations],
        }
        self._write(ACTIVE_FILE, json.dumps(content, indent=1) + "\n")

    def _write(self, name: str, text: str) -> None:
        """A file that is there whole, or not at all, whenever the machine stops."""
        temporary = self._folder / f".{name}.{os.getpid()}"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / name)
            directory = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise self._failed("written", name, error) from error

    @contextmanager
    def _locked(self) -> Generator[None]:
        """Only one server at a time changes the folder. The lock ends with the process that holds it."""
        try:
            file = (self._folder / _LOCK_FILE).open("a")
        except OSError as error:
            raise self._failed("written", _LOCK_FILE, error) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _failed(self, what: str, name: str, error: OSError) -> PolicyStoreError:
        return PolicyStoreError(f"{self._folder / name}: can't be {what}: {error.strerror}")


def _read_record(path: Path) -> Record | PolicyError:
    try:
        policy = load_policy(path)
    except PolicyError as error:
        return error
    stored = _STORED.fullmatch(path.name)
    if stored is not None and not policy.sha256.startswith(stored["digits"]):
        return PolicyStoreError(
            f"{path}: was changed after it was stored, which its name says; put the change as a version of its own, "
            f"and this file back to what it was"
        )
    if stored is not None and policy.number != int(stored["number"]):
        return PolicyStoreError(f"{path}: has number {policy.number}, unlike its name; put it back to what it was")
    return Record(policy, path.name)


def _standing(content: Any) -> Standing:  # noqa: ANN401 - whatever is in the file
    active, shadow = content.get("active"), content.get("shadow")
    for name, value in (("active", active), ("shadow", shadow)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} has to be a version or the name of a file")
    return Standing(active, shadow, tuple(Activation(**each) for each in content.get("activations", ())))
