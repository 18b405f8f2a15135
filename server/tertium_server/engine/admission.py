"""Admission: which frames may enter the engine. Whatever is malformed is refused here, by name, and changes nothing."""

import math

import numpy as np

from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import DUPLICATE_MEMORY, FrameStatus

LARGEST_COORDINATE = 1e6
"""Pixels: coordinates lie within ± this."""

LARGEST_INDEX = 1 << 62
"""Frame indices and capture times (nanoseconds) lie under this."""

_TAKEN = int(FrameStatus.TAKEN)
_DUPLICATE = int(FrameStatus.DUPLICATE)
_LATE = int(FrameStatus.LATE)
_INDEX = int(FrameStatus.INDEX)
_TIME = int(FrameStatus.TIME)
_BOX_NOT_FINITE = int(FrameStatus.BOX_NOT_FINITE)
_BOX_RANGE = int(FrameStatus.BOX_RANGE)
_BOX_SIZE = int(FrameStatus.BOX_SIZE)
_SCORE = int(FrameStatus.SCORE)
_CLASS = int(FrameStatus.CLASS)
_TRACK_ID = int(FrameStatus.TRACK_ID)
_LIMIT = int(FrameStatus.LIMIT)
_NANOSECONDS = 1e9


@kernel
def find_mismatch(frames, client_tracks):
    """The place in ``COLUMN_NAMES`` of the first column whose length does not fit the others; 0 where all fit."""
    count = frames.indices.shape[0]
    detections = frames.boxes.shape[0]
    if frames.counts.shape[0] != count:
        return 1
    if frames.times.shape[0] != count and frames.times.shape[0] != 0:
        return 2
    counted = np.int64(0)
    for place in range(count):
        counted += np.int64(frames.counts[place])
    if counted != detections:
        return 3
    if frames.scores.shape[0] != detections and frames.scores.shape[0] != 0:
        return 4
    if frames.class_ids.shape[0] != detections and frames.class_ids.shape[0] != 0:
        return 5
    if frames.track_ids.shape[0] != (detections if client_tracks else 0):
        return 6
    return 0


@kernel
def check_clock(stream, index, time):
    """Status of a frame by its index and capture time alone."""
    if index < 0 or index >= LARGEST_INDEX:
        return _INDEX
    if time <= -LARGEST_INDEX or time >= LARGEST_INDEX:
        return _TIME
    if stream.last_index < 0 or index > stream.last_index:
        return _TAKEN
    age = stream.last_index - index
    if age <= DUPLICATE_MEMORY and (stream.recent >> np.uint64(age)) & np.uint64(1):
        return _DUPLICATE
    return _LATE


@kernel
def capture_time(times, place, index, tracker):
    """Capture time in nanoseconds of a frame: its own, or its index times the nominal interval. Out of range where neither is to be had."""
    if times.shape[0] > 0:
        return times[place]
    nanoseconds = index * tracker.frame_interval * _NANOSECONDS
    if tracker.frame_interval <= 0.0 or nanoseconds >= LARGEST_INDEX:
        return np.int64(LARGEST_INDEX)
    return np.int64(math.floor(nanoseconds + 0.5))


@kernel
def _check_box(boxes, detection):
    for corner in range(4):
        value = boxes[detection, corner]
        if not math.isfinite(value):
            return _BOX_NOT_FINITE
        if abs(value) > LARGEST_COORDINATE:
            return _BOX_RANGE
    if not (boxes[detection, 0] < boxes[detection, 2] and boxes[detection, 1] < boxes[detection, 3]):
        return _BOX_SIZE
    return _TAKEN


@kernel
def _check_track_ids(track_ids, first, count):
    """The first detection whose caller's track id is out of range or occurs twice; -1 if there is none."""
    for detection in range(first, first + count):
        if track_ids[detection] < 0:
            return detection
        if track_ids[detection] > 0:
            for earlier in range(first, detection):
                if track_ids[earlier] == track_ids[detection]:
                    return detection
    return -1


@kernel
def check_detections(frames, first, count, tracker, class_lookup, one_class):
    """Status of a frame by its ``count`` detections from ``first`` on, and the detection at fault (-1: none)."""
    if count > tracker.max_detections:
        return _LIMIT, -1
    for detection in range(first, first + count):
        status = _check_box(frames.boxes, detection)
        if status != _TAKEN:
            return status, detection
        if frames.scores.shape[0] > 0:
            score = frames.scores[detection]
            if not math.isfinite(score) or (tracker.logits == 0 and not 0.0 <= score <= 1.0):
                return _SCORE, detection
        if frames.class_ids.shape[0] > 0:
            class_id = frames.class_ids[detection]
            if class_id >= class_lookup.shape[0] or class_lookup[class_id] < 0:
                return _CLASS, detection
        elif not one_class:
            return _CLASS, detection
    if tracker.client_tracks:
        culprit = _check_track_ids(frames.track_ids, first, count)
        if culprit >= 0:
            return _TRACK_ID, culprit
    return _TAKEN, -1
