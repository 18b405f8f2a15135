"""What is decided on a frame, written for the caller: each detection, and each track without one."""

import numpy as np

from tertium_server.engine import association, readout, verdict
from tertium_server.engine.columns import COASTED_OUT, DETECTIONS_OUT, FRAMES_TAKEN
from tertium_server.engine.kernel import kernel


@kernel
def write_decisions(tracker, judges, tracks, count, index, counting, outputs, scratch, progress, tally):
    """Writes the decisions on the frame's detections, in the caller's order."""
    overlaps, covers = scratch.floats[association.OVERLAP], scratch.floats[association.COVER]
    neighbours = scratch.floats[association.NEIGHBOURS]
    slots, rows = scratch.integers[association.MATCHED_TRACK], scratch.integers[association.CLASS_ROW]
    track_ids, values, verdicts = outputs.track_ids, outputs.values, outputs.verdicts
    boxes, features = outputs.boxes, outputs.features
    base = progress[DETECTIONS_OUT]
    for detection in range(count):
        track = tracks[slots[detection]]
        judge = judges[track.judge_row]
        out = base + detection
        log_odds = readout.box_log_odds(track, judge, overlaps[detection], covers[detection], neighbours[detection])
        probability = np.float32(readout.sigmoid(log_odds))
        box_verdict = verdict.judge_plainly(probability, judge.box_no, judge.box_yes)
        track_ids[out] = track.id
        values[0, out] = probability
        verdicts[0, out] = box_verdict
        if counting:
            tally[rows[detection], box_verdict] += 1
        if tracker.want_tracks:
            log_odds = readout.track_log_odds(track, judge)
            half_width = readout.interval_half_width(track, judge)
            values[1, out] = track.probability
            values[2, out] = readout.sigmoid(log_odds - half_width)
            values[3, out] = readout.sigmoid(log_odds + half_width)
            verdicts[1, out] = track.verdict
        if tracker.want_boxes:
            _write_box(track, boxes, out)
        if tracker.want_features:
            readout.write_features(track, overlaps[detection], covers[detection], neighbours[detection], features, out)
    outputs.frame_indices[progress[FRAMES_TAKEN]] = index
    outputs.counts[progress[FRAMES_TAKEN]] = count
    progress[DETECTIONS_OUT] = base + count


@kernel
def _write_box(track, boxes, out):
    # A size that shrank is predicted to shrink on, while nothing is seen, and would turn the box inside out.
    half_width, half_height = 0.5 * max(track.position[2], 1.0), 0.5 * max(track.position[3], 1.0)
    boxes[out, 0] = track.position[0] - half_width
    boxes[out, 1] = track.position[1] - half_height
    boxes[out, 2] = track.position[0] + half_width
    boxes[out, 3] = track.position[1] + half_height


@kernel
def write_coasted(stream, tracker, tracks, outputs, progress):
    """Writes the tracks that are alive without a detection in this frame."""
    coasted = 0
    if tracker.want_coasted:
        base = progress[COASTED_OUT]
        for slot in range(stream.tracks):
            track = tracks[slot]
            if track.unseen_in_a_row == 0:
                continue
            out = base + coasted
            outputs.coasted_track_ids[out] = track.id
            outputs.coasted_values[out] = track.probability
            outputs.coasted_verdicts[out] = track.verdict
            _write_box(track, outputs.coasted_boxes, out)
            coasted += 1
        progress[COASTED_OUT] = base + coasted
    outputs.coasted_counts[progress[FRAMES_TAKEN]] = coasted
