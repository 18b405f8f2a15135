r"""Evidence of a track: two scalar Kalman filters whose measurement is the confidence.

The level :math:`x` (log-odds) is a random walk; each detection measures it by :math:`z = a + b\,\mathrm{logit}(s)`, clipped, and each frame in which
the track should have been seen and was not, by a fixed low value:

.. math:: P \leftarrow P + q\,\Delta t, \quad K = P/(P + R), \quad x \leftarrow x + K (z - x), \quad P \leftarrow (1-K) P.

A fast and a slow level differ in :math:`q`. Errors of a detector are alike from frame to frame: with a correlation time :math:`\tau`, frames closer
together than that carry less news each, :math:`R = r\,(1 + \tau/\Delta t)`, so that neither a thousand frames of a traffic cone nor a doubled frame
rate make a track certain.
"""

import math

from tertium_server.engine.kernel import kernel

SCORE_MARGIN = 1e-4
"""Scores are kept this far from 0 and 1 before the logit is taken: files hold exact zeros and ones."""

SHORTEST_STEP = 1e-3
"""Seconds: frames are taken to be at least this far apart when their news is weighed."""


@kernel
def log_odds(score, is_logit):
    """The logit of a score in [0, 1], or the score itself where it is one."""
    if is_logit:
        return score
    bounded = min(max(score, SCORE_MARGIN), 1.0 - SCORE_MARGIN)
    return math.log(bounded / (1.0 - bounded))


@kernel
def measurement(judge, score, is_logit):
    """A score on the class's calibrated log-odds scale, clipped to ± ``judge.clip``."""
    calibrated = judge.offset + judge.gain * log_odds(score, is_logit)
    return min(max(calibrated, -judge.clip), judge.clip)


@kernel
def effective_noise(noise, correlation_time, seconds):
    """The measurement variance of one of many frames ``seconds`` apart."""
    return noise * (1.0 + correlation_time / max(seconds, SHORTEST_STEP))


@kernel
def _fuse(track, observed, noise):
    gain = track.fast_variance / (track.fast_variance + noise)
    track.fast += gain * (observed - track.fast)
    track.fast_variance *= 1.0 - gain
    gain = track.slow_variance / (track.slow_variance + noise)
    track.slow += gain * (observed - track.slow)
    track.slow_variance *= 1.0 - gain


@kernel
def begin(track, judge):
    """Gives a new track the birth prior: well below zero, for most one-frame tracks are clutter."""
    track.fast = judge.birth_mean
    track.slow = judge.birth_mean
    track.fast_variance = judge.birth_variance
    track.slow_variance = judge.birth_variance
    track.fast_predicted = judge.birth_variance
    track.slow_predicted = judge.birth_variance


@kernel
def predict(track, judge, seconds):
    """Lets the levels drift for ``seconds`` (≥ 0)."""
    track.fast_variance += judge.fast_drift * seconds
    track.slow_variance += judge.slow_drift * seconds
    track.fast_predicted = track.fast_variance
    track.slow_predicted = track.slow_variance


@kernel
def update_hit(track, judge, observed, seconds):
    """Fuses a detection's measurement, ``seconds`` after the frame before."""
    _fuse(track, observed, effective_noise(judge.noise, judge.correlation_time, seconds))


@kernel
def update_miss(track, judge, seconds):
    """Fuses an absence, ``seconds`` after the frame before."""
    _fuse(track, judge.miss, effective_noise(judge.miss_noise, judge.correlation_time, seconds))
