"""The scores of decided tracks on the data a policy is tuned on: what the server's live ones are compared with.

A track is decided here when it is online: once it has been MAYBE for as long as the policy's review waits, or when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from tertium_server.engine import DecisionColumns, EventType, Verdict
from tertium_server.policy import Policy
from tertium_server.policy.reference import BINS, Reference

_NANOSECONDS = 1e9


class DecidedScores:
    """Collects scores, sequence after sequence. Each starts with ``begin``."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._counts: dict[str, list[int]] = {}
        self.begin({})

    def begin(self, names: Mapping[int, str]) -> None:
        """Another sequence, with these names of classes."""
        self._names = dict(names)
        self._open_after = {
            each: self._policy.review.for_class(name).open_after * _NANOSECONDS for each, name in names.items()
        }
        self._doubts: dict[int, tuple[int, float]] = {}
        self._decided = set[int]()

    def take(self, decisions: DecisionColumns) -> None:
        """What happened to tracks, in order: to those that were announced, and to those that ended without having left NO."""
        for event in (*decisions.events, *decisions.dismissed):
            track, class_id = int(event["track_id"]), int(event["class_id"])
            moment, probability = int(event["time"]), float(event["probability"])
            since, doubt = self._doubts.get(track, (moment, 0.0))
            if track in self._doubts and moment - since >= self._open_after[class_id]:
                self._decide(track, class_id, doubt)
            if event["type"] == EventType.ENDED:
                self._decide(track, class_id, probability)
                self._decided.discard(track)
            elif event["to_verdict"] != Verdict.MAYBE:
                self._doubts.pop(track, None)
            elif track not in self._decided:
                self._doubts.setdefault(track, (moment, probability))

    def _decide(self, track: int, class_id: int, probability: float) -> None:
        self._doubts.pop(track, None)
        if track not in self._decided:
            self._decided.add(track)
            counts = self._counts.setdefault(self._names[class_id], [0] * BINS)
            counts[min(int(probability * BINS), BINS - 1)] += 1

    def reference(self) -> Reference:
        """What a policy says of them."""
        return Reference(scores={name: tuple(counts) for name, counts in sorted(self._counts.items())})
