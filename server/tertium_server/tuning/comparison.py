"""Two policies over the same recording: which verdicts would change, and on what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict, Workspace
from tertium_server.policy import Policy
from tertium_server.policy.resolution import settled

from .readers import Sequence
from .replay import ReplayOptions
from .replay import replay as replay_sequence

VERDICTS = max(Verdict) + 1
"""Places for a verdict in counts."""


@dataclass(frozen=True, slots=True)
class Example:
    """A detection that the two policies judge differently."""

    sequence: str
    frame: int
    class_name: str
    box: tuple[float, float, float, float]
    """Left, top, width and height, pixels."""
    score: float
    old: Verdict
    new: Verdict
    old_probability: float
    new_probability: float

    @property
    def change(self) -> float:
        """How far the probability moved."""
        return abs(self.new_probability - self.old_probability)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What would change."""

    counts: dict[str, NDArray[np.int64]]
    """By name of class: (4, 4) detections by the old verdict (row) and the new one (column), by their numbers."""
    examples: list[Example]
    """For each pair of differing verdicts and each class, those a person should look at first: the highest scores."""

    @property
    def detections(self) -> int:
        """Detections judged."""
        return sum(int(counts.sum()) for counts in self.counts.values())

    @property
    def changed(self) -> int:
        """Detections judged differently."""
        return sum(int(counts.sum() - np.trace(counts)) for counts in self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOptions:
    """How a comparison is made."""

    group: str = "default"
    """The group that the sequences are judged in; their names are their streams'."""
    start: int = 0
    """Capture time of each sequence's first frame, nanoseconds since the Unix epoch: for profiles that go by the clock."""
    examples: int = 3
    """Examples of each change."""


def compare(
    sequence: Sequence,
    old: Policy,
    new: Policy,
    options: ComparisonOptions = ComparisonOptions(),  # frozen
    *,
    workspace: Workspace | None = None,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Judges a sequence by both policies, each with an engine of its own.

    Raises:
        ReplayError: the engine refused a frame.
    """
    workspace = workspace or Workspace()
    timed = replace(sequence, times=sequence.capture_times() + options.start)
    old_said, new_said = (
        replay_sequence(
            timed,
            settled(policy, options.group, sequence.name),
            ReplayOptions(),
            workspace=workspace,
            progress=progress,
        )
        for policy in (old, new)
    )
    counts: dict[str, NDArray[np.int64]] = {}
    examples: list[Example] = []
    for class_id, name in sorted(sequence.class_names.items()):
        chosen = (
            np.flatnonzero(sequence.class_ids == class_id)
            if len(sequence.class_names) > 1
            else np.arange(len(sequence))
        )
        before, after = old_said.verdicts[chosen].astype(np.int64), new_said.verdicts[chosen].astype(np.int64)
        pairs = np.bincount(before * VERDICTS + after, minlength=VERDICTS**2)
        counts[name] = pairs.reshape(VERDICTS, VERDICTS).astype(np.int64)
        for pair in np.flatnonzero(pairs):
            was, becomes = Verdict(int(pair) // VERDICTS or Verdict.NO), Verdict(int(pair) % VERDICTS or Verdict.NO)
            if was == becomes:
                continue
            places = chosen[(before == was) & (after == becomes)]
            best = places[np.argsort(-sequence.scores[places], kind="stable")][: options.examples]
            examples += [
                Example(
                    sequence.name,
                    int(sequence.frames[place]),
                    name,
                    _left_top_width_height(sequence.boxes[place]),
                    float(sequence.scores[place]),
                    was,
                    becomes,
                    float(old_said.probabilities[place]),
                    float(new_said.probabilities[place]),
                )
                for place in best
            ]
    return Comparison(counts, examples)


def joined(parts: list[Comparison], examples: int) -> Comparison:
    """Several sequences' comparisons as one, with the first examples of each change."""
    counts: dict[str, NDArray[np.int64]] = {}
    kept: dict[tuple[str, Verdict, Verdict], list[Example]] = {}
    for part in parts:
        for name, pairs in part.counts.items():
            counts[name] = counts.get(name, np.zeros((VERDICTS, VERDICTS), np.int64)) + pairs
        for example in part.examples:
            kept.setdefault((example.class_name, example.old, example.new), []).append(example)
    first = [
        sorted(found, key=lambda example: -example.score)[:examples]
        for _, found in sorted(kept.items(), key=lambda item: item[0])
    ]
    return Comparison(counts, [example for group in first for example in group])


def _left_top_width_height(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(corner) for corner in box)
    return left, top, right - left, bottom - top
