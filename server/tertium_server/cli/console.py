"""The terminal: standard error for people, so that standard output stays for data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@cache
def messages() -> Console:
    """The console on standard error. Colours and moving parts only where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415  # rich is slow to load

    return Console(stderr=True, highlight=False)


def plain(text: str) -> str:
    """Somebody's own words, such as names and paths, for what is printed: brackets in them are no styles."""
    from rich.markup import escape  # noqa: PLC0415  # rich is slow to load

    return escape(text)


class Bar:
    """A progress bar over frames; without a terminal it shows nothing."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress = progress
        self._task = task

    def name(self, what: str) -> None:
        """What is worked on now."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=plain(what))

    def advance(self, frames: int) -> None:
        """So many more frames are done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, frames)


@contextlib.contextmanager
def progress_of(frames: int) -> Generator[Bar]:
    """A bar over so many frames on standard error, gone when done."""
    console = messages()
    if not console.is_terminal:
        yield Bar()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("frames"))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task("", total=frames))


@contextlib.contextmanager
def waiting(what: str) -> Generator[Callable[[str], None]]:
    """Says on the terminal what takes so long; what is yielded changes the words."""
    console = messages()
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(what) as status:
        yield status.update


@contextlib.contextmanager
def steps_of(what: str) -> Generator[Callable[[str, int, int], None]]:
    """A bar over steps, gone when done; what is yielded is told what is done now, and how many of how many steps are done."""
    console = messages()
    if not console.is_terminal:
        yield lambda _what, _done, _all: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def say(what: str, done: int, steps: int) -> None:
            progress.update(task, description=plain(what), completed=done, total=steps)

        yield say
