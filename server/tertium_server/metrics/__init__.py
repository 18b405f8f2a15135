"""What Prometheus is told: one ``Metrics(registry)`` for a server.

Nothing is counted through prometheus_client while frames are handled. Streams, calls and histograms hold plain integers; collectors add them up when
somebody scrapes. A stream that ends leaves its counts behind as totals, in the same breath as it disappears from the active ones, so that no counter
ever falls. All label values come from bounded sets and exist from the start with 0: a counter that is born at 20 adds nothing to ``increase()``.
"""

from tertium_server.metrics.calls import CallMetrics, MethodCounts
from tertium_server.metrics.latency import LatencyHistogram
from tertium_server.metrics.policies import PolicyLabels, PolicyMetrics
from tertium_server.metrics.server import Metrics
from tertium_server.metrics.streams import (
    OTHER,
    SHADOW_VERDICTS,
    CountedStream,
    Rejection,
    StreamCounts,
    StreamMetrics,
)

__all__ = [
    "OTHER",
    "SHADOW_VERDICTS",
    "CallMetrics",
    "CountedStream",
    "LatencyHistogram",
    "MethodCounts",
    "Metrics",
    "PolicyLabels",
    "PolicyMetrics",
    "Rejection",
    "StreamCounts",
    "StreamMetrics",
]
