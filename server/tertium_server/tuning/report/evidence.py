"""Tracks as the page shows them: a table, and the evidence of each over time, as much of it as a page can hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.tuning.fit.readouts import TRACK_NAMES
from tertium_server.tuning.matching import Label

from .packing import Json, short
from .tracks import Tracks
from .views import Seen, Views, scope, scopes

MOST_TRACKS = 4_000
"""Rows of the table of tracks."""

MOST_MOMENTS = 50_000
"""Boxes whose evidence is shown, of all tracks together."""

LONGEST = 500
"""Boxes shown of one track."""

_SIGNS = {Label.TRUE: "+", Label.FALSE: "-", Label.DROPPED: "?"}
"""One letter a label."""

_SLOW, _FAST = TRACK_NAMES.index("slow"), TRACK_NAMES.index("fast")


def table(views: Views, tracks: Tracks) -> Json:
    """``{"total", "shown", "with_evidence", "columns": {name: [...]}, "evidence": [...]}``, the most interesting tracks first."""
    order = tracks.by_interest()[:MOST_TRACKS]
    boxes = [_boxes_by_track(one) for one in views.seen]
    evidence, left = [], MOST_MOMENTS
    for place in order.tolist():
        sequence = int(tracks.sequences[place])
        one, found = views.seen[sequence], boxes[sequence][int(tracks.ids[place])]
        moments = _moments(one, found)
        if len(moments) > left:
            break
        left -= len(moments)
        evidence.append({"of": len(found), **_evidence(one, moments)})
    return {
        "outcomes": _outcomes(views, tracks),
        "total": len(tracks.ids),
        "shown": len(order),
        "with_evidence": len(evidence),
        "columns": _columns(tracks, order),
        "evidence": evidence,
    }


def _columns(tracks: Tracks, order: NDArray[np.int64]) -> Json:
    plain = (
        "sequences",
        "ids",
        "class_ids",
        "labels",
        "boxes",
        "right",
        "first",
        "last",
        "missed",
        "verdicts",
        "delays",
    )
    return {name: getattr(tracks, name)[order].tolist() for name in plain} | {
        "probabilities": short(tracks.probabilities[order], 6),
        "scores": short(tracks.scores[order], 6),
        "contested": short(tracks.contested[order], 3),
        "mistaken": tracks.mistaken[order].astype(int).tolist(),
        "disputed": (tracks.disputed & (tracks.labels != Label.DROPPED))[order].astype(int).tolist(),
    }


def _outcomes(views: Views, tracks: Tracks) -> Json:
    """``{scope: {label: [YES, MAYBE, NO]}}``: how many true and false tracks got which verdict, of all there are."""
    verdicts = (Verdict.YES, Verdict.MAYBE, Verdict.NO)
    return {
        scope(class_id): {
            str(int(label)): [
                int((tracks.of_class(class_id) & (tracks.labels == label) & (tracks.verdicts == verdict)).sum())
                for verdict in verdicts
            ]
            for label in (Label.TRUE, Label.FALSE)
        }
        for class_id in scopes(views)
    }


def _boxes_by_track(one: Seen) -> dict[int, NDArray[np.int64]]:
    """Places of each track's boxes, in order of frames."""
    ids = one.decisions.track_ids
    order = np.lexsort((one.labelled.sequence.frames, ids))
    starts = np.flatnonzero(np.diff(ids[order], prepend=np.iinfo(np.int64).min))
    pieces = np.split(order, starts[1:]) if len(order) else []
    return {int(ids[piece[0]]): piece for piece in pieces}


def _moments(one: Seen, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of a track's boxes all, or of a long one some, changes of verdict always among them."""
    if len(places) <= LONGEST:
        return places
    turns = np.flatnonzero(np.diff(one.decisions.track_verdicts[places].astype(np.int64))) + 1
    spread = np.linspace(0, len(places) - 1, LONGEST).astype(np.int64)
    chosen: NDArray[np.int64] = np.union1d(spread, turns[:LONGEST])
    return places[chosen]


def _evidence(one: Seen, places: NDArray[np.int64]) -> Json:
    sequence, decisions, seen = one.labelled.sequence, one.decisions, one.observation
    return {
        "frames": sequence.frame_indices()[sequence.frames[places] - sequence.first_frame].tolist(),
        "scores": short(sequence.scores[places], 3),
        "fast": short(seen.track_features[places, _FAST], 2),
        "slow": short(seen.track_features[places, _SLOW], 2),
        "box": short(decisions.probabilities[places], 4),
        "track": short(decisions.track_probabilities[places], 4),
        "box_verdicts": _letters(decisions.verdicts[places]),
        "track_verdicts": _letters(decisions.track_verdicts[places]),
        "labels": "".join(_SIGNS[label] for label in one.judged.matches.labels[places].tolist()),
    }


def _letters(verdicts: NDArray[np.uint8]) -> str:
    """One letter a verdict: Y, M or N."""
    return "".join(Verdict(number).name[0] for number in verdicts.tolist())
