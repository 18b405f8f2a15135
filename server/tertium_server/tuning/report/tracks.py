"""The tracks of all sequences, one row each: what they are, what was said of them, and where that was wrong or contested."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.matching import Label

from .views import Seen, Views, Which

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOSTLY = 0.5
"""Share of a track's boxes from which box and track count as contested."""


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """T tracks, by sequence and id."""

    sequences: Ints
    """(T,) places of their sequences."""

    ids: Ints
    """(T,) ids within the sequence."""

    class_ids: Ints
    """(T,) the class of most of their boxes."""

    labels: NDArray[np.int8]
    """(T,) TRUE, FALSE or DROPPED."""

    boxes: Ints
    """(T,) boxes."""

    right: Ints
    """(T,) boxes that are true."""

    first: Ints
    """(T,) frame of the first box, as the camera counts."""

    last: Ints
    """(T,) frame of the last."""

    missed: Ints
    """(T,) frames between them without a box."""

    probabilities: Floats
    """(T,) the highest of each."""

    scores: Floats
    """(T,) the highest raw score of each."""

    verdicts: NDArray[np.uint8]
    """(T,) the verdict on the highest probability, by the policy's thresholds for the class."""

    delays: Ints
    """(T,) frames from the first box to the first at which the track was YES; -1 never."""

    contested: Floats
    """(T,) share of boxes at which box and track were judged oppositely, one YES and one NO."""

    by_score: Flags
    """(T,) the highest raw score reaches the raw score's best threshold."""

    def of_class(self, class_id: int | None) -> Flags:
        """(T,) those of a class; None: all."""
        return np.ones(len(self.ids), np.bool_) if class_id is None else self.class_ids == class_id

    @property
    def mistaken(self) -> Flags:
        """(T,) false and YES, or true and NO."""
        yes, no = self.verdicts == Verdict.YES, self.verdicts == Verdict.NO
        return np.asarray((yes & (self.labels == Label.FALSE)) | (no & (self.labels == Label.TRUE)))

    @property
    def disputed(self) -> Flags:
        """(T,) the raw score would have said otherwise: YES where fusion does not, or not where fusion does."""
        return np.asarray(self.by_score != (self.verdicts == Verdict.YES))

    @property
    def certainty(self) -> Floats:
        """(T,) 0 at a probability of a half, 1 at none and at one."""
        return np.abs(2.0 * self.probabilities - 1.0)

    def by_interest(self) -> Ints:
        """Places: mistakes, the longest first; then disputes and what is contested by half or more, then all others, the least certain first."""
        judged = self.labels != Label.DROPPED
        rank = np.select([~judged, self.mistaken, self.disputed, self.contested >= MOSTLY], [4, 0, 1, 2], 3)
        within = np.where(self.mistaken, -self.boxes, self.certainty)
        return np.lexsort((self.ids, self.sequences, within, rank)).astype(np.int64)


def list_tracks(views: Views) -> Tracks:
    """All tracks that a box belongs to."""
    thresholds = {class_id: views.thresholds(class_id, "track") for class_id in views.class_names}
    raw = {class_id: _raw_threshold(views, class_id) for class_id in views.class_names}
    parts = [_of_sequence(place, one, thresholds, raw) for place, one in enumerate(views.seen)]
    return Tracks(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Tracks)))


def _raw_threshold(views: Views, class_id: int) -> float:
    """Where the raw score is best cut for tracks of a class, or for boxes where tracks can't be counted; above all scores where neither."""
    for units in (views.views[Which.RAW].tracks, views.views[Which.RAW].boxes):
        if units is not None:
            try:
                return units.of_class(class_id).curve().best().threshold
            except UndeterminedError:
                continue  # the next may tell
    return float("inf")


def _of_sequence(place: int, one: Seen, thresholds: dict[int, tuple[float, float]], raw: dict[int, float]) -> Tracks:
    sequence, decisions, tracks = one.labelled.sequence, one.decisions, one.tracks
    chosen = np.flatnonzero(tracks.members >= 0)
    members, count = tracks.members[chosen], len(tracks.ids)
    frames = sequence.frame_indices()[sequence.frames[chosen] - sequence.first_frame]
    boxes = np.bincount(members, minlength=count)
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, members, frames)
    np.maximum.at(last, members, frames)
    positions = sequence.frames[chosen]
    early, late = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(early, members, positions)
    np.maximum.at(late, members, positions)
    is_yes = decisions.track_verdicts[chosen] == Verdict.YES
    began = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(began, members[is_yes], positions[is_yes])
    scores = np.full(count, -np.inf)
    np.maximum.at(scores, members, sequence.scores[chosen])
    pairs = decisions.verdicts[chosen].astype(np.int64) * decisions.track_verdicts[chosen]
    opposite = np.bincount(members, pairs == Verdict.YES * Verdict.NO, count)
    yes, no = (np.array([thresholds[int(number)][end] for number in tracks.class_ids]) for end in (0, 1))
    highest = tracks.scores.astype(np.float64)
    verdicts = np.where(highest >= yes, Verdict.YES, np.where(highest >= no, Verdict.MAYBE, Verdict.NO))
    return Tracks(
        sequences=np.full(count, place),
        ids=tracks.ids,
        class_ids=tracks.class_ids,
        labels=tracks.labels,
        boxes=boxes,
        right=np.bincount(members, one.judged.matches.labels[chosen] == Label.TRUE, count).astype(np.int64),
        first=first,
        last=last,
        missed=late - early + 1 - boxes,
        probabilities=highest,
        scores=scores,
        verdicts=verdicts.astype(np.uint8),
        delays=np.where(began < np.iinfo(np.int64).max, began - early, -1),
        contested=opposite / boxes,
        by_score=scores >= np.array([raw[int(number)] for number in tracks.class_ids]),
    )
