"""What can be wrong with a policy.

PolicyError                 a policy can't be used
    UnknownVersionError     no stored policy has this version
    PolicyStateError        there is nothing to change, or to go back to
    PolicyStoreError        a store refuses, can't be read or can't be written
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a policy file."""

    field: str
    """Path of the field: "classes.person.track.thresholds.yes"."""

    line: int
    """Line of the file it is on, from 1; 0 where there is none."""

    message: str
    """What is wrong and what to do."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.message}" if self.line else f"{self.field}: {self.message}"


class PolicyError(ValueError):
    """A policy can't be used. The message names the file, the field and the remedy."""

    def __init__(self, message: str, source: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.source = source
        """The file."""
        self.problems = tuple(problems)
        """All that is wrong with it; empty where it could not be read at all."""

    @classmethod
    def of(cls, source: str, problems: Sequence[Problem]) -> PolicyError:
        """The error about some fields of a file."""
        return cls(f"{source}: " + "; ".join(str(problem) for problem in problems), source, problems)


class UnknownVersionError(PolicyError):
    """No stored policy has this version."""


class PolicyStateError(PolicyError):
    """There is nothing to change, or to go back to."""


class PolicyStoreError(PolicyError):
    """A store refuses, can't be read or can't be written."""
