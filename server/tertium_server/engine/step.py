"""One frame of a stream: motion → association → evidence → verdict."""

import numpy as np

from tertium_server.engine import association, decide, evidence, lifecycle, motion, readout, verdict, zones
from tertium_server.engine.columns import FRAMES_TAKEN, MOST_EDGES, RESETS, TRACED_TRACKS
from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import DUPLICATE_MEMORY, STEADY, EventReason, Reset, Verdict

_NO = int(Verdict.NO)
_RESET = int(EventReason.RESET)
_EVICTED = int(EventReason.EVICTED)
_THRESHOLD = int(EventReason.THRESHOLD)
_POLICY_CHANGED = int(EventReason.POLICY_CHANGED)
_ZONE_CHANGED = int(EventReason.ZONE_CHANGED)
_BACKWARDS = int(Reset.TIME_BACKWARDS)
_GAP = int(Reset.GAP)
_DEFAULT_INTERVAL = 1.0 / 30.0  # seconds between frames, where nothing is known yet
_NANOSECONDS = 1e-9
_MEASUREMENT, _OVERLAP = association.MEASUREMENT, association.OVERLAP
_COVER, _NEIGHBOURS = association.COVER, association.NEIGHBOURS
_CLASS_ROW, _MATCHED_TRACK, _MATCHED_DETECTION = (
    association.CLASS_ROW,
    association.MATCHED_TRACK,
    association.MATCHED_DETECTION,
)


@kernel
def end_all(streams, judges, tracks, reason, counting, events, dismissed, progress, closed):
    """Ends every track of the stream."""
    stream = streams[0]
    for slot in range(stream.tracks):
        track = tracks[slot]
        lifecycle.tell_end(
            track, judges[track.judge_row], reason, stream.last_index, stream.last_time,
            events, dismissed, progress, closed, counting,
        )  # fmt: skip
    stream.tracks = 0


@kernel
def advance(
    streams, trackers, judges, class_lookup, tracks, frames, first, count, index, time, counting,
    outputs, scratch, progress, tally, closed, corners, starts,
):  # fmt: skip
    """One admitted frame. Returns the Reset that went before it."""
    stream = streams[0]
    tracker = trackers[0]
    floats, integers = scratch.floats, scratch.integers
    reset = _reset_reason(stream, tracker, time)
    if reset != 0:
        end_all(streams, judges, tracks, _RESET, counting, outputs.events, outputs.dismissed, progress, closed)
    seconds = _tick(stream, tracker, index, time, reset)

    for slot in range(stream.tracks):
        track = tracks[slot]
        judge = judges[track.judge_row]
        if track.judged_by != judge.fingerprint:
            judge_anew(track, judge, _POLICY_CHANGED, index, time, outputs.events, progress)
        motion.predict(track, tracker, seconds)
        evidence.predict(track, judge, seconds)
    _measure(frames, first, count, tracker, judges, class_lookup, scratch)
    if tracker.client_tracks:
        association.follow_caller(tracks, stream.tracks, frames.track_ids, first, count, integers)
        association.place_tracks(tracks, stream.tracks, 0.0, floats)
    else:
        association.place_tracks(tracks, stream.tracks, tracker.buffer, floats)
        edges = association.associate(
            tracks, stream.tracks, count, tracker, floats, integers, scratch.edge_column, scratch.edge_weight
        )
        progress[MOST_EDGES] = max(progress[MOST_EDGES], edges)

    _miss(stream, tracker, judges, tracks, seconds, time, floats, integers)
    _hit(tracker, judges, tracks, frames, first, count, time, seconds, scratch)
    _start(
        streams, trackers, judges, tracks, frames, first, count, index, time, seconds, counting,
        outputs.events, outputs.dismissed, progress, scratch, closed, corners, starts,
    )  # fmt: skip
    if starts.shape[0] > 1:
        _cross_zones(stream, judges, tracks, corners, starts, index, time, outputs.events, progress)
    judge_tracks(stream, tracker, judges, tracks, index, time, outputs.events, progress)
    if stream.traced:
        _copy_out(stream, tracks, outputs.trace, progress)
    decide.write_decisions(tracker, judges, tracks, count, index, counting, outputs, scratch, progress, tally)
    close(stream, judges, tracks, index, time, counting, outputs.events, outputs.dismissed, progress, closed)
    decide.write_coasted(stream, tracker, tracks, outputs, progress)
    progress[FRAMES_TAKEN] += 1
    progress[RESETS] += reset != 0
    return reset


@kernel
def _copy_out(stream, tracks, trace, progress):
    """Copies all tracks, before those that are over are removed."""
    for slot in range(stream.tracks):
        trace[slot] = tracks[slot]
    progress[TRACED_TRACKS] = stream.tracks


@kernel
def _reset_reason(stream, tracker, time):
    if stream.last_index < 0:
        return 0
    if time < stream.last_time:
        return _BACKWARDS
    if (time - stream.last_time) * _NANOSECONDS > tracker.max_gap:
        return _GAP
    return 0


@kernel
def _tick(stream, tracker, index, time, reset):
    """Sets the stream's clock to this frame; returns the seconds since the one before (a typical interval where there is none)."""
    if stream.last_index >= 0 and reset == 0:
        stream.interval = (time - stream.last_time) * _NANOSECONDS
    elif stream.interval <= 0.0:
        stream.interval = tracker.frame_interval if tracker.frame_interval > 0.0 else _DEFAULT_INTERVAL
    skipped = index - stream.last_index
    if stream.last_index < 0 or skipped > DUPLICATE_MEMORY:
        stream.recent = np.uint64(1)
    else:
        stream.recent = (stream.recent << np.uint64(skipped)) | np.uint64(1)
    stream.last_index = index
    stream.last_time = time
    stream.frames += 1
    return stream.interval


@kernel
def _measure(frames, first, count, tracker, judges, class_lookup, scratch):
    """Puts the frame's detections into the scratch: corners, class, calibrated measurement, what stands around them."""
    floats, integers = scratch.floats, scratch.integers
    association.place_detections(frames.boxes, first, count, tracker.buffer, floats)
    for detection in range(count):
        row = class_lookup[frames.class_ids[first + detection]] if frames.class_ids.shape[0] > 0 else 0
        integers[_CLASS_ROW, detection] = row
        score = np.float64(frames.scores[first + detection]) if frames.scores.shape[0] > 0 else 1.0
        floats[_MEASUREMENT, detection] = evidence.measurement(judges[row], score, tracker.logits != 0)
        floats[_OVERLAP, detection] = 0.0
        floats[_COVER, detection] = 0.0
        floats[_NEIGHBOURS, detection] = 0.0
    if tracker.want_overlap and frames.scores.shape[0] > 0:
        association.look_around(count, frames.scores, first, floats, integers)


@kernel
def _miss(stream, tracker, judges, tracks, seconds, time, floats, integers):
    """Absence is evidence for tracks that should have been seen; for the others time goes on."""
    for slot in range(stream.tracks):
        if integers[_MATCHED_DETECTION, slot] >= 0:
            continue
        track = tracks[slot]
        track.unseen_in_a_row += 1
        if lifecycle.should_be_visible(tracks, slot, stream.tracks, tracker, floats, integers):
            evidence.update_miss(track, judges[track.judge_row], seconds)
            track.misses += 1
            track.misses_in_a_row += 1
        track.closing = lifecycle.reason_to_end(track, tracker, time)


@kernel
def _hit(tracker, judges, tracks, frames, first, count, time, seconds, scratch):
    """Fuses each matched detection into its track.

    One call a frame: handing arrays to a call for each detection would cost more than the work.
    """
    floats, integers = scratch.floats, scratch.integers
    boxes = frames.boxes
    for detection in range(count):
        slot = integers[_MATCHED_TRACK, detection]
        if slot < 0:
            continue
        track = tracks[slot]
        place = first + detection
        left, top = np.float64(boxes[place, 0]), np.float64(boxes[place, 1])
        right, bottom = np.float64(boxes[place, 2]), np.float64(boxes[place, 3])
        track.fit = motion.update(
            track, tracker, 0.5 * (left + right), 0.5 * (top + bottom), right - left, bottom - top
        )
        score = np.float64(frames.scores[place]) if frames.scores.shape[0] > 0 else 1.0
        _see(track, judges[track.judge_row], floats[_MEASUREMENT, detection], score, time, seconds)


@kernel
def _see(track, judge, measurement, score, time, seconds):
    """What a detection means for its track, apart from where it is."""
    track.measurement = measurement
    evidence.update_hit(track, judge, measurement, seconds)
    track.score = score
    track.last_seen = time
    track.hits += 1
    track.log_hits = readout.log_hits(track.hits)
    track.size = readout.box_size(track.position[3], judge)
    track.misses_in_a_row = 0
    track.unseen_in_a_row = 0


@kernel
def _start(
    streams, trackers, judges, tracks, frames, first, count, index, time, seconds, counting,
    events, dismissed, progress, scratch, closed, corners, starts,
):  # fmt: skip
    """Starts a candidate with each detection that no track took."""
    stream = streams[0]
    tracker = trackers[0]
    floats, integers = scratch.floats, scratch.integers
    for detection in range(count):
        if integers[_MATCHED_TRACK, detection] >= 0:
            continue
        place = first + detection
        slot = _free_slot(
            streams, trackers, judges, tracks, index, time, counting, events, dismissed, progress, integers, closed
        )
        track_id = stream.next_id
        if tracker.client_tracks:
            track_id = frames.track_ids[place]
        else:
            stream.next_id += 1
        row = np.int32(integers[_CLASS_ROW, detection])
        track = tracks[slot]
        lifecycle.give_birth(track, track_id, row, index, time, frames.boxes, place, tracker, judges, corners, starts)
        integers[_MATCHED_TRACK, detection] = slot
        integers[_MATCHED_DETECTION, slot] = detection
        score = np.float64(frames.scores[place]) if frames.scores.shape[0] > 0 else 1.0
        _see(track, judges[track.judge_row], floats[_MEASUREMENT, detection], score, time, seconds)
        if track_id == 0:
            track.closing = lifecycle.reason_to_end(track, tracker, time)


@kernel
def _free_slot(streams, trackers, judges, tracks, index, time, counting, events, dismissed, progress, integers, closed):
    """A slot for a new track: the next one, or, where the stream is full, that of its least likely unseen track."""
    stream = streams[0]
    tracker = trackers[0]
    if stream.tracks < tracker.max_tracks:
        stream.tracks += 1
        return stream.tracks - 1
    slot = lifecycle.weakest_unseen(tracks, stream.tracks, integers)
    track = tracks[slot]
    lifecycle.tell_end(
        track, judges[track.judge_row], _EVICTED, index, time, events, dismissed, progress, closed, counting
    )
    return slot


@kernel
def judge_tracks(stream, tracker, judges, tracks, index, time, events, progress):
    """Gives every track its probability and its verdict, and tells of verdicts that change."""
    for slot in range(stream.tracks):
        track = tracks[slot]
        judge = judges[track.judge_row]
        track.probability = readout.sigmoid(readout.track_log_odds(track, judge))
        # Not by a threshold of the policy: those judge, and must not change what is tracked.
        if track.probability >= tracker.established:
            track.established = 1
        before = track.verdict
        track.verdict = verdict.judge_track(track, judge, time)
        if track.verdict != before:
            lifecycle.tell_verdict(track, judge, before, _THRESHOLD, index, time, events, progress)


@kernel
def judge_anew(track, judge, reason, index, time, events, progress):
    """Judges a track's evidence by other parameters than before, without hysteresis: nothing of the old ones is left in its verdict."""
    track.judged_by = judge.fingerprint
    track.probability = readout.sigmoid(readout.track_log_odds(track, judge))
    track.turning_since = STEADY
    before = track.verdict
    track.verdict = verdict.judge_plainly(track.probability, judge.track_no, judge.track_yes)
    if track.verdict != before:
        lifecycle.tell_verdict(track, judge, before, reason, index, time, events, progress)


@kernel
def _cross_zones(stream, judges, tracks, corners, starts, index, time, events, progress):
    """Gives every track the parameters of the zone it is in now."""
    for slot in range(stream.tracks):
        track = tracks[slot]
        zones.place(track, judges, corners, starts)
        judge = judges[track.judge_row]
        if track.judged_by != judge.fingerprint:
            judge_anew(track, judge, _ZONE_CHANGED, index, time, events, progress)


@kernel
def close(stream, judges, tracks, index, time, counting, events, dismissed, progress, closed):
    """Removes tracks that are over; the others keep their order."""
    kept = 0
    for slot in range(stream.tracks):
        track = tracks[slot]
        if track.closing:
            lifecycle.tell_end(
                track, judges[track.judge_row], track.closing, index, time,
                events, dismissed, progress, closed, counting,
            )  # fmt: skip
            continue
        if kept != slot:
            tracks[kept] = tracks[slot]
        kept += 1
    stream.tracks = kept
