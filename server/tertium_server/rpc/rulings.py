"""What people have decided of tracks that are still alive: the boxes of these tracks follow it, until the evidence has moved far against it."""

from __future__ import annotations

import math

import numpy as np

from tertium_server.engine import DecisionColumns, StreamEngine, Verdict
from tertium_server.engine.ruling import Ruling

_LEAST = 1e-6


def _log_odds(probability: float) -> float:
    bounded = min(max(float(probability), _LEAST), 1.0 - _LEAST)
    return math.log(bounded / (1.0 - bounded))


class Rulings:
    """The rulings of one stream, by the engine's ids of tracks. Used by the stream's thread."""

    __slots__ = ("_rulings",)

    def __init__(self) -> None:
        self._rulings: dict[int, Ruling] = {}

    def __len__(self) -> int:
        return len(self._rulings)

    def rule(self, engine: StreamEngine, track: int, verdict: Verdict, since: float | None = None) -> None:
        """People, or a deadline, have decided; MAYBE: they leave it to the machine. A track that is over needs no ruling.

        ``since``: P(real) when the track was put before them, for rulings that were made a while ago; outdated ones are not made again.
        """
        self._rulings.pop(track, None)
        records = engine.records
        places = np.flatnonzero(records["id"] == track)
        if verdict is Verdict.MAYBE or not len(places):
            return
        record = records[places[0]]
        if since is not None and Ruling(verdict, _log_odds(since)).is_outdated(_log_odds(float(record["probability"]))):
            return
        self._rulings[track] = Ruling(verdict, float(record["slow"]))

    def apply(self, decisions: DecisionColumns) -> None:
        """Puts what was ruled in place of the machine's verdicts, in the arrays that are about to be sent."""
        pairs = (
            (decisions.track_ids, decisions.verdicts),
            (decisions.track_ids, decisions.track_verdicts),
            (decisions.coasted_track_ids, decisions.coasted_verdicts),
        )
        for track, ruling in self._rulings.items():
            for ids, verdicts in pairs:
                if len(verdicts) == len(ids):
                    verdicts[ids == track] = ruling.verdict

    def review(self, engine: StreamEngine) -> None:
        """Forgets the rulings on tracks that are over, or that the evidence has moved far against."""
        records = engine.records
        for track, ruling in list(self._rulings.items()):
            places = np.flatnonzero(records["id"] == track)
            if not len(places) or ruling.is_outdated(float(records["slow"][places[0]])):
                del self._rulings[track]
