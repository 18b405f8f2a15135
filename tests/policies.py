"""A policy of plain numbers for tests: whatever is fitted into the built-in one, they mean the same tomorrow."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from tertium_server.policy import Policy, default_policy

_PLAIN = """
format: tertium.policy/v1
name: plain
number: 0
provenance: {}
tracker:
  motion: {measurement_noise: 0.06, acceleration: 1.5, size_acceleration: 0.5, initial_speed: 1.5}
  association: {established: 0.2, high: 0.5, gate_high: 0.2, gate_low: 0.3, gate_candidate: 0.3, buffer: 0.1, class_aware: true}
  lifetime: {coast: 1.5, candidate_coast: 0.2, hidden_cover: 0.5, inside: 0.5, max_gap: 10.0}
defaults:
  scores: {offset: 0.0, gain: 1.0, clip: 7.0}
  evidence:
    birth: {mean: -2.0, variance: 4.0}
    miss: {value: -3.0, noise: 2.0}
    fast_drift: 6.0
    slow_drift: 0.3
    noise: 1.0
    correlation_time: 0.05
  box:
    weights: {constant: 0.0, score: 0.5, fast: 0.25, slow: 0.25, hits: 0.1, fit: -0.1, overlap: -1.0,
      score_high: 0.6, slow_large: 0.3, cover: -0.2, neighbours: -0.05, size: 0.2, size_squared: -0.1}
    heights: {least: 20.0, most: 400.0}
    thresholds: {yes: 0.6, no: 0.2}
  track:
    weights: {constant: 0.0, slow: 0.7, fast: 0.2, spread: 0.0, hits: 0.2, misses: -0.2, size: 0.1, size_squared: -0.05}
    thresholds: {yes: 0.7, no: 0.2, margin: 0.05, hold: 0.5}
classes: {}
"""


def plain_data() -> dict[str, Any]:
    """The plain policy as data; what it does not name is the built-in one's."""
    built_in = default_policy().model_dump(mode="json", exclude={"provenance", "classes", "review"})
    return _over(built_in, YAML(typ="safe", pure=True).load(_PLAIN))


def _over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in changes.items():
        below = result.get(name)
        result[name] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


@cache
def plain_policy() -> Policy:
    """The plain policy."""
    return Policy.model_validate(plain_data())


def policy_with(changes: Mapping[str, object], base: Policy | None = None) -> Policy:
    """A policy (the plain one) with some values of its own, by their path: "tracker.lifetime.coast"."""
    data = (base or plain_policy()).model_dump(mode="json")
    for path, value in changes.items():
        *sections, name = path.split(".")
        section = data
        for each in sections:
            section = section[each]
        assert name in section, path
        section[name] = value
    return Policy.model_validate(data)
