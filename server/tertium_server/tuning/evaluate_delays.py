"""How long true tracks take until they are YES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .intervals import LEVEL, draw, interval
from .judged import YES, Judged
from .matching import Label
from .units import Place

_DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Delays:
    """T true tracks of one sequence or more."""

    frames: NDArray[np.int64]
    """(T,) frames from the first box to the first YES, 0 where it is YES at once; -1 where it never is."""

    seconds: NDArray[np.float64]
    """(T,) the same in seconds."""

    class_ids: NDArray[np.int64]
    """(T,) class of most of its boxes."""

    blocks: NDArray[np.int64]
    """(T,) the block it begins in."""


def delays_of(judged: Sequence[Judged], places: Sequence[Place]) -> Delays:
    """Those of all true tracks."""
    parts = [_of_sequence(one, place) for one, place in zip(judged, places, strict=True)]
    return Delays(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def delays(judged: Sequence[Judged], places: Sequence[Place], seed: int) -> dict[str, Any]:
    """Medians and ninth tenths of frames and seconds until YES, with the median's interval; over all classes and by class."""
    found = delays_of(judged, places)
    count, every = places[0].count, np.ones(len(found.frames), np.bool_)
    names = judged[0].labelled.sequence.class_names
    return {
        "overall": _describe(found, every, count, seed),
        "classes": {
            name: _describe(found, found.class_ids == class_id, count, seed) for class_id, name in names.items()
        },
    }


def _of_sequence(one: Judged, place: Place) -> tuple[NDArray[Any], ...]:
    tracks, sequence = one.tracks(), one.labelled.sequence
    never = np.iinfo(np.int64).max
    sure = np.full(len(tracks.ids), never)
    announced = np.flatnonzero((one.track_levels >= YES) & (tracks.members >= 0))
    np.minimum.at(sure, tracks.members[announced], sequence.frames[announced])
    true = np.flatnonzero(tracks.labels == Label.TRUE)
    first, sure = tracks.first_frames[true] - sequence.first_frame, sure[true]
    reached = sure != never
    last = np.where(reached, sure - sequence.first_frame, first)
    times = sequence.capture_times()
    return (
        np.where(reached, last - first, -1),
        (times[last] - times[first]) * 1e-9,
        tracks.class_ids[true],
        place.of_frames[first],
    )


def _describe(found: Delays, chosen: NDArray[np.bool_], blocks: int, seed: int) -> dict[str, Any]:
    reached = chosen & (found.frames >= 0)
    described: dict[str, Any] = {
        "true_tracks": int(chosen.sum()),
        "never_yes": int((chosen & (found.frames < 0)).sum()),
    }
    for name, values in (("frames", found.frames[reached]), ("seconds", found.seconds[reached])):
        if not len(values):
            described[name] = {"median": None, "p90": None, "interval": None}
            continue
        filled = len(np.unique(found.blocks[reached]))
        around = interval(_medians(values, found.blocks[reached], blocks, seed), LEVEL, filled)
        described[name] = {
            "median": float(np.median(values)),
            "p90": float(np.quantile(values, 0.9)),
            "interval": None if np.isnan(around.low) else [around.low, around.high],
        }
    return described


def _medians(values: NDArray[Any], of_blocks: NDArray[np.int64], blocks: int, seed: int) -> NDArray[np.float64]:
    """(draws,) the median in each resample of blocks; NaN where it holds no track."""
    medians = np.full(_DRAWS, np.nan)
    for index, times in enumerate(draw(blocks, seed, _DRAWS)):
        repeated = np.repeat(values, times[of_blocks])
        if len(repeated):
            medians[index] = float(np.median(repeated))
    return medians
