"""A message's frames, one after the other, in one compiled call."""

from typing import Any

import numpy as np

from tertium_server.engine import admission, arrays, step
from tertium_server.engine.columns import (
    COASTED_OUT,
    DETECTIONS_READ,
    DISMISSED_OUT,
    EVENTS_OUT,
    FRAMES_DONE,
    MISMATCH,
    NEEDED,
    NOT_BEGUN,
    OTHER_PARAMETERS,
    OTHER_TIME,
    TRACED,
)
from tertium_server.engine.kernel import array_kernel, kernel
from tertium_server.engine.layout import FrameStatus

_TAKEN = int(FrameStatus.TAKEN)
_MISMATCH = int(FrameStatus.MISMATCH)


@array_kernel
def run(stream_table, workspace_table, columns, answered):
    """Runs frames that Python hands over; otherwise as :func:`run_frames`."""
    return run_frames(stream_table, workspace_table, arrays.borrow(columns), answered)


@array_kernel
def run_frames(stream_table, workspace_table, frames, answered):
    """Runs frames until all are done, or the buffers are too small for the next one, or it needs other parameters.

    Returns True when all frames are done. Otherwise ``progress[NEEDED]`` holds how many tracks and detections the next frame may come to,
    OTHER_PARAMETERS or TRACED, and the call is made again with what it needs. Frames up to index ``answered`` are computed but not counted.
    """
    streams, trackers, judges, class_lookup, tracks, tally, closed, corners, starts = arrays.stream_arrays(stream_table)
    outputs = arrays.outputs_of(workspace_table)
    scratch = arrays.scratch_of(workspace_table)
    progress = arrays.progress_of(workspace_table)
    stream = streams[0]
    tracker = trackers[0]
    one_class = judges.shape[0] == starts.shape[0]
    if progress[FRAMES_DONE] == NOT_BEGUN:
        progress[:] = 0
        progress[MISMATCH] = admission.find_mismatch(frames, tracker.client_tracks != 0)
        if progress[MISMATCH]:
            _refuse_all(outputs.reports, frames.indices.shape[0])
            progress[FRAMES_DONE] = frames.indices.shape[0]
            return True
    while progress[FRAMES_DONE] < frames.indices.shape[0]:
        place = progress[FRAMES_DONE]
        first = progress[DETECTIONS_READ]
        count = np.int64(frames.counts[place])
        index = frames.indices[place]
        time = admission.capture_time(frames.times, place, index, tracker)
        report: Any = outputs.reports[place]
        report.culprit = -1
        report.reset = 0
        status = admission.check_clock(stream, index, time)
        if status == _TAKEN:
            status, culprit = admission.check_detections(frames, first, count, tracker, class_lookup, one_class)
            report.culprit = culprit
        if status == _TAKEN:
            if time < tracker.valid_from or time >= tracker.valid_until:
                progress[NEEDED] = OTHER_PARAMETERS
                progress[OTHER_TIME] = time
                return False
            needed = stream.tracks + count
            if not _fits(needed, min(needed, tracker.max_tracks), stream, tracks, outputs, scratch, progress):
                progress[NEEDED] = needed
                return False
            report.reset = step.advance(
                streams, trackers, judges, class_lookup, tracks, frames, first, count, index, time, index > answered and stream.traced == 0,
                outputs, scratch, progress, tally, closed, corners, starts,
            )  # fmt: skip
        report.status = status
        progress[FRAMES_DONE] = place + 1
        progress[DETECTIONS_READ] = first + count
        if status == _TAKEN and stream.traced:
            progress[NEEDED] = TRACED
            return False
    return True


@kernel
def _refuse_all(reports, count):
    for place in range(count):
        reports[place].status = _MISMATCH
        reports[place].culprit = -1
        reports[place].reset = 0


@kernel
def _fits(needed, needed_tracks, stream, tracks, outputs, scratch, progress):
    """Whether a frame that may come to ``needed`` tracks and detections can be run within the buffers."""
    return (
        needed_tracks <= tracks.shape[0]
        and (stream.traced == 0 or needed_tracks <= outputs.trace.shape[0])
        and needed <= scratch.floats.shape[1]
        and progress[EVENTS_OUT] + 4 * needed <= outputs.events.shape[0]
        and progress[DISMISSED_OUT] + needed <= outputs.dismissed.shape[0]
        and progress[COASTED_OUT] + needed <= outputs.coasted_track_ids.shape[0]
    )
