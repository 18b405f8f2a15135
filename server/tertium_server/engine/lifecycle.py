"""Birth, absence and end of tracks, and the events that tell of them."""

import numpy as np

from tertium_server.engine import association, evidence, motion, readout, zones
from tertium_server.engine.columns import DISMISSED_OUT, EVENTS_OUT
from tertium_server.engine.kernel import kernel
from tertium_server.engine.layout import STEADY, EventReason, EventType, Verdict

_STARTED = int(EventType.STARTED)
_VERDICT_CHANGED = int(EventType.VERDICT_CHANGED)
_ENDED = int(EventType.ENDED)
_LOST = int(EventReason.LOST)
_LEFT = int(EventReason.LEFT)
_NO = int(Verdict.NO)
_MAYBE = int(Verdict.MAYBE)
_YES = int(Verdict.YES)
_NANOSECONDS = 1e-9
_NEUTRAL_FIT = 1.0
_FRAMES_TO_END = 2  # a single dropped detection ends no track, however slow the frames come

_TRACK_LEFT, _TRACK_TOP = association.TRACK_LEFT, association.TRACK_TOP
_TRACK_RIGHT, _TRACK_BOTTOM = association.TRACK_RIGHT, association.TRACK_BOTTOM
_TRACK_AREA = association.TRACK_AREA
_MATCHED_DETECTION = association.MATCHED_DETECTION


@kernel
def give_birth(track, track_id, class_row, index, time, boxes, detection, tracker, judges, corners, starts):
    """Makes a fresh track of an unmatched detection; its first measurement is fused by the caller."""
    track.id = track_id
    track.first_frame = index
    track.last_seen = time
    track.turning_since = STEADY
    track.class_row = class_row
    left, top = np.float64(boxes[detection, 0]), np.float64(boxes[detection, 1])
    right, bottom = np.float64(boxes[detection, 2]), np.float64(boxes[detection, 3])
    motion.start(track, tracker, 0.5 * (left + right), 0.5 * (top + bottom), right - left, bottom - top)
    zones.place(track, judges, corners, starts)
    judge = judges[track.judge_row]
    track.judged_by = judge.fingerprint
    evidence.begin(track, judge)
    track.measurement = 0.0
    track.log_hits = 0.0
    track.size = 0.0
    track.score = 0.0
    track.fit = _NEUTRAL_FIT
    track.probability = 0.0
    track.hits = 0
    track.misses = 0
    track.misses_in_a_row = 0
    track.unseen_in_a_row = 0
    track.verdict = _NO
    track.announced = 0
    track.established = 0
    track.closing = 0


@kernel
def should_be_visible(tracks, slot, count, tracker, floats, integers):
    """Whether a track without a detection should have had one: inside the picture, and not hidden behind a nearer track that was seen.

    Nearer is whose box ends lower in the picture: people and vehicles stand on the ground.
    """
    left, top = floats[_TRACK_LEFT, slot], floats[_TRACK_TOP, slot]
    right, bottom = floats[_TRACK_RIGHT, slot], floats[_TRACK_BOTTOM, slot]
    area = floats[_TRACK_AREA, slot]
    if tracker.frame_width > 0.0 and tracker.frame_height > 0.0:
        width = min(right, tracker.frame_width) - max(left, 0.0)
        height = min(bottom, tracker.frame_height) - max(top, 0.0)
        if max(width, 0.0) * max(height, 0.0) < tracker.inside * area:
            return False
    if tracks[slot].established == 0:
        return True
    for other in range(count):
        if integers[_MATCHED_DETECTION, other] < 0 or floats[_TRACK_BOTTOM, other] <= bottom:
            continue
        width = min(right, floats[_TRACK_RIGHT, other]) - max(left, floats[_TRACK_LEFT, other])
        height = min(bottom, floats[_TRACK_BOTTOM, other]) - max(top, floats[_TRACK_TOP, other])
        if width > 0.0 and height > 0.0 and width * height > tracker.hidden_cover * area:
            return False
    return True


@kernel
def reason_to_end(track, tracker, time):
    """The EventReason for which a track without a detection is over now; 0 while it goes on."""
    if track.id == 0:
        return _LOST  # a detection that the caller did not track lives for its own frame
    if track.unseen_in_a_row < _FRAMES_TO_END:
        return 0
    if tracker.frame_width > 0.0 and tracker.frame_height > 0.0:
        centre_x, centre_y = track.position[0], track.position[1]
        if not (0.0 <= centre_x <= tracker.frame_width and 0.0 <= centre_y <= tracker.frame_height):
            return _LEFT
    limit = tracker.coast if track.established else tracker.candidate_coast
    if (time - track.last_seen) * _NANOSECONDS > limit:
        return _LOST
    return 0


@kernel
def weakest_unseen(tracks, count, integers):
    """The least likely track without a detection in this frame; -1 if all have one."""
    weakest = -1
    least = np.inf
    for slot in range(count):
        if integers[_MATCHED_DETECTION, slot] < 0 and tracks[slot].probability < least:
            least = tracks[slot].probability
            weakest = slot
    return weakest


@kernel
def _record(track, judge, index, time, records, place):
    """Writes what all events have in common; returns the record."""
    event = records[place]
    event.track_id = track.id
    event.frame_index = index
    event.time = time
    event.first_frame = track.first_frame
    event.retroactive_from = -1
    event.class_id = judge.id
    event.hits = track.hits
    event.misses = track.misses
    log_odds = readout.track_log_odds(track, judge)
    half_width = readout.interval_half_width(track, judge)
    event.probability = track.probability
    event.lower = readout.sigmoid(log_odds - half_width)
    event.upper = readout.sigmoid(log_odds + half_width)
    event.threshold = 0.0
    event.evidence_fast = track.fast
    event.evidence_slow = track.slow
    event.score = track.score
    return event


@kernel
def tell_verdict(track, judge, before, reason, index, time, events, progress):
    """Announces a track that leaves NO for the first time, or tells of a changed verdict. Ids of 0 are nobody's track."""
    after = track.verdict
    first = track.announced == 0
    track.announced = 1
    if track.id == 0:
        return
    event = _record(track, judge, index, time, events, progress[EVENTS_OUT])
    progress[EVENTS_OUT] += 1
    event.type = _STARTED if first else _VERDICT_CHANGED
    event.reason = reason
    event.from_verdict = before
    event.to_verdict = after
    if after == _YES:
        event.threshold = judge.track_yes
        event.retroactive_from = track.first_frame
    elif after > before:
        event.threshold = judge.track_no
    else:
        event.threshold = judge.track_yes if after == _MAYBE else judge.track_no


@kernel
def tell_end(track, judge, reason, index, time, events, dismissed, progress, closed, counting):
    """Counts a track's end, and tells of it: the caller if the track was announced, else review if there was enough of it."""
    if track.id == 0:
        return
    if counting:
        closed[reason] += 1
    if track.announced != 0:
        event = _record(track, judge, index, time, events, progress[EVENTS_OUT])
        progress[EVENTS_OUT] += 1
    elif track.hits >= judge.dismissed_hits:
        event = _record(track, judge, index, time, dismissed, progress[DISMISSED_OUT])
        progress[DISMISSED_OUT] += 1
    else:
        return
    event.type = _ENDED
    event.reason = reason
    event.from_verdict = track.verdict
    event.to_verdict = track.verdict
