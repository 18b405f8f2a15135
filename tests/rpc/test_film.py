"""What the film tells of a track, beside the same messages read one by one through the public classes."""

from __future__ import annotations

import pytest

from tertium_server.review.footage import FrameOfTrack
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.film import Entry, Film, track_in
from tests.rpc.builders import Frames, Request, Response, batched, make_stream, recording, request

FPS = 12.5


def entries_of(messages: list[Frames]) -> list[Entry]:
    """What a stream would put on film."""
    stream, desk = make_stream(nominal_fps=FPS), Desk()
    return [(data, stream.answer(data, desk)) for data in map(request, messages)]


def one_by_one(entries: list[Entry], track_id: int) -> list[FrameOfTrack]:
    """The slow way: each frame of each message, detection by detection."""
    found: dict[int, FrameOfTrack] = {}
    for sent, answered in entries:
        assert isinstance(sent, bytes)
        frames, decisions = Request.FromString(sent).frames, Response.FromString(answered).decisions
        first: dict[int, tuple[int, int]] = {}
        place = 0
        for number, (index, count) in enumerate(zip(frames.frame_indices, frames.detection_counts, strict=True)):
            first.setdefault(index, (number, place))
            place += count
        answer = 0
        for index, count in zip(decisions.frame_indices, decisions.detection_counts, strict=True):
            number, place = first[index]
            time = frames.capture_times[number] if frames.capture_times else round(index / FPS * 1e9)
            for step in range(count):
                if decisions.track_ids[answer + step] == track_id and index > max(found, default=-1):
                    x1, y1, x2, y2 = frames.boxes[4 * (place + step) : 4 * (place + step) + 4]
                    score = frames.scores[place + step] if frames.scores else 1.0
                    probability = decisions.probabilities[answer + step]
                    found[index] = FrameOfTrack(index, time, x1, y1, x2, y2, score, probability)
            answer += count
    return list(found.values())


def tracks_of(entries: list[Entry]) -> set[int]:
    return {each for _, answered in entries for each in Response.FromString(answered).decisions.track_ids}


@pytest.mark.parametrize("batch", [1, 7])
def test_a_track_is_read_from_all_messages_as_from_one_after_the_other(batch: int) -> None:
    entries = entries_of(list(batched(recording(length=60), batch)))
    tracks = tracks_of(entries)
    assert len(tracks) > 3
    for track in tracks:
        assert track_in(entries, track, FPS)[0] == one_by_one(entries, track)
    assert track_in(entries, max(tracks) + 1, FPS) == ([], [])


def test_frames_that_were_refused_move_no_box_of_the_others() -> None:
    messages = list(batched(recording(length=60), 5))
    for message in messages[::2]:
        again = Frames()
        again.CopyFrom(message)
        message.MergeFrom(again)  # each of its frames twice: the second time it is refused
    entries = entries_of(messages)
    assert any(len(Response.FromString(answered).notices) for _, answered in entries)
    for track in tracks_of(entries):
        assert track_in(entries, track, FPS)[0] == one_by_one(entries, track)


def test_frames_that_were_taken_again_are_told_once() -> None:
    entries = entries_of(list(batched(recording(length=60), 5)))
    again = [*entries[:8], *entries[4:]]
    for track in tracks_of(entries):
        assert track_in(again, track, FPS)[0] == track_in(entries, track, FPS)[0]


def test_without_capture_times_they_follow_from_the_nominal_rate() -> None:
    messages = list(batched(recording(length=30), 3))
    for message in messages:
        message.ClearField("capture_times")
    entries = entries_of(messages)
    track = min(tracks_of(entries))
    frames = track_in(entries, track, FPS)[0]
    assert frames == one_by_one(entries, track)
    assert [frame.time for frame in track_in(entries, track, 0.0)[0]] == [0] * len(frames)


def test_levels_of_a_track_are_those_of_its_events() -> None:
    entries = entries_of(list(batched(recording(length=80), 4)))
    events = [event for _, answered in entries for event in Response.FromString(answered).events if event.why.hits]
    track = events[0].track_id
    levels = track_in(entries, track, FPS)[1]
    assert [(level.index, level.fast, level.slow, level.probability) for level in levels] == [
        (event.frame_index, event.why.evidence_fast, event.why.evidence_slow, event.why.probability)
        for event in events
        if event.track_id == track
    ]
    assert levels


def test_the_oldest_messages_make_room_and_one_that_is_too_large_is_not_kept() -> None:
    film = Film(100)
    for number in range(5):
        film.keep((bytes([number]), b""), 40)
    assert [entry[0] for entry in film.entries()] == [b"\x03", b"\x04"]
    film.keep((b"large", b""), 101)
    assert [entry[0] for entry in film.entries()] == [b"\x03", b"\x04"]
