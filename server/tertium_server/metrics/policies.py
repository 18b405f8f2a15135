"""The policy in force, and how often it was to be changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector


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
