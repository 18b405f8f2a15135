"""How scores, overlaps, lengths and delays are distributed; and whether probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Verdict
from tertium_server.tuning.figures import Scored, reliability
from tertium_server.tuning.matching import Label

from .packing import Json, number, short
from .tracks import Tracks
from .views import Views, Which, scope, scopes

BINS = 40
"""Of score histograms."""

_IOU_BINS = 25
_LONGEST = 60


def histograms(views: Views) -> Json:
    """``{view: {scope: {"edges", "true", "false"}}}``: judged boxes by score."""
    return {
        which.value: {scope(class_id): histogram(view.scored, class_id) for class_id in scopes(views)}
        for which, view in views.views.items()
    }


def histogram(scored: Scored, class_id: int | None) -> Json:
    """Judged boxes of a class, or of all, by score."""
    every, _ = scored.judged(None)
    low, high = 0.0, 1.0
    if every.size and (every.min() < 0.0 or every.max() > 1.0):  # log-odds
        low = float(np.floor(every.min()))
        high = max(float(np.ceil(every.max())), low + 1.0)
    scores, labels = scored.judged(class_id)
    edges = np.linspace(low, high, BINS + 1)
    true, false = (np.histogram(scores[labels == label], edges)[0] for label in (1.0, 0.0))
    return {"edges": edges.tolist(), "true": true.tolist(), "false": false.tolist()}


def reliabilities(views: Views) -> Json:
    """``{what: {scope: {"said", "came_true", "counts", "error"}}}``; scores that are no shares of one have none."""
    logits = any(one.sequence.logits for one in views.tuning.labelled)
    raw = {} if logits else {Which.RAW.value: views.views[Which.RAW].scored}
    sets = raw | {
        "calibrated": views.calibrated,
        Which.HELD_OUT.value: views.views[Which.HELD_OUT].scored,
        Which.FUSED.value: views.views[Which.FUSED].scored,
    }
    return {
        what: {scope(class_id): bins for class_id in scopes(views) if (bins := _bins(scored, class_id)) is not None}
        for what, scored in sets.items()
    }


def _bins(scored: Scored, class_id: int | None) -> Json:
    scores, labels = scored.judged(class_id)
    if not len(labels):
        return None
    bins = reliability(scores, labels)
    return {
        "said": bins.said.tolist(),
        "came_true": bins.came_true.tolist(),
        "counts": bins.counts.tolist(),
        "error": bins.error,
    }


def distributions(views: Views, tracks: Tracks) -> Json:
    """``{scope: {"iou", "length", "delay"}}``: of right boxes, of all tracks, and of true tracks."""
    return {
        scope(class_id): {
            "iou": _ious(views, class_id),
            "length": _lengths(tracks, class_id),
            "delay": _delays(tracks, class_id),
        }
        for class_id in scopes(views)
    }


def _ious(views: Views, class_id: int | None) -> Json:
    """Overlap of right boxes with their objects, by what was said of them."""
    edges = np.linspace(min(views.matching.iou, 1.0 - 1.0 / _IOU_BINS), 1.0, _IOU_BINS + 1)
    counts = {}
    for verdict in (Verdict.YES, Verdict.MAYBE, Verdict.NO):
        parts = []
        for one in views.seen:
            chosen = (one.judged.matches.labels == Label.TRUE) & (one.decisions.verdicts == verdict)
            if class_id is not None:
                chosen &= one.labelled.sequence.class_ids == class_id
            parts.append(one.judged.matches.ious[chosen])
        counts[verdict.name] = np.histogram(np.clip(np.concatenate(parts), edges[0], 1.0), edges)[0].tolist()
    return {"edges": short(edges, 6), "counts": counts}


def _lengths(tracks: Tracks, class_id: int | None) -> Json:
    """Tracks by number of boxes, in doubling steps."""
    chosen = tracks.of_class(class_id)
    highest = max(int(np.ceil(np.log2(max(tracks.boxes.max(initial=1), 1) + 1))), 1)
    edges = 2 ** np.arange(highest + 1)
    return {
        "edges": edges.tolist(),
        "counts": {
            word: np.histogram(tracks.boxes[chosen & (tracks.labels == label)], edges)[0].tolist()
            for word, label in (("true", Label.TRUE), ("false", Label.FALSE))
        },
    }


def _delays(tracks: Tracks, class_id: int | None) -> Json:
    """Frames from the first box of a true track to its first YES; the last bin holds all that are longer."""
    true = tracks.of_class(class_id) & (tracks.labels == Label.TRUE)
    delays: NDArray[np.int64] = tracks.delays[true]
    known = delays[delays >= 0]
    counts = np.bincount(np.minimum(known, _LONGEST), minlength=_LONGEST + 1)
    quantiles = np.quantile(known, [0.5, 0.9, 0.99]) if len(known) else np.full(3, np.nan)
    median, p90, p99 = map(number, quantiles.tolist())
    never = int((delays < 0).sum())
    return {"counts": counts.tolist(), "never": never, "median": median, "p90": p90, "p99": p99}
