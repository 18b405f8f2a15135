"""What verdicts came to, beside the truth: counted by the tuner's own matching, as `tertium evaluate` does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.tuning.decisions import Decisions
from tertium_server.tuning.matching import Label, Matches, match
from tertium_server.tuning.readers import Kind, Labelled
from tertium_server.tuning.tracks import label_tracks


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Boxes of one class by verdict."""

    yes_right: int = 0
    yes_wrong: int = 0
    maybe_right: int = 0
    maybe_wrong: int = 0
    no_right: int = 0
    no_wrong: int = 0
    missed: int = 0
    """Objects that no YES box shows, frame by frame."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)})

    @property
    def precision(self) -> float | None:
        """Of what is YES, the share that is right; None: nothing is."""
        return _share(self.yes_right, self.yes_right + self.yes_wrong)

    @property
    def recall(self) -> float | None:
        """Of what is there, the share that is YES; None: nothing is there."""
        return _share(self.yes_right, self.yes_right + self.missed)

    def as_json(self) -> dict[str, Any]:
        """Counts and shares under plain names."""
        counts = {one.name: getattr(self, one.name) for one in fields(Counts)}
        return {**counts, "precision_of_yes": self.precision, "recall_of_yes": self.recall}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True)
class Tally:
    """By class name."""

    boxes: dict[str, Counts]
    tracks: dict[str, Counts]
    """Tracks by the highest verdict each had; `missed` are real ones that are not YES: what no track shows is not among them."""

    def as_json(self) -> dict[str, Any]:
        """Boxes and tracks by class, and of all classes."""
        return {
            unit: {
                "all": sum(by_class.values(), Counts()).as_json(),
                **{name: one.as_json() for name, one in by_class.items()},
            }
            for unit, by_class in (("boxes", self.boxes), ("tracks", self.tracks))
        }


def tally(judged: Iterable[tuple[Labelled, Decisions]]) -> Tally:
    """What verdicts on several cameras came to."""
    boxes, tracks = dict[str, Counts](), dict[str, Counts]()
    for labelled, decisions in judged:
        # A probability is at most 1: what was accepted comes before what was not, and takes its object.
        found = match(labelled, 2.0 * decisions.verdicts + decisions.probabilities)
        _add(boxes, _of_boxes(labelled, decisions, found))
        _add(tracks, _of_tracks(labelled, decisions, found))
    return Tally(boxes, tracks)


def _add(total: dict[str, Counts], more: dict[str, Counts]) -> None:
    for name, counts in more.items():
        total[name] = total.get(name, Counts()) + counts


def _of_boxes(labelled: Labelled, decisions: Decisions, found: Matches) -> dict[str, Counts]:
    sequence, truth = labelled.sequence, labelled.truth
    by_class = {}
    for class_id, name in sequence.class_names.items():
        cells = _cells(found.labels, decisions.verdicts, sequence.class_ids == class_id)
        objects = int(((truth.class_ids == class_id) & (truth.kinds == Kind.EVALUATE)).sum())
        by_class[name] = Counts(**cells, missed=objects - cells["yes_right"])
    return by_class


def _of_tracks(labelled: Labelled, decisions: Decisions, found: Matches) -> dict[str, Counts]:
    # Verdicts of tracks that people decided, or the engine by its memory, are those of the answers.
    levels = decisions.track_verdicts.astype(np.float32)
    tracks = label_tracks(labelled, found, decisions.track_ids, levels)
    by_class = {}
    for class_id, name in labelled.sequence.class_names.items():
        cells = _cells(tracks.labels, tracks.scores.astype(np.uint8), tracks.class_ids == class_id)
        by_class[name] = Counts(**cells, missed=cells["maybe_right"] + cells["no_right"])
    return by_class


def _cells(labels: NDArray[np.int8], verdicts: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> dict[str, int]:
    return {
        f"{word}_{kind}": int(((labels == label) & (verdicts == verdict) & chosen).sum())
        for word, verdict in (("yes", Verdict.YES), ("maybe", Verdict.MAYBE), ("no", Verdict.NO))
        for kind, label in (("right", Label.TRUE), ("wrong", Label.FALSE))
    }
