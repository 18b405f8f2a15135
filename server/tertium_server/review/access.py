"""Who may do what: tokens, the names they stand for, and their roles."""

from __future__ import annotations

import hashlib
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from tertium_server.errors import DeniedError, StartError, UnauthenticatedError
from tertium_server.storage.once import write_once

_TOKEN_FILE = "review-token"  # noqa: S105 - a file's name
_TOKEN_BYTES = 24
_SHORTEST_TOKEN = 16
_MOST_NAME = 256


class Role(StrEnum):
    """What a caller may do."""

    INGEST = "ingest"
    """Send frames."""
    REVIEW = "review"
    """Lease cases, look at their evidence, vote."""
    ADMIN = "admin"
    """List, watch, withdraw, delete and export."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are."""

    name: str
    roles: frozenset[Role]

    def require(self, role: Role) -> None:
        """Passes if the caller has a role; an administrator may do what reviewers may.

        Raises:
            DeniedError: It has not.
        """
        if role not in self.roles and not (role is Role.REVIEW and Role.ADMIN in self.roles):
            raise DeniedError(f"{self.name} has not the role {role.value}")


class Gate:
    """Knows tokens by their hashes."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = dict(callers)

    def identify(self, token: str) -> Caller:
        """The caller of a token.

        Raises:
            UnauthenticatedError: It is nobody's.
        """
        caller = self._callers.get(_hash(token)) if token else None
        if caller is None:
            raise UnauthenticatedError("no token, or one that is not known; show one as: authorization: Bearer TOKEN")
        return caller

    @classmethod
    def of_file(cls, path: Path) -> Gate:
        """The gate of a file of tokens: TOML, one table ``[tokens.NAME]`` each, with ``roles`` and ``sha256``.

        Raises:
            StartError: The file can't be used; the message names the entry.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise StartError(f"--tokens {path}: can't be read: {error}") from error
        entries = content.get("tokens", {})
        if not isinstance(entries, dict) or not entries:
            raise StartError(f"--tokens {path}: names nobody; write [tokens.NAME] with roles and sha256")
        return cls(dict(_entry(path, str(name), entry) for name, entry in entries.items()))

    @classmethod
    def of_folder(cls, folder: Path) -> Gate:
        """The gate of a data folder with one token for everything, made at the first start.

        Raises:
            StartError: The folder can't be written, or the token in it not be read.
        """
        try:
            token = make_or_read_token(folder)
        except OSError as error:
            raise StartError(f"{folder / _TOKEN_FILE}: can't be made or read: {error.strerror}") from error
        return cls({_hash(token): Caller("reviewer", frozenset(Role))})


def make_or_read_token(folder: Path) -> str:
    """The token of a data folder; its file is for its owner's eyes only.

    Raises:
        OSError: The file can't be made or read.
        StartError: It holds no token.
    """
    path = folder / _TOKEN_FILE
    if not path.exists():
        write_once(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode())
    token = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(token) < _SHORTEST_TOKEN:  # an empty one would be that of everybody who shows none
        raise StartError(
            f"{path}: holds {len(token)} characters, a token has {_SHORTEST_TOKEN} or more; delete the file, and another is made"
        )
    return token


def entry_for(token: str, name: str, roles: list[Role]) -> str:
    """What a file of tokens says of a token."""
    quoted = ", ".join(f'"{role.value}"' for role in roles)
    return f'[tokens."{name}"]\nroles = [{quoted}]\nsha256 = "{_hash(token)}"\n'


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _entry(path: Path, name: str, entry: Any) -> tuple[str, Caller]:  # noqa: ANN401 - whatever a file holds
    where = f"--tokens {path}: tokens.{name}"
    if not isinstance(entry, dict) or set(entry) != {"roles", "sha256"}:
        raise StartError(f"{where}: has to have roles and sha256, and nothing else")
    digest, roles = entry["sha256"], entry["roles"]
    if (
        not isinstance(digest, str)
        or len(digest) != 2 * hashlib.sha256().digest_size
        or set(digest) - set("0123456789abcdef")
    ):
        raise StartError(
            f"{where}.sha256: has to be 64 lower-case hexadecimal digits, as `tertium review token` prints them"
        )
    known = [role.value for role in Role]
    if not isinstance(roles, list) or not roles or any(role not in known for role in roles):
        raise StartError(f"{where}.roles: has to name some of {', '.join(known)}")
    if not name.isprintable() or len(name) > _MOST_NAME:
        raise StartError(f"{where}: a name has at most {_MOST_NAME} printable characters")
    return digest, Caller(name, frozenset(Role(role) for role in roles))
