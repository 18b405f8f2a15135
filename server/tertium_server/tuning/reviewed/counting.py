"""Reviewed tracks as units of the sweep, each counted as often as it stands for.

Sums of the sweep are whole numbers, so that equal counts are equal: weights are counted in thousandths of a track.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.blocks import BlockUnit
from tertium_server.tuning.units import Unit, Units

from .cases import ReviewedTrack
from .weighing import Floats

PARTS = 1000
"""Parts that a track is counted in."""


def in_parts(weights: Floats) -> NDArray[np.int64]:
    """(T,) weights as whole numbers of parts, at least one each."""
    return np.maximum(np.rint(weights * PARTS).astype(np.int64), 1)


def reviewed_units(
    tracks: Sequence[ReviewedTrack], scores: NDArray[np.float32], weights: Floats, names: Sequence[str]
) -> Units:
    """Tracks with their scores (T,) and weights (T,); classes by their places in ``names``, streams as blocks.

    To be found are the tracks that are real: what no track was made of is not known, and no part of recall.
    """
    parts, real = in_parts(weights), np.array([track.is_real for track in tracks], np.bool_)
    class_ids = np.array([names.index(track.class_name) for track in tracks], np.int64)
    streams = sorted({track.stream_id for track in tracks})
    blocks = np.array([streams.index(track.stream_id) for track in tracks], np.int64)
    totals = np.zeros((2, len(streams), len(names)), np.int64)
    np.add.at(totals, (real.astype(np.int64), blocks, class_ids), parts)
    true, false = np.where(real, parts, 0), np.where(real, 0, parts)
    return Units(
        unit=Unit.TRACK,
        scores=scores,
        true=true,
        false=false,
        found=true,
        class_ids=class_ids,
        blocks=blocks,
        positives=totals[1],
        negatives=totals[0],
        block_unit=BlockUnit.SEQUENCE,
    )
