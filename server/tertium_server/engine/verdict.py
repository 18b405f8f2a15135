"""Verdicts: a probability against two thresholds.

A box is judged by its probability alone. A track has hysteresis: it rises as soon as a threshold is reached, and falls back only by a margin
under it, or after having been under it for a time.
"""

from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import STEADY, Verdict

_NO = int(Verdict.NO)
_MAYBE = int(Verdict.MAYBE)
_YES = int(Verdict.YES)
_NANOSECONDS = 1e-9


@kernel
def judge_plainly(probability, no, yes):
    """The verdict on a probability: YES from ``yes`` on, NO under ``no``, MAYBE between."""
    if probability >= yes:
        return _YES
    if probability < no:
        return _NO
    return _MAYBE


@kernel
def judge_track(track, judge, time):
    """The track's verdict now, with hysteresis. ``time``: capture time in nanoseconds. Keeps ``track.turning_since``."""
    probability = track.probability
    target = judge_plainly(probability, judge.track_no, judge.track_yes)
    if target >= track.verdict:
        track.turning_since = STEADY
        return target
    relaxed = judge_plainly(probability, judge.track_no - judge.margin, judge.track_yes - judge.margin)
    if relaxed < track.verdict:
        track.turning_since = STEADY
        return relaxed
    if track.turning_since == STEADY:
        track.turning_since = time
    if (time - track.turning_since) * _NANOSECONDS >= judge.hold:
        track.turning_since = STEADY
        return target
    return track.verdict
