"""What stores hold, and what every store can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from tertium_server.policy.check import suggestion
from tertium_server.policy.errors import PolicyStateError, UnknownVersionError
from tertium_server.policy.model import About, Policy

BUILT_IN = "built-in"
"""In place of a version: the policy that ships with the server."""

REMEMBERED_ACTIVATIONS = 100
_FEWEST_DIGITS = 4
_MOST_DIGITS = 19
"""Of a number: those of 2^63."""


@dataclass(frozen=True, slots=True)
class Record:
    """A stored policy."""

    policy: Policy
    """The policy, with its number and who stored it."""

    file: str = ""
    """The name of its file, in a folder."""

    @property
    def version(self) -> str:
        """What decisions are stamped with."""
        return self.policy.version


@dataclass(frozen=True, slots=True)
class Activation:
    """A version was put into force."""

    version: str
    at: str
    """ISO 8601, UTC."""
    author: str
    reason: str
    kind: Literal["activate", "rollback"] = "activate"


@dataclass(frozen=True, slots=True)
class Standing:
    """Which versions stand where. Versions are as stored: of a folder, perhaps the name of a file."""

    active: str | None = None
    """In force; None: the built-in policy."""
    shadow: str | None = None
    """Tried in its shadow."""
    activations: Sequence[Activation] = ()
    """Newest last."""


class PolicyStore(Protocol):
    """A store. Every method may be called from any thread, and raises PolicyStoreError where the store is away or holds something that it can't.

    ``activate`` and ``try_out`` happen at once or not at all, whenever the process or the machine stops.
    """

    def put(self, policy: Policy, author: str, reason: str) -> tuple[Record, bool]:
        """Stores a policy under the next number. Of one that is stored already: its record, and True."""
        ...

    def records(self) -> list[Record]:
        """All stored policies, by number."""
        ...

    def standing(self) -> Standing:
        """Which versions stand where."""
        ...

    def activate(self, record: Record, author: str, reason: str, kind: Literal["activate", "rollback"]) -> None:
        """Puts a version into force."""
        ...

    def try_out(self, record: Record | None, author: str, reason: str) -> None:
        """Puts a version into the shadow; None: none."""
        ...


def find(records: Iterable[Record], wanted: str) -> Record:
    """The record of a version, its number, digits of its hash (at least four), or its file.

    Raises:
        UnknownVersionError: There is none, or there are several.
    """
    records = list(records)
    tests: tuple[Callable[[Record], bool], ...] = (
        lambda record: wanted in {record.version, record.policy.sha256, record.file},
        lambda record: wanted.isdecimal() and len(wanted) <= _MOST_DIGITS and record.policy.number == int(wanted),
        lambda record: len(wanted) >= _FEWEST_DIGITS and record.policy.sha256.startswith(wanted),
    )
    for test in tests:
        # Of files with the same content, any will do.
        found = {record.policy.sha256: record for record in records if test(record)}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise UnknownVersionError(f'"{wanted}" may be any of {", ".join(each.version for each in found.values())}')
    known = [name for record in records for name in (record.version, record.file) if name]
    raise UnknownVersionError(f'there is no policy "{wanted[:64]}"; {suggestion(wanted, known)}')


def before(standing: Standing) -> str:
    """The version that a rollback leads to: the one before that in force, rollbacks undone.

    Raises:
        PolicyStateError: Nothing was ever put into force.
    """
    if not standing.activations:
        raise PolicyStateError("there is nothing to roll back to: no version was ever put into force")
    stack: list[str] = []
    for activation in standing.activations:
        if activation.kind == "rollback" and stack:
            stack.pop()
        if not stack or stack[-1] != activation.version:
            stack.append(activation.version)
    return stack[-2] if len(stack) > 1 else BUILT_IN


def numbered(policy: Policy, number: int, author: str, reason: str) -> Policy:
    """The policy as it is stored."""
    about = About(author=author, reason=reason, created=now())
    return policy.model_copy(update={"number": number, "about": about})


def now() -> str:
    """The time, as stores write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
