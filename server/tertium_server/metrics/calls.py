"""What gRPC's methods have counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tertium_server.metrics.latency import LatencyHistogram

_HANDLING_BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0, 3600.0, 86400.0)
"""Seconds. A Decide call lasts as long as its camera runs."""


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
    handling: LatencyHistogram = field(default_factory=lambda: LatencyHistogram(_HANDLING_BOUNDS))
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
