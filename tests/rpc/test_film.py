"""What the film tells of a track, beside the same messages read one by one through the public classes."""

from __future__ import annotations

import numpy as np
import pytest

from tertium_server.review.footage import FrameOfTrack
from tertium_server.rpc.codec.finding import find_track
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.film import Entry, Film, frames_of, track_in
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
                    found[index] = FrameOfTrack(
                        index, time, round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2), round(score, 6), round(probability, 6)
                    )  # fmt: skip
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


def test_a_film_of_plain_messages_is_read_by_kernels_alone() -> None:
    entries = entries_of(list(batched(recording(length=60), 4)))
    for track in tracks_of(entries):
        found = find_track([(sent, answered) for sent, answered in entries if isinstance(sent, bytes)], track)
        assert found is not None
        assert found.indices.tolist() == [frame.index for frame in one_by_one(entries, track)]


def test_messages_that_kernels_do_not_read_are_read_all_the_same() -> None:
    entries = entries_of(list(batched(recording(length=60), 4)))
    unknown_field = b"\x78\x01"
    others: list[Entry] = [
        (sent + unknown_field, answered) if place % 3 == 0 and isinstance(sent, bytes) else (sent, answered)
        for place, (sent, answered) in enumerate(entries)
    ]
    columns: list[Entry] = [(frames_of(entry) or b"", entry[1]) for entry in entries]
    for track in tracks_of(entries):
        expected = track_in(entries, track, FPS)
        assert track_in(others, track, FPS) == expected
        assert track_in(columns, track, FPS) == expected


def test_messages_that_nobody_would_write_lead_kernels_nowhere() -> None:
    entries = entries_of(list(batched(recording(length=20), 4)))
    track = min(tracks_of(entries))
    dice = np.random.default_rng(7)
    told_otherwise = 0
    for _ in range(600):
        pieces = [bytearray(piece) for entry in entries for piece in entry if isinstance(piece, bytes)]
        piece = pieces[dice.integers(len(pieces))]
        for place in dice.integers(len(piece), size=3):
            piece[place] = dice.integers(256)
        if dice.random() < 0.3:
            del piece[dice.integers(len(piece)) :]
        found = find_track([(bytes(a), bytes(b)) for a, b in zip(pieces[::2], pieces[1::2], strict=True)], track)
        told_otherwise += found is None
        assert found is None or len(found.indices) <= 20
    assert 0 < told_otherwise < 600


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


def numbers_on(film: Film) -> list[int]:
    return [entry[1][0] for entry in film.entries()]


def test_the_oldest_messages_make_room_and_one_that_is_too_large_is_not_kept() -> None:
    film = Film(100)
    for number in range(5):
        film.keep((b"", bytes([number])), 40)
        film.reviewed = film.passed
    film.keep((b"", b"\x09"), 101)
    assert numbers_on(film) == [2, 3, 4]  # 4 was kept before anybody had reviewed it
    film.keep((b"", b"\x05"), 20)
    assert numbers_on(film) == [3, 4, 5]


def test_what_nobody_has_reviewed_is_kept_on_top_up_to_three_times_as_much() -> None:
    film = Film(100)
    for number in range(30):
        film.keep((b"", bytes([number])), 20)
    assert numbers_on(film) == list(range(10, 30))
    film.reviewed = 300  # the first fifteen messages
    film.keep((b"", bytes([30])), 20)
    assert numbers_on(film) == list(range(11, 31))
    film.reviewed = film.passed
    film.keep((b"", bytes([31])), 20)
    assert numbers_on(film) == list(range(26, 32))
