"""What lies in memory: the records that kernels read and write, and the codes they exchange with Python.

One record is one track, one class's parameters, one stream. Kernels reach fields by name (``track.hits``), Python sees structured arrays, and a
snapshot is the records' bytes.
"""

from enum import IntEnum

import numpy as np


class Verdict(IntEnum):
    """The answer to "is it real?"; numbers as on the wire, ordered from no to yes."""

    NO = 1
    MAYBE = 2
    YES = 3


class FrameStatus(IntEnum):
    """What became of a frame: taken, or why it was refused."""

    TAKEN = 0
    DUPLICATE = 1
    LATE = 2
    INDEX = 3
    TIME = 4
    BOX_NOT_FINITE = 5
    BOX_RANGE = 6
    BOX_SIZE = 7
    SCORE = 8
    CLASS = 9
    TRACK_ID = 10
    LIMIT = 11
    MISMATCH = 12


class Reset(IntEnum):
    """Why all tracks of a stream were ended before a frame."""

    NONE = 0
    TIME_BACKWARDS = 1
    GAP = 2


class EventType(IntEnum):
    """What happened to a track; numbers as on the wire."""

    STARTED = 1
    VERDICT_CHANGED = 2
    ENDED = 3


class EventReason(IntEnum):
    """What caused a track event; numbers as on the wire."""

    THRESHOLD = 1
    LOST = 2
    LEFT = 3
    STREAM_ENDED = 4
    RESET = 5
    EVICTED = 6
    POLICY_CHANGED = 8
    ZONE_CHANGED = 9


AXES = 4
"""Independent position-velocity pairs of the motion filter: centre x, centre y, width, height."""

BOX_FEATURES = 13
"""Length of the box read-out: constant, z up to its bend, fast level, slow level of small boxes, log hits, fit, overlap; z over its bend, slow level
of large boxes, cover, neighbours, size, its square. See readout.py."""

TRACK_FEATURES = 8
"""Length of the track read-out: constant, slow level, fast level, the slow one's deviation, log hits, log misses in a row, size, its square."""

DUPLICATE_MEMORY = 63
"""How far back (in frame indices) a repeated frame is told from a late one."""

STEADY = -(1 << 63)
"""In place of a capture time: none. Times may be negative, but none is as low as this."""

# One track. Positions in pixels, velocities in pixels a second, times in nanoseconds, evidence in log-odds.
TRACK = np.dtype(
    [
        ("id", np.int64),
        ("first_frame", np.int64),
        ("last_seen", np.int64),  # capture time of the last detection
        ("turning_since", np.int64),  # capture time since which the verdict would fall; STEADY: it would not
        ("position", np.float64, (AXES,)),
        ("velocity", np.float64, (AXES,)),
        ("variance", np.float64, (AXES,)),  # of position
        ("covariance", np.float64, (AXES,)),  # of position and velocity
        ("velocity_variance", np.float64, (AXES,)),
        ("fast", np.float64),
        ("fast_variance", np.float64),
        ("slow", np.float64),
        ("slow_variance", np.float64),
        ("fast_predicted", np.float64),  # variances before the last frame was fused: what a smoother goes back by
        ("slow_predicted", np.float64),
        ("measurement", np.float64),  # z of the last detection
        ("log_hits", np.float64),  # natural logarithm of hits, as far as they count
        ("size", np.float64),  # logarithm of its box's height in hundreds of pixels when last seen, as far as it counts
        ("score", np.float32),  # of the last detection, on the caller's scale
        ("fit", np.float32),  # normalized innovation squared of the last detection, by degree of freedom
        ("probability", np.float32),
        ("hits", np.uint32),
        ("misses", np.uint32),
        ("misses_in_a_row", np.uint32),
        ("unseen_in_a_row", np.uint32),  # frames without a detection, hidden or not
        ("class_row", np.int32),
        ("judge_row", np.int32),  # parameters of its class where it is: see zones.py
        ("judged_by", np.uint32),  # fingerprint of the parameters that its verdict is by
        ("verdict", np.uint8),
        ("announced", np.uint8),  # its verdict has left NO
        ("established", np.uint8),  # its probability has reached the tracker's mark
        ("closing", np.uint8),  # EventReason of its end, 0 while it lives
    ],
    align=True,
)

# One stream's clock and counters.
STREAM = np.dtype(
    [
        ("last_index", np.int64),  # -1 before the first frame
        ("last_time", np.int64),
        ("recent", np.uint64),  # bit k: the frame with index last_index - k was taken
        ("next_id", np.int64),
        ("interval", np.float64),  # seconds between the last two frames
        ("tracks", np.int64),  # records in use
        ("frames", np.int64),  # frames taken, ever
        ("traced", np.int64),  # 1: tracks are copied out at each frame, for it is judged apart: see lag.py
    ],
    align=True,
)

# What a class is judged by. See policy/values.py for the meaning and range of each value.
CLASS = np.dtype(
    [
        ("id", np.int64),  # the caller's class id
        ("offset", np.float64),
        ("gain", np.float64),
        ("clip", np.float64),
        ("birth_mean", np.float64),
        ("birth_variance", np.float64),
        ("fast_drift", np.float64),
        ("slow_drift", np.float64),
        ("noise", np.float64),
        ("correlation_time", np.float64),
        ("miss", np.float64),
        ("miss_noise", np.float64),
        ("box_weights", np.float64, (BOX_FEATURES,)),
        ("size_least", np.float64),  # sizes are log(height / 100 pixels); those beyond are taken for these
        ("size_most", np.float64),
        ("track_weights", np.float64, (TRACK_FEATURES,)),
        ("box_yes", np.float64),
        ("box_no", np.float64),
        ("track_yes", np.float64),
        ("track_no", np.float64),
        ("margin", np.float64),
        ("hold", np.float64),
        (
            "dismissed_hits",
            np.uint32,
        ),  # detections from which on the end of a track that never left NO is told to review
        ("fingerprint", np.uint32),  # of what a track's verdict is made by; another one: it is judged anew
    ],
    align=True,
)

# What a whole stream is tracked by.
TRACKER = np.dtype(
    [
        ("measurement_noise", np.float64),
        ("acceleration", np.float64),
        ("size_acceleration", np.float64),
        ("initial_speed", np.float64),
        # Coefficients of dt³, dt² and dt of a position-velocity pair's process noise, from filterpy.
        ("noise_position", np.float64),
        ("noise_cross", np.float64),
        ("noise_velocity", np.float64),
        ("established", np.float64),  # probability from which a track is matched first and coasts long
        ("high", np.float64),  # log-odds from which a detection counts as confident
        ("gate_high", np.float64),
        ("gate_low", np.float64),
        ("gate_candidate", np.float64),
        ("buffer", np.float64),
        ("class_aware", np.int64),
        ("coast", np.float64),
        ("candidate_coast", np.float64),
        ("hidden_cover", np.float64),
        ("inside", np.float64),
        ("max_gap", np.float64),
        ("frame_width", np.float64),
        ("frame_height", np.float64),
        ("frame_interval", np.float64),  # seconds between frames: nominal, 0 unknown
        # Capture times for which all these parameters hold; for a frame before or after, there are others.
        ("valid_from", np.int64),
        ("valid_until", np.int64),
        ("client_tracks", np.int64),
        ("logits", np.int64),
        ("max_detections", np.int64),
        ("max_tracks", np.int64),
        ("want_boxes", np.int64),
        ("want_tracks", np.int64),
        ("want_coasted", np.int64),
        ("want_features", np.int64),
        ("want_overlap", np.int64),
        ("decision_lag", np.int64),  # frames by which answers wait for those after them
    ],
    align=True,
)

# What happened to a track, with the numbers behind it.
EVENT = np.dtype(
    [
        ("track_id", np.int64),
        ("frame_index", np.int64),
        ("time", np.int64),  # capture time of that frame
        ("first_frame", np.int64),
        ("retroactive_from", np.int64),  # -1: absent
        ("class_id", np.uint32),
        ("hits", np.uint32),
        ("misses", np.uint32),
        ("probability", np.float32),
        ("lower", np.float32),
        ("upper", np.float32),
        ("threshold", np.float32),
        ("evidence_fast", np.float32),
        ("evidence_slow", np.float32),
        ("score", np.float32),
        ("type", np.uint8),
        ("reason", np.uint8),
        ("from_verdict", np.uint8),
        ("to_verdict", np.uint8),
    ],
    align=True,
)
