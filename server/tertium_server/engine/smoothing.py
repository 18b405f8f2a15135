r"""Smoothing: levels of evidence in the light of the frames after them.

The fixed-interval smoother of Rauch, Tung and Striebel, for the random walk that a level is (see evidence.py), run back from the newest frame of a
window:

.. math::
    C = P / P', \quad x^s \leftarrow x + C\,(x'^s - x), \quad P^s \leftarrow P + C^2 (P'^s - P'),

where :math:`P'` is the variance that the next frame was predicted with, and a prime on a smoothed value means that frame's (Bar-Shalom, Li,
Kirubarajan 2001, section 8.6.3). The variances are those that the filter had: whatever policy, zone or pause lay between, the smoother goes back
the way the filter came.
"""

from typing import Any

import numpy as np

from tertium_server.engine.columns import Float64s, Int64s, Records
from tertium_server.engine.kernel import kernel

FAST, FAST_VARIANCE, FAST_PREDICTED, SLOW, SLOW_VARIANCE, SLOW_PREDICTED = range(6)
FILTERED = 6
"""Columns of filtered levels, by the names above."""

SMOOTHED = 4
"""Columns of smoothed levels: fast, its variance, slow, its variance."""


def filtered_levels(tracks: Records) -> Float64s:
    """(tracks, FILTERED) what the filter says of them."""
    names = ("fast", "fast_variance", "fast_predicted", "slow", "slow_variance", "slow_predicted")
    return np.stack([tracks[name] for name in names], axis=1)


def links_between(before: Records, after: Records) -> Int64s:
    """(before,) where in the next frame each track is; -1: it is over."""
    links: Int64s = np.full(len(before), -1, np.int64)
    _link(before, after, links)
    return links


@kernel
def place_of(tracks, count, track, start):
    """The place of a track, looked for from ``start`` on and then from the beginning; -1: it is not there.

    A caller may give an id again to another object: it is the same track only if it began with the same frame.
    """
    for step in range(count):
        place = start + step
        if place >= count:
            place -= count
        if tracks[place].id == track.id and tracks[place].first_frame == track.first_frame:
            return place
    return -1


@kernel
def _link(before, after, links):
    place = 0
    for slot in range(before.shape[0]):
        if before[slot].closing:
            continue
        found = place_of(after, after.shape[0], before[slot], place)
        if found >= 0:  # tracks keep their order, so that the next is nearly always the one after
            links[slot] = found
            place = found + 1 if found + 1 < after.shape[0] else 0


@kernel
def smooth(levels, links, starts, smoothed):
    """Smooths a window of frames, the oldest first, back to its first one.

    ``levels`` (R, FILTERED) and ``links`` (R,) of all its tracks, frame by frame; ``starts`` (frames + 1,) where each begins; ``smoothed``
    (R, SMOOTHED) is filled.
    """
    for frame in range(starts.shape[0] - 2, -1, -1):
        for row in range(starts[frame], starts[frame + 1]):
            smoothed[row, 0] = levels[row, FAST]
            smoothed[row, 1] = levels[row, FAST_VARIANCE]
            smoothed[row, 2] = levels[row, SLOW]
            smoothed[row, 3] = levels[row, SLOW_VARIANCE]
            if links[row] < 0:
                continue
            later = starts[frame + 1] + links[row]
            for level in range(2):
                value, variance = smoothed[row, 2 * level], smoothed[row, 2 * level + 1]
                predicted = levels[later, 3 * level + 2]
                back = variance / predicted
                smoothed[row, 2 * level] = value + back * (smoothed[later, 2 * level] - value)
                smoothed[row, 2 * level + 1] = variance + back * back * (smoothed[later, 2 * level + 1] - predicted)


def smoothed_levels(levels: list[Float64s], links: list[Int64s]) -> Float64s:
    """(tracks, SMOOTHED) of the first frame of a window: of each frame its levels, and of each but the last its links to the next."""
    starts: Any = np.cumsum([0, *(len(one) for one in levels)], dtype=np.int64)
    last: Int64s = np.full(len(levels[-1]), -1, np.int64)
    smoothed: Float64s = np.empty((int(starts[-1]), SMOOTHED))
    smooth(np.concatenate(levels), np.concatenate([*links, last]), starts, smoothed)
    return smoothed[: len(levels[0])]
