"""What a bridge asks of a labelling tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tertium_server.errors import TertiumError
from tertium_server.review.values import Answer

Percent = tuple[float, float, float, float]
"""x, y, width, height in percent of a picture's sides."""


class ToolError(TertiumError):
    """A tool is away, or refused something. The message says what, and the remedy where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A case as a tool shows it: nothing of what the machine thinks."""

    case_id: str
    class_name: str
    stream_id: str
    score: float
    """Least first, 0 to 1."""
    picture: bytes
    """JPEG."""
    box: Percent | None
    """Where the track is on it."""
    film: bytes | None = None
    """JPEG: the track at other times, side by side."""


@dataclass(frozen=True, slots=True)
class TaskAnswers:
    """What stands on a task: who has taken an answer back is not in it."""

    external_id: str
    case_id: str
    answers: dict[str, Answer]
    """By person, as the tool numbers them."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Tasks that changed after a moment, and the moment to ask from the next time."""

    tasks: Sequence[TaskAnswers]
    cursor: str


class Tool(Protocol):
    """A labelling tool. All methods raise ToolError where it is away, and may be called again after that."""

    name: str
    """At most 16 characters: votes and tasks are kept under it."""

    def push(self, task: Task) -> str:
        """Makes a task; its id."""
        ...

    def find(self, case_id: str) -> str | None:
        """The id of a case's task that is there already."""
        ...

    def changes(self, since: str) -> Changes:
        """What changed since a cursor; "": everything there is."""
        ...

    def answers(self, external_id: str) -> TaskAnswers | None:
        """One task; None: it is gone."""
        ...

    def withdraw(self, external_id: str) -> None:
        """Takes a task away; one that is gone is taken away."""
        ...

    def close(self) -> None:
        """Gives connections up."""
        ...
