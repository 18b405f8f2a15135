"""All instruments of one server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from tertium_server.metrics.calls import CallMetrics
from tertium_server.metrics.latency import LatencyHistogram
from tertium_server.metrics.policies import PolicyLabels, PolicyMetrics
from tertium_server.metrics.streams import StreamMetrics

_FUSION_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: upper bounds of the buckets of tertium_fusion_latency_seconds."""


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
        self.fusion_latency = LatencyHistogram(_FUSION_BOUNDS)
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
