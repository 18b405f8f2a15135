"""A frame judged apart from being tracked: later, with evidence that what came after has smoothed. See lag.py.

The same kernels judge as for a frame that is answered at once; what they judge is a copy of the tracks, with the verdicts of the frame judged before.
"""

from typing import Any

from tertium_server.engine import arrays, association, decide, lifecycle, smoothing, step
from tertium_server.engine.columns import FRAMES_TAKEN
from tertium_server.engine.kernel import array_kernel, kernel
from tertium_server.engine.layout import STEADY, EventReason, Verdict

_NO = int(Verdict.NO)
_RESET = int(EventReason.RESET)
_EVICTED = int(EventReason.EVICTED)
_POLICY_CHANGED = int(EventReason.POLICY_CHANGED)
_ZONE_CHANGED = int(EventReason.ZONE_CHANGED)
_CARRIED = 255  # in ``closing`` of a track of the frame before: it goes on


@array_kernel
def end_before_reset(table, workspace_table, counting):
    """Ends all tracks of the frame judged before: the stream was reset after it."""
    streams, _, judges, _, tracks, _, closed, _, _ = arrays.stream_arrays(table)
    outputs, progress = arrays.outputs_of(workspace_table), arrays.progress_of(workspace_table)
    step.end_all(streams, judges, tracks, _RESET, counting, outputs.events, outputs.dismissed, progress, closed)


@array_kernel
def judge(table, workspace_table, fresh, levels, rows, around, index, time, counting, policy_changed):
    """Judges a frame and writes its decisions.

    ``fresh``: (tracks,) the frame's tracks as they were tracked; ``levels`` (tracks, SMOOTHED). Of each detection, ``rows`` (2, D) hold track and
    row of its class, ``around`` (3, D) overlap, cover and neighbours. ``policy_changed``: the frame before was judged by other parameters.
    """
    streams, trackers, judges, _, tracks, tally, closed, _, _ = arrays.stream_arrays(table)
    outputs, progress = arrays.outputs_of(workspace_table), arrays.progress_of(workspace_table)
    scratch = arrays.scratch_of(workspace_table)
    stream: Any = streams[0]
    _carry(
        stream, judges, tracks, fresh, levels, index, time, counting,
        outputs.events, outputs.dismissed, progress, closed,
    )  # fmt: skip
    for slot in range(fresh.shape[0]):
        tracks[slot] = fresh[slot]
    stream.tracks = fresh.shape[0]
    _judge_otherwise(stream, judges, tracks, index, time, policy_changed, outputs.events, progress)
    step.judge_tracks(stream, trackers[0], judges, tracks, index, time, outputs.events, progress)
    for detection in range(rows.shape[1]):
        scratch.integers[association.MATCHED_TRACK, detection] = rows[0, detection]
        scratch.integers[association.CLASS_ROW, detection] = rows[1, detection]
        scratch.floats[association.OVERLAP, detection] = around[0, detection]
        scratch.floats[association.COVER, detection] = around[1, detection]
        scratch.floats[association.NEIGHBOURS, detection] = around[2, detection]
    decide.write_decisions(
        trackers[0], judges, tracks, rows.shape[1], index, counting, outputs, scratch, progress, tally
    )


@array_kernel
def conclude(table, workspace_table, index, counting):
    """Removes the tracks that are over with the frame, and writes those without a detection."""
    streams, trackers, judges, _, tracks, _, closed, _, _ = arrays.stream_arrays(table)
    outputs, progress = arrays.outputs_of(workspace_table), arrays.progress_of(workspace_table)
    stream: Any = streams[0]
    step.close(
        stream, judges, tracks, index, stream.last_time, counting, outputs.events, outputs.dismissed, progress, closed
    )
    decide.write_coasted(streams[0], trackers[0], tracks, outputs, progress)
    progress[FRAMES_TAKEN] += 1


@kernel
def _carry(stream, judges, tracks, fresh, levels, index, time, counting, events, dismissed, progress, closed):
    """Gives the frame's tracks their smoothed levels, and the verdicts they had at the frame before; tells of those that were evicted."""
    place = 0
    for slot in range(fresh.shape[0]):
        track = fresh[slot]
        track.fast, track.fast_variance = levels[slot, 0], levels[slot, 1]
        track.slow, track.slow_variance = levels[slot, 2], levels[slot, 3]
        found = -1
        if track.first_frame != index:
            found = smoothing.place_of(tracks, stream.tracks, track, place)
        if found < 0:
            track.verdict = _NO
            track.announced = 0
            track.turning_since = STEADY
            track.judged_by = judges[track.judge_row].fingerprint
            continue
        before = tracks[found]
        place = found + 1 if found + 1 < stream.tracks else 0
        before.closing = _CARRIED
        track.verdict = before.verdict
        track.announced = before.announced
        track.turning_since = before.turning_since
        track.judged_by = before.judged_by
    for slot in range(stream.tracks):
        if tracks[slot].closing != _CARRIED:
            lifecycle.tell_end(
                tracks[slot], judges[tracks[slot].judge_row], _EVICTED, index, time,
                events, dismissed, progress, closed, counting,
            )  # fmt: skip


@kernel
def _judge_otherwise(stream, judges, tracks, index, time, policy_changed, events, progress):
    """Judges tracks anew that are judged by other parameters than at the frame before."""
    reason = _POLICY_CHANGED if policy_changed else _ZONE_CHANGED
    for slot in range(stream.tracks):
        track = tracks[slot]
        judge = judges[track.judge_row]
        if track.judged_by != judge.fingerprint:
            step.judge_anew(track, judge, reason, index, time, events, progress)
