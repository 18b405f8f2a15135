"""What Prometheus is told: one ``Metrics(registry)``, made in app.py.

Nothing is counted through prometheus_client while frames are handled. Streams, calls and histograms hold plain integers; collectors add them up when
somebody scrapes. A stream that ends leaves its counts behind as totals, in the same breath as it disappears from the active ones, so that no counter
ever falls. All label values come from bounded sets and exist from the start with 0: a counter that is born at 20 adds nothing to ``increase()``.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tertium_server.engine import EventReason, Verdict

OTHER = "other"
"""The label of groups and classes that are not on the list."""

FUSION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: upper bounds of the buckets of tertium_fusion_latency_seconds."""

HANDLING_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Seconds: of grpc_server_handling_seconds. A Decide call lasts as long as its camera runs."""


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


class LatencyHistogram:
    """Counts of durations by bucket, as plain integers. One thread observes; any may read. It belongs to one family, with one set of labels."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._series: list[tuple[str, dict[str, str]]] = []

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Adds the cumulative buckets to a family: the same one each time."""
        total = self._sum
        counts = list(accumulate(self._counts))
        if self._series:
            # Names and labels are those of the first time: making them is most of what a scrape would cost.
            values = (*counts, counts[-1], total)
            family.samples.extend([Sample(*name, value) for name, value in zip(self._series, values, strict=True)])
            return
        bounds = [*map(repr, self._bounds), "+Inf"]
        family.add_metric(labels, buckets=list(zip(bounds, counts, strict=True)), sum_value=total)
        self._series = [(sample.name, sample.labels) for sample in family.samples[-len(bounds) - 2 :]]


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


@dataclass(slots=True)
class MethodCounts:
    """What one gRPC method has counted. Written by the event loop's thread only."""

    grpc_type: str
    """unary, client_stream, server_stream or bidi_stream."""

    service: str
    """Full name of the service."""

    method: str
    """Name of the method."""

    handled: dict[str, int]
    """Calls that ended, by the name Go gives the status code."""

    started: int = 0
    received: int = 0
    sent: int = 0
    handling: LatencyHistogram = field(default_factory=lambda: LatencyHistogram(HANDLING_BOUNDS))
    codes: tuple[dict[str, str], ...] = ()
    """Labels of what ``handled`` counts, in its order."""

    def __post_init__(self) -> None:
        own = {"grpc_type": self.grpc_type, "grpc_service": self.service, "grpc_method": self.method}
        self.codes = tuple({**own, "grpc_code": code} for code in self.handled)


class CallMetrics(Collector):
    """The standard gRPC set, with the names and labels of go-grpc-prometheus."""

    def __init__(self, codes: Iterable[str]) -> None:
        self._codes = tuple(codes)
        self._methods: list[MethodCounts] = []

    def method(self, grpc_type: str, service: str, method: str) -> MethodCounts:
        """Makes the counts of a method known to this server; all of them at 0."""
        counts = MethodCounts(grpc_type, service, method, dict.fromkeys(self._codes, 0))
        self._methods.append(counts)
        return counts

    def collect(self) -> Iterator[Metric]:
        """The families."""
        labels = ["grpc_type", "grpc_service", "grpc_method"]
        started = CounterMetricFamily("grpc_server_started", "Calls started on the server.", labels=labels)
        received = CounterMetricFamily("grpc_server_msg_received", "Messages received by the server.", labels=labels)
        sent = CounterMetricFamily("grpc_server_msg_sent", "Messages sent by the server.", labels=labels)
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls ended on the server, by status code.", labels=[*labels, "grpc_code"]
        )
        handling = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Seconds from the start of a call to its end.", labels=labels
        )
        for counts in list(self._methods):
            values = [counts.grpc_type, counts.service, counts.method]
            started.add_metric(values, counts.started)
            received.add_metric(values, counts.received)
            sent.add_metric(values, counts.sent)
            handled.samples.extend(
                Sample("grpc_server_handled_total", *labelled)
                for labelled in zip(counts.codes, list(counts.handled.values()), strict=True)
            )
            counts.handling.add_to(handling, values)
        yield from (started, handled, received, sent, handling)


@dataclass(frozen=True, slots=True)
class PolicyLabels:
    """The policy in force, for tertium_policy_info."""

    policy: str
    """Its name."""

    version: str
    """Its version."""

    sha: str
    """Hash of its content."""

    loaded: float
    """When it was loaded, seconds since the Unix epoch."""


class _ServerInfo(Collector):
    """What does not change while the server runs, and the latency of messages."""

    def __init__(self, version: str, revision: str, fusion: LatencyHistogram) -> None:
        self._build = {"version": version, "revision": revision}
        self._fusion = fusion

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("tertium_build", "The server that runs.", value=self._build)
        fusion = HistogramMetricFamily(
            "tertium_fusion_latency_seconds",
            "Seconds from a message of frames, received, to its answer, ready to be sent.",
        )
        self._fusion.add_to(fusion, [])
        yield fusion


class PolicyMetrics(Collector):
    """The policy in force, and how often it was to be changed. Written by the event loop's thread only."""

    def __init__(self, policy: PolicyLabels) -> None:
        self._policy = policy
        self._applied = 0
        self._refused = 0

    def apply(self, policy: PolicyLabels) -> None:
        """Another policy, or another in its shadow, came into force."""
        self._policy = policy
        self._applied += 1

    def refuse(self) -> None:
        """A policy could not be used, and the old one stayed."""
        self._refused += 1

    def collect(self) -> Iterator[Metric]:
        """The families."""
        policy = {"policy": self._policy.policy, "version": self._policy.version, "sha": self._policy.sha}
        yield InfoMetricFamily("tertium_policy", "The policy in force.", value=policy)
        yield GaugeMetricFamily(
            "tertium_policy_loaded_timestamp_seconds",
            "When the policy in force was loaded, Unix time.",
            value=self._policy.loaded,
        )
        reloads = CounterMetricFamily(
            "tertium_policy_reloads",
            "Policies, in force or in the shadow, that were changed while the server ran; refused: the old one stayed.",
            labels=["result"],
        )
        reloads.add_metric(["applied"], self._applied)
        reloads.add_metric(["refused"], self._refused)
        yield reloads


class _RecordingMetrics(Collector):
    """What the recorder could not write. Only a server that records has these."""

    def __init__(self, lost_frames: Callable[[], int], pending_bytes: Callable[[], int]) -> None:
        self._lost_frames = lost_frames
        self._pending_bytes = pending_bytes

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(
            "tertium_recording_lost_frames",
            "Frames that were decided and not recorded: the disk was too slow, or failed.",
            value=self._lost_frames(),
        )
        yield GaugeMetricFamily(
            "tertium_recording_pending_bytes", "Bytes that wait to be recorded.", value=self._pending_bytes()
        )


class Metrics:
    """All instruments of one server."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        version: str,
        revision: str,
        policy: PolicyLabels,
        groups: Iterable[str],
        classes: Iterable[str],
        codes: Iterable[str],
    ) -> None:
        disable_created_metrics()
        self.registry = registry
        self.streams = StreamMetrics(groups, classes)
        self.calls = CallMetrics(codes)
        self.fusion_latency = LatencyHistogram(FUSION_BOUNDS)
        self.policy = PolicyMetrics(policy)
        for collector in (
            _ServerInfo(version, revision, self.fusion_latency),
            self.policy,
            self.streams,
            self.calls,
        ):
            registry.register(collector)
        ProcessCollector(registry=registry)

    def watch_recorder(self, lost_frames: Callable[[], int], pending_bytes: Callable[[], int]) -> None:
        """Adds the instruments of a server that records."""
        self.registry.register(_RecordingMetrics(lost_frames, pending_bytes))
