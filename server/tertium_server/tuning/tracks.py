"""Tracks against the objects of truth: which are true, and which objects they find (see `units`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .curve import UndeterminedError
from .matching import Label, Matches, Scores
from .readers import Kind, Labelled, Truth, named
from .units import FOUND_SHARE, TRUE_SHARE, Place, Unit, Units

UNTRACKED = -1
"""The track of a detection that belongs to none."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackLabels:
    """T tracks of a sequence, by rising id."""

    ids: NDArray[np.int64]
    """(T,) their ids."""

    labels: NDArray[np.int8]
    """(T,) TRUE, FALSE or DROPPED."""

    scores: Scores
    """(T,) the highest score of each."""

    class_ids: NDArray[np.int64]
    """(T,) the class of most of its boxes; of equal ones the smallest id."""

    first_frames: NDArray[np.int64]
    """(T,) the frame each begins in."""

    members: NDArray[np.int64]
    """(N,) for each detection the index of its track among these, -1 for none."""


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """J objects of truth that are to be found."""

    track_ids: NDArray[np.int64]
    """(J,) as the file numbers them."""

    class_ids: NDArray[np.int64]
    """(J,) class of each; an object that changes class is two."""

    first_frames: NDArray[np.int64]
    """(J,) the frame each appears in."""

    rows: NDArray[np.int64]
    """(M,) for each row of truth the index of its object among these, -1 for none."""


def label_tracks(labelled: Labelled, matches: Matches, track_ids: NDArray[np.int64], scores: Scores) -> TrackLabels:
    """What the tracks of detections (N,) are, given the track and the track's score at each; track -1 for none."""
    sequence = labelled.sequence
    tracked = np.flatnonzero(track_ids != UNTRACKED)
    ids, index = np.unique(track_ids[tracked], return_inverse=True)
    members = np.full(len(sequence), -1, np.int64)
    members[tracked] = index
    true, false, dropped = (
        np.bincount(index, matches.labels[tracked] == label, len(ids))
        for label in (Label.TRUE, Label.FALSE, Label.DROPPED)
    )
    judged = true + false
    labels = np.where(true >= TRUE_SHARE * judged, Label.TRUE, np.where(dropped >= judged, Label.DROPPED, Label.FALSE))
    labels = np.where(judged == 0, Label.DROPPED, labels).astype(np.int8)
    highest = np.full(len(ids), -np.inf, scores.dtype)
    np.maximum.at(highest, index, scores[tracked])
    first_frames = np.full(len(ids), np.iinfo(np.int64).max)
    np.minimum.at(first_frames, index, sequence.frames[tracked])
    return TrackLabels(ids, labels, highest, _commonest(index, sequence.class_ids[tracked]), first_frames, members)


def find_objects(truth: Truth) -> Objects:
    """The objects that are to be found.

    Raises:
        UndeterminedError: a row to find does not say which object it is.
    """
    wanted = np.flatnonzero(truth.kinds == Kind.EVALUATE)
    if (truth.track_ids[wanted] < 0).any():
        row = truth.rows[wanted][truth.track_ids[wanted] < 0][0]
        raise UndeterminedError(
            f"{named(str(truth.source))}, row {row}: the truth does not say which object this is; count boxes or frames instead"
        )
    keys = np.stack([truth.track_ids[wanted], truth.class_ids[wanted].astype(np.int64)])
    objects, index = np.unique(keys, axis=1, return_inverse=True)
    rows = np.full(len(truth), -1, np.int64)
    rows[wanted] = index.reshape(-1)
    first_frames = np.full(objects.shape[1], np.iinfo(np.int64).max)
    np.minimum.at(first_frames, rows[wanted], truth.frames[wanted])
    return Objects(objects[0], objects[1], first_frames, rows)


def finding_scores(matches: Matches, tracks: TrackLabels, objects: Objects) -> NDArray[np.float64]:
    """(J,) the highest threshold at which each object is found, by tracks that are true; -inf where it never is."""
    paired = np.flatnonzero((matches.labels == Label.TRUE) & (tracks.members >= 0))
    found = np.full(len(objects.track_ids), -np.inf)
    of_object, of_track = objects.rows[matches.truth_index[paired]], tracks.members[paired]
    needed = FOUND_SHARE * np.bincount(of_object, minlength=len(found))
    by_true = tracks.labels[of_track] == Label.TRUE
    of_object, scores = of_object[by_true], tracks.scores[of_track[by_true]].astype(np.float64)
    order = np.lexsort((-scores, of_object))
    of_object, scores = of_object[order], scores[order]
    starts = np.searchsorted(of_object, np.arange(len(found)))
    held = np.arange(1, len(of_object) + 1) - starts[of_object]  # boxes of the object in tracks down to this one
    enough = held >= needed[of_object]
    # Scores fall within an object: the first that is enough is the highest.
    reached, first = np.unique(of_object[enough], return_index=True)
    found[reached] = scores[enough][first]
    return found


def track_units(
    labelled: Labelled, matches: Matches, track_ids: NDArray[np.int64], scores: Scores, place: Place | None = None
) -> Units:
    """Tracks. ``track_ids`` (N,): the track of each detection, -1 for none; ``scores`` (N,): the track's score, as it was then.

    A track counts in the block it begins in, an object in that it appears in.

    Raises:
        UndeterminedError: the truth has no track ids.
    """
    place = place or Place.alone(labelled)
    tracks, objects = label_tracks(labelled, matches, track_ids, scores), find_objects(labelled.truth)
    finding = finding_scores(matches, tracks, objects)
    judged, reached = np.flatnonzero(tracks.labels >= Label.FALSE), np.flatnonzero(finding > -np.inf)
    true = (tracks.labels[judged] == Label.TRUE).astype(np.int8)
    nothing = np.zeros(len(reached), np.int8)
    first = labelled.sequence.first_frame
    track_blocks = place.of_frames[tracks.first_frames[judged] - first]
    object_blocks = place.of_frames[objects.first_frames - first]
    shape = (place.count, max(labelled.truth.class_names, default=0) + 1)
    positives, negatives = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(positives, (object_blocks, objects.class_ids), 1)
    np.add.at(negatives, (track_blocks[true == 0], tracks.class_ids[judged][true == 0]), 1)
    return Units(
        unit=Unit.TRACK,
        scores=np.concatenate([tracks.scores[judged], finding[reached].astype(scores.dtype)]),
        true=np.concatenate([true, nothing]),
        false=np.concatenate([np.int8(1) - true, nothing]),
        found=np.concatenate([np.zeros(len(judged), np.int8), nothing + np.int8(1)]),
        class_ids=np.concatenate([tracks.class_ids[judged], objects.class_ids[reached]]),
        blocks=np.concatenate([track_blocks, object_blocks[reached]]),
        positives=positives,
        negatives=negatives,
        block_unit=place.unit,
    )


def _commonest(groups: NDArray[np.int64], values: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(groups,) the value that comes most often in each group; of equal ones the smallest."""
    pairs, times = np.unique(np.stack([groups, values.astype(np.int64)]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -times, pairs[0]))
    _, first = np.unique(pairs[0][order], return_index=True)
    commonest: NDArray[np.int64] = pairs[1][order][first]
    return commonest
