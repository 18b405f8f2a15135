"""Counts at every threshold, by class, unit and view; with the points that were chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.curve import Curve, Point

from .packing import Json, number, pack
from .views import Views, Which, scope, scopes

MOST_POINTS = 300_000
"""Points of all curves of a page together. Curves that would have more are thinned, and say so."""

LEAST_POINTS = 16
"""Points that a curve is left, however many there are: of a thousand classes all have hardly more than MOST_POINTS."""

_KEPT_OF_A_STRETCH = 4


@dataclass(frozen=True, slots=True)
class _Key:
    """Which curve."""

    unit: str
    which: Which
    class_id: int | None


def curves(views: Views) -> Json:
    """``{unit: {view: {scope: curve}}}``."""
    found = {
        _Key(unit, which, class_id): (changes if class_id is None else changes.of_class(class_id)).curve()
        for which, view in views.views.items()
        for unit, changes in view.units().items()
        for class_id in scopes(views)
    }
    most = share([len(curve) for curve in found.values()], MOST_POINTS)
    tree: Json = {}
    for key, curve in found.items():
        by_view = tree.setdefault(key.unit, {})
        by_view.setdefault(key.which.value, {})[scope(key.class_id)] = _described(views, key, curve, most)
    return tree


def share(sizes: list[int], total: int) -> int:
    """The most points a curve may have, so that all together have about as many as ``total``: short curves leave theirs to long ones."""
    left = total
    for place, size in enumerate(sorted(sizes)):
        fair = left // (len(sizes) - place)
        if size > fair:
            return max(fair, LEAST_POINTS)
        left -= size
    return max(sizes, default=0)


def _described(views: Views, key: _Key, curve: Curve, most: int) -> Json:
    described: Json = {"positives": curve.positives, "negatives": curve.negatives, "of": len(curve)}
    chosen: list[Point] = []
    if curve.obstacle:
        described["undetermined"] = curve.obstacle
    else:
        chosen = [curve.best(), curve.recommended()]
        described |= {"best": point(chosen[0]), "recommended": point(chosen[1])}
        described["average_precision"] = number(curve.average_precision)
    pair = views.chosen_thresholds(key.class_id, key.unit)
    if key.which is Which.FUSED and pair is not None:
        yes, no = (curve.at(threshold) for threshold in pair)
        chosen += [yes, no]
        described |= {"yes": point(yes), "no": point(no)}
    kept = thinned(curve, [one.threshold for one in chosen], most)
    described |= {"thresholds": pack(curve.thresholds[kept]), "tp": pack(curve.tp[kept]), "fp": pack(curve.fp[kept])}
    if not np.array_equal(curve.found, curve.tp):
        described["found"] = pack(curve.found[kept])
    return described


def point(at: Point) -> Json:
    """The counts at a threshold and the figures that follow from them."""
    return {
        "threshold": at.threshold,
        "tp": at.tp,
        "fp": at.fp,
        "fn": at.fn,
        "tn": at.tn,
        "found": at.found,
        "precision": number(at.precision),
        "recall": number(at.recall),
        "f1": number(at.f1),
    }


def thinned(curve: Curve, chosen: list[float], most: int) -> NDArray[np.int64]:
    """Indices of the points to show, rising: all, where there are no more than ``most``.

    Else of each of so many stretches the first, the last, the lowest and the highest F1, which is what a line of that many pixels shows
    of it, and the points at the chosen thresholds.
    """
    size = len(curve)
    if size <= most:
        return np.arange(size)
    f1 = curve.f1
    edges = np.linspace(0, size, max(most // _KEPT_OF_A_STRETCH, 2)).astype(np.int64)
    kept = {size - 1, *(min(int(np.searchsorted(curve.thresholds, one)), size - 1) for one in chosen)}
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        stretch = f1[start:stop]
        kept |= {start, stop - 1, start + int(stretch.argmin()), start + int(stretch.argmax())}
    return np.array(sorted(kept), np.int64)
