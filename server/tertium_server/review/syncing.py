"""What Prometheus is told of exchange with others: the webhook, and bridges to labelling tools."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class SyncMetrics(Collector):
    """Attempts to exchange with each tool, failures among them, and the time of the last success. May be used by any thread.

    Only tools that were added have series: a server without bridges is never stale.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._attempts = Counter[tuple[str, str]]()
        self._failures = Counter[tuple[str, str]]()
        self._succeeded: dict[str, float] = {}

    def add(self, tool: str, *operations: str) -> None:
        """There is such a tool. Until its first success it counts from now on."""
        with self._lock:
            for operation in operations:
                self._attempts[tool, operation] += 0
                self._failures[tool, operation] += 0
            self._succeeded.setdefault(tool, self._clock())

    def tried(self, tool: str, operation: str, *, succeeded: bool) -> None:
        """Something was exchanged with a tool that was added, or it was tried."""
        with self._lock:
            self._attempts[tool, operation] += 1
            if succeeded:
                self._succeeded[tool] = self._clock()
            else:
                self._failures[tool, operation] += 1

    def idle(self, tool: str) -> None:
        """There is nothing to exchange with a tool: that is no sign of trouble."""
        with self._lock:
            self._succeeded[tool] = self._clock()

    def collect(self) -> Iterator[Metric]:
        """The families."""
        attempts = CounterMetricFamily(
            "tertium_review_sync_attempts", "Attempts to exchange with others.", labels=["tool", "operation"]
        )
        failures = CounterMetricFamily(
            "tertium_review_sync_failures", "Attempts that failed.", labels=["tool", "operation"]
        )
        success = GaugeMetricFamily(
            "tertium_review_sync_last_success_timestamp_seconds",
            "When the last exchange succeeded, or nothing was left to exchange, Unix time.",
            labels=["tool"],
        )
        with self._lock:
            for key, count in self._attempts.items():
                attempts.add_metric(key, count)
                failures.add_metric(key, self._failures[key])
            for tool, moment in self._succeeded.items():
                success.add_metric([tool], moment)
        yield from (attempts, failures, success)
