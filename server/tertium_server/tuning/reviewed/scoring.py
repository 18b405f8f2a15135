"""What the machine says of reviewed tracks: by a replay of their recordings, or as it was when they were decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.policy import Policy
from tertium_server.tuning.fit.logistic import log_odds
from tertium_server.tuning.fit.observation import match_by_score, observe

from .cases import ReviewedTrack
from .finding import Footage, track_at

Floats = NDArray[np.float64]
_ANY_IOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class TrackScores:
    """T tracks as a policy scores them, with E examples of what its read-out says along their way."""

    highest: NDArray[np.float32]
    """(T,) the highest probability of each track's life: from then on it would be announced. NaN: it is no track of the replay."""

    values: Floats
    """(E,) log-odds of the track read-out."""

    owners: NDArray[np.int64]
    """(E,) the track each example is of."""

    def of(self, kept: NDArray[np.int64]) -> TrackScores:
        """Those of some tracks, which get new places in this order."""
        places = np.full(len(self.highest), -1, np.int64)
        places[kept] = np.arange(len(kept))
        rows = np.flatnonzero(places[self.owners] >= 0)
        return TrackScores(self.highest[kept], self.values[rows], places[self.owners[rows]])


def scores_by_replay(
    footage: Sequence[Footage], policy: Policy, count: int, told: Callable[[int], None] = lambda _: None
) -> TrackScores:
    """Replays recordings, one after the other. ``count``: how many reviewed tracks there are in all. ``told`` hears how many are done.

    Raises:
        ReplayError: the engine refused a frame.
    """
    workspace = Workspace()
    highest = np.full(count, np.nan, np.float32)
    values, owners = [np.zeros(0)], [np.zeros(0, np.int64)]
    for done, one in enumerate(footage, 1):
        seen = observe(one.labelled, match_by_score(one.labelled, _ANY_IOU), policy, workspace)
        size = int(seen.track_ids.max(initial=0)) + 1
        by_track = np.full(size, -np.inf, np.float32)
        np.maximum.at(by_track, seen.track_ids, seen.track_probabilities)
        for case, rows in zip(one.cases, one.detections, strict=True):
            track = track_at(seen.track_ids, rows)
            if track is None:
                continue
            own = rows[seen.track_ids[rows] == track]
            highest[case] = by_track[track]
            values.append(log_odds(seen.track_probabilities[own].astype(np.float64)))
            owners.append(np.full(len(own), case, np.int64))
        told(done)
    return TrackScores(highest, np.concatenate(values), np.concatenate(owners))


def scores_as_decided(tracks: Sequence[ReviewedTrack]) -> TrackScores:
    """Without recordings: the one probability that each track had when it was decided."""
    probabilities = np.array([track.probability for track in tracks], np.float64)
    return TrackScores(probabilities.astype(np.float32), log_odds(probabilities), np.arange(len(tracks)))
