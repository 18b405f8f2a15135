"""Which tracks of one stream become decisions, and when: once a track has been MAYBE for long enough, or has ended.

Time is the caller's: how long a track was MAYBE is told by capture times, so a recording that is sent fast gives the cases that the camera would have
given. A track is decided once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tertium_server.review.values import Stratum, Verdict

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackNews:
    """Something that happened to a track, as far as review is concerned."""

    track_id: int
    class_id: int
    frame_index: int
    first_frame: int
    time: int
    """Capture time of the frame, nanoseconds."""
    verdict: Verdict
    """What the machine says from now on."""
    ended: bool
    """The track is over."""
    probability: float
    policy_version: str
    dismissed: bool = False
    """It ended without ever having left NO: the caller was never told of it."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A track that is decided."""

    news: TrackNews
    """What decided it."""
    stratum: Stratum
    delay: float = 0.0
    """Seconds from the track's first news to this, by capture times."""


class TrackWatch:
    """The tracks of one stream that may become cases. Used by one thread."""

    def __init__(self, open_after: Callable[[int], float]) -> None:
        self._open_after = open_after  # seconds, by class id
        self._maybes: dict[int, TrackNews] = {}
        self._decided: set[int] = set()
        self._begun: dict[int, int] = {}  # capture times of the first news, by track

    @property
    def waiting(self) -> bool:
        """Whether time alone may decide something."""
        return bool(self._maybes)

    def advance(self, time: int) -> list[Decided]:
        """The capture time has come this far (nanoseconds), with all news up to then taken."""
        due = [
            news for news in self._maybes.values()
            if time >= self._due(news)
        ]  # fmt: skip
        return [self._decide(news, Stratum.MAYBE, self._due(news)) for news in due]

    def take(self, news: TrackNews) -> list[Decided]:
        """News of a track, in the order in which it happened."""
        decided = self.advance(news.time)
        known = news.track_id in self._decided
        if not known:
            self._begun.setdefault(news.track_id, news.time)
        if news.ended:
            if not known:
                decided.append(self._decide(news, Stratum.of(news.verdict), news.time))
            self._decided.discard(news.track_id)
        elif news.verdict is not Verdict.MAYBE:
            self._maybes.pop(news.track_id, None)
        elif not known:
            self._maybes.setdefault(news.track_id, news)
        return decided

    def close(self) -> list[Decided]:
        """Nothing more will be heard of the stream: what is in doubt stays so."""
        return [self._decide(news, Stratum.MAYBE, news.time) for news in list(self._maybes.values())]

    def _due(self, news: TrackNews) -> float:
        """Capture time at which a track that is MAYBE since then becomes a case."""
        return news.time + self._open_after(news.class_id) * _NANOSECONDS

    def _decide(self, news: TrackNews, stratum: Stratum, time: float) -> Decided:
        self._maybes.pop(news.track_id, None)
        self._decided.add(news.track_id)
        delay = (time - self._begun.pop(news.track_id, news.time)) / _NANOSECONDS
        return Decided(news, stratum, max(0.0, delay))
