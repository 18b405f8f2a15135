"""What streams have counted, added up: those that are open, and those that were."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tertium_server.engine import EventReason, Verdict

OTHER = "other"
"""The label of groups and classes that are not on the list."""


class Rejection(IntEnum):
    """Labels ``reason`` of tertium_frames_rejected_total, as places in a list of counts."""

    LATE = 0
    DUPLICATE = 1
    GAP = 2
    """The stream was reset before the frame, which was taken all the same."""
    INVALID = 3
    OVERLOAD = 4
    """The frame or its message is over a limit."""


SHADOW_VERDICTS = max(Verdict) + 1
"""Places for a verdict in ``StreamCounts.shadowed``."""

_NO_CLOSINGS = {"THRESHOLD", "POLICY_CHANGED", "ZONE_CHANGED"}
_CLOSINGS = tuple(reason for reason in EventReason if reason.name not in _NO_CLOSINGS)
_VERDICTS = tuple(Verdict)


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """What one stream has counted so far."""

    frames: int = 0
    """Frames received, refused ones too."""

    rejected: Sequence[int] = (0,) * len(Rejection)
    """By :class:`Rejection`."""

    tracks: int = 0
    """Tracks alive now."""

    decided: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Detections decided, by name of class, then by number of verdict (place 0 is unused)."""

    closed: Sequence[int] = (0,) * (max(EventReason) + 1)
    """Tracks ended, by number of EventReason."""

    shadowed: Mapping[str, Sequence[int]] = field(default_factory=dict[str, Sequence[int]])
    """Detections that a policy in the shadow has judged, too, by name of class, then by SHADOW_VERDICTS · verdict + the shadow's verdict."""


class CountedStream(Protocol):
    """A stream that can say what it has counted."""

    @property
    def group(self) -> str:
        """The group the caller named."""
        ...

    def counts(self) -> StreamCounts:
        """Its counts. May be called from another thread; no count ever falls."""
        ...


@dataclass(slots=True)
class _Totals:
    """Sums over streams, with a place for every label there is."""

    frames: dict[str, int]
    rejected: dict[str, list[int]]
    decided: dict[str, list[int]]
    closed: list[int]
    shadowed: dict[str, list[int]]
    streams: dict[str, int]
    tracks: dict[str, int]

    @classmethod
    def zero(cls, groups: Iterable[str], classes: Iterable[str]) -> _Totals:
        groups, classes = tuple(groups), tuple(classes)
        return cls(
            frames=dict.fromkeys(groups, 0),
            rejected={group: [0] * len(Rejection) for group in groups},
            decided={name: [0] * (max(Verdict) + 1) for name in classes},
            closed=[0] * (max(EventReason) + 1),
            shadowed={name: [0] * SHADOW_VERDICTS**2 for name in classes},
            streams=dict.fromkeys(groups, 0),
            tracks=dict.fromkeys(groups, 0),
        )

    def add(self, group: str, counts: StreamCounts) -> None:
        """Adds what a stream has counted; a class or group that is not on the list counts as "other"."""
        group = group if group in self.frames else OTHER
        self.frames[group] += counts.frames
        _add_each(self.rejected[group], counts.rejected)
        for name, verdicts in counts.decided.items():
            _add_each(self.decided.get(name, self.decided[OTHER]), verdicts)
        _add_each(self.closed, counts.closed)
        for name, pairs in counts.shadowed.items():
            _add_each(self.shadowed.get(name, self.shadowed[OTHER]), pairs)

    def add_active(self, group: str, counts: StreamCounts) -> None:
        """Adds a stream that is still open."""
        self.add(group, counts)
        group = group if group in self.frames else OTHER
        self.streams[group] += 1
        self.tracks[group] += counts.tracks

    def copy(self) -> _Totals:
        return _Totals(
            dict(self.frames),
            {group: list(counts) for group, counts in self.rejected.items()},
            {name: list(counts) for name, counts in self.decided.items()},
            list(self.closed),
            {name: list(counts) for name, counts in self.shadowed.items()},
            dict(self.streams),
            dict(self.tracks),
        )


def _add_each(totals: list[int], counts: Sequence[int]) -> None:
    for place, count in enumerate(counts):
        totals[place] += int(count)


class StreamMetrics(Collector):
    """Adds up what streams have counted: those that are open, and those that were."""

    def __init__(self, groups: Iterable[str], classes: Iterable[str]) -> None:
        self._retired = _Totals.zero(dict.fromkeys((*groups, OTHER)), dict.fromkeys((*classes, OTHER)))
        self._active: set[CountedStream] = set()
        self._lock = threading.Lock()

    def enter(self, stream: CountedStream) -> None:
        """Counts a stream as open from now on."""
        with self._lock:
            self._active.add(stream)

    def retire(self, stream: CountedStream) -> None:
        """Keeps what a stream has counted, which counts no further. A second time changes nothing."""
        with self._lock:
            if stream in self._active:
                self._active.remove(stream)
                self._retired.add(stream.group, stream.counts())

    def absorb(self, group: str, counts: StreamCounts) -> None:
        """Adds what a stream has counted that was never open."""
        with self._lock:
            self._retired.add(group, counts)

    def active(self) -> list[CountedStream]:
        """The streams that are open. May be called by any thread."""
        with self._lock:
            return list(self._active)

    def collect(self) -> Iterator[Metric]:
        """The families, one snapshot of all streams."""
        with self._lock:
            totals = self._retired.copy()
            for stream in self._active:
                totals.add_active(stream.group, stream.counts())
        yield from self._gauges(totals)
        yield from self._frames(totals)
        yield from self._decisions(totals)
        yield self._shadowed(totals)

    @staticmethod
    def _gauges(totals: _Totals) -> Iterator[Metric]:
        streams = GaugeMetricFamily("tertium_streams_active", "Streams that are open.", labels=["group"])
        tracks = GaugeMetricFamily("tertium_tracks_active", "Tracks alive, candidates included.", labels=["group"])
        for group, count in totals.streams.items():
            streams.add_metric([group], count)
            tracks.add_metric([group], totals.tracks[group])
        yield streams
        yield tracks

    @staticmethod
    def _frames(totals: _Totals) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "tertium_frames_received", "Frames received, refused ones too.", labels=["group"]
        )
        rejected = CounterMetricFamily(
            "tertium_frames_rejected",
            "Frames refused; gap: frames that were taken after the stream had to be reset.",
            labels=["group", "reason"],
        )
        for group, count in totals.frames.items():
            received.add_metric([group], count)
            for reason in Rejection:
                rejected.add_metric([group, reason.name.lower()], totals.rejected[group][reason])
        yield received
        yield rejected

    @staticmethod
    def _decisions(totals: _Totals) -> Iterator[Metric]:
        detections = CounterMetricFamily(
            "tertium_detections_received", "Detections received in frames that were taken.", labels=["class"]
        )
        decisions = CounterMetricFamily(
            "tertium_decisions", "Verdicts on boxes, as the machine gave them.", labels=["class", "verdict", "reason"]
        )
        for name, counts in totals.decided.items():
            detections.add_metric([name], sum(counts))
            for verdict in _VERDICTS:
                decisions.add_metric([name, verdict.name.lower(), "threshold"], counts[verdict])
        closed = CounterMetricFamily(
            "tertium_tracks_closed", "Tracks that are over, candidates included.", labels=["reason"]
        )
        for reason in _CLOSINGS:
            closed.add_metric([reason.name.lower()], totals.closed[reason])
        yield detections
        yield decisions
        yield closed

    @staticmethod
    def _shadowed(totals: _Totals) -> Metric:
        family = CounterMetricFamily(
            "tertium_shadow_decisions",
            "Verdicts on boxes, as sent and as the policy in the shadow would have given them.",
            labels=["class", "active", "shadow"],
        )
        for name, pairs in totals.shadowed.items():
            for active in _VERDICTS:
                for shadow in _VERDICTS:
                    count = pairs[SHADOW_VERDICTS * active + shadow]
                    family.add_metric([name, active.name.lower(), shadow.name.lower()], count)
        return family
