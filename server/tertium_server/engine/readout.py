"""Read-outs: from a track's evidence to calibrated probabilities of the box and of the track.

Both are logistic. The box ("is this box right, here, now?") sees the current score, the track ("is this a real object?") does not: a person who walks
behind a pillar keeps a sure track while the box of this frame is poor.
"""

import math

import numpy as np

from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import BOX_FEATURES

FIT_CLIP = 4.0
"""A box that fits the motion filter worse than this (normalized innovation squared by degree of freedom) is no worse still."""

BEND = 1.0
"""Log-odds from which a measurement is weighed apart: among good scores, a little more says more, or less, than among poor ones."""

SIZE_UNIT = 0.01
"""Sizes are logarithms of heights in hundreds of pixels."""

MOST_NEIGHBOURS = 5.0
"""More neighbours than this say no more."""

MOST_HITS = 50
"""A track is no more real for its thousandth detection: what has stood in the picture long may well be a traffic cone."""

INTERVAL = 1.959963984540054
"""Standard deviations of a normal distribution on either side of a 95 % interval."""

# A look-up takes a tenth of the time of a logarithm, and there are two for each track and frame.
_LOGARITHMS = np.log(np.arange(1, 257, dtype=np.float64))


@kernel
def log_hits(hits):
    """Natural logarithm of the number of detections, as far as they count."""
    return _LOGARITHMS[min(hits, MOST_HITS) - 1]


@kernel
def log_misses(misses):
    """Natural logarithm of 1 + the number of misses in a row."""
    return _LOGARITHMS[misses] if misses < _LOGARITHMS.shape[0] else math.log(1.0 + misses)


@kernel
def sigmoid(log_odds):
    """The logistic function, without overflow on either side."""
    if log_odds >= 0.0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    small = math.exp(log_odds)
    return small / (1.0 + small)


@kernel
def box_size(height, judge):
    """The size of a box ``height`` pixels high: the logarithm of hundreds of pixels, within what the weights were fitted on."""
    return min(max(math.log(max(height, 1.0) * SIZE_UNIT), judge.size_least), judge.size_most)


@kernel
def largeness(size):
    """From 0 (37 pixels high or less) to 1 (272 or more): how far a box is judged by the weights of large ones."""
    return min(max(0.5 + 0.5 * size, 0.0), 1.0)


@kernel
def box_log_odds(track, judge, overlap, cover, neighbours):
    """Log-odds that the track's current box is right; the last three are what stands around it (association.look_around)."""
    weights = judge.box_weights
    large_slow = largeness(track.size) * track.slow
    above = max(track.measurement - BEND, 0.0)
    return (
        weights[0]
        + weights[1] * (track.measurement - above)
        + weights[2] * track.fast
        + weights[3] * (track.slow - large_slow)
        + weights[4] * track.log_hits
        + weights[5] * min(track.fit, FIT_CLIP)
        + weights[6] * overlap
        + weights[7] * above
        + weights[8] * large_slow
        + weights[9] * cover
        + weights[10] * min(neighbours, MOST_NEIGHBOURS)
        + (weights[11] + weights[12] * track.size) * track.size
    )


@kernel
def track_log_odds(track, judge):
    """Log-odds that the track is a real object."""
    weights = judge.track_weights
    return (
        weights[0]
        + weights[1] * track.slow
        + weights[2] * track.fast
        + weights[3] * math.sqrt(track.slow_variance)
        + weights[4] * track.log_hits
        + weights[5] * log_misses(track.misses_in_a_row)
        + (weights[6] + weights[7] * track.size) * track.size
    )


@kernel
def interval_half_width(track, judge):
    """Half the width of the 95 % interval of the track's log-odds: what the slow level may be off by."""
    return INTERVAL * abs(judge.track_weights[1]) * math.sqrt(track.slow_variance)


@kernel
def write_features(track, overlap, cover, neighbours, features, out):
    """Writes what the two read-outs weigh, in the order of their weights, into row ``out``."""
    row = features[out]
    large_slow = largeness(track.size) * track.slow
    above = max(track.measurement - BEND, 0.0)
    row[0] = 1.0
    row[1] = track.measurement - above
    row[2] = track.fast
    row[3] = track.slow - large_slow
    row[4] = track.log_hits
    row[5] = min(track.fit, FIT_CLIP)
    row[6] = overlap
    row[7] = above
    row[8] = large_slow
    row[9] = cover
    row[10] = min(neighbours, MOST_NEIGHBOURS)
    row[11] = track.size
    row[12] = track.size * track.size
    row[BOX_FEATURES] = 1.0
    row[BOX_FEATURES + 1] = track.slow
    row[BOX_FEATURES + 2] = track.fast
    row[BOX_FEATURES + 3] = math.sqrt(track.slow_variance)
    row[BOX_FEATURES + 4] = track.log_hits
    row[BOX_FEATURES + 5] = log_misses(track.misses_in_a_row)
    row[BOX_FEATURES + 6] = track.size
    row[BOX_FEATURES + 7] = track.size * track.size
