"""Reviewers at work: each takes cases from the queue and answers them as the world's people do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tertium_server.rpc.review_client import LeasedCase, ReviewClient

from .playing import TrackBook
from .reviewing import reply
from .world import World

_POLL = 0.1
"""Seconds until an empty queue is asked again."""

_PATIENCE = 10
"""Times that the queue has to be empty, once the cameras have ended, before a reviewer goes home."""

_AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class Answers:
    """What one reviewer said."""

    counts: Counter[str] = field(default_factory=Counter[str])
    """Votes by answer."""

    errors: list[int] = field(default_factory=lambda: [0])
    """One number: votes that were wrong."""

    @property
    def total(self) -> int:
        """All votes."""
        return sum(self.counts.values())


class Reviewer:
    """One of the people: `work` in a thread of its own."""

    def __init__(self, world: World, number: int, book: TrackBook, clock: Callable[[], float]) -> None:
        self.answers = Answers()
        self._world = world
        self._number = number
        self._book = book
        self._clock = clock
        self._free_at = 0.0

    def work(self, desk: ReviewClient, ended: threading.Event, stop: threading.Event) -> None:
        """Answers cases until the cameras have ended and nothing waits; or, where a case takes time, until the cameras have ended.

        Raises:
            CallError: the server refused, or is gone.
        """
        pending: list[LeasedCase] = []
        empty = 0
        seconds = self._world.reviewers.seconds
        while not stop.is_set() and empty < _PATIENCE and not (seconds and ended.is_set()):
            if seconds and self._clock() < self._free_at:
                stop.wait(_POLL)
                continue
            if not pending:
                pending = desk.lease(1 if seconds else _AT_A_TIME)
            left = [case for case in pending if not self._answer(desk, case)]
            answered = len(left) < len(pending)
            pending = left
            if not answered:
                empty += ended.is_set()
                ended.wait(_POLL) if not ended.is_set() else stop.wait(_POLL)
            else:
                empty = 0
        for case in pending:
            desk.release(case)

    def _answer(self, desk: ReviewClient, case: LeasedCase) -> bool:
        """Whether the case could be answered: the camera may not have heard of its track yet."""
        real = self._book.is_real(case.track_id)
        if real is None:
            return False
        said = reply(self._world, self._number, case.case_id, real=real).value
        desk.vote(case, said)
        self.answers.counts[said] += 1
        self.answers.errors[0] += said == ("no" if real else "yes")
        self._free_at = max(self._free_at, self._clock()) + self._world.reviewers.seconds
        return True
