"""Arrays to messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertium.v1 import frames_pb2
from tertium_client import Frame, InvalidFrameError
from tertium_client._encode import EncodedFrame, FrameEncoder, frames_message, same_form
from tertium_client._settings import StreamSettings

BOX = [[0.0, 1.0, 2.0, 3.0]]


class ElsewhereArray:
    """As arrays on a GPU behave."""

    def __array__(self, *_: object, **__: object) -> None:
        raise TypeError("can't convert: copy it to the host first")


def encoder(**options: Any) -> FrameEncoder:
    defaults: dict[str, Any] = {"stream_id": "s", "nominal_fps": 30.0}
    return FrameEncoder(StreamSettings(**(defaults | options)))


def encoded(frame: Frame, index: int = 0, **options: Any) -> EncodedFrame:
    return encoder(**options).encode(frame, index=index, most_detections=0)


@given(
    counts=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    seed=st.integers(0, 100),
    scores=st.booleans(),
    class_ids=st.booleans(),
    track_ids=st.booleans(),
    times=st.booleans(),
)
def test_the_bytes_are_those_of_the_generated_messages(
    *, counts: list[int], seed: int, scores: bool, class_ids: bool, track_ids: bool, times: bool
) -> None:
    draw = np.random.default_rng(seed)
    encode = encoder(class_names={0: "a", 7: "b"} if class_ids else {0: "a"}, client_tracks=True, nominal_fps=1.0)
    sent: list[EncodedFrame] = []
    wanted = frames_pb2.Frames()
    for position, count in enumerate(counts):
        boxes = draw.normal(size=(count, 4)).astype(np.float32)
        ids, tracks, values = draw.choice([0, 7], count), draw.integers(0, 2**63, count), draw.random(count, np.float32)
        index, time = position * 10**9, -5 + position * 10**15
        frame = Frame(
            boxes,
            values if scores else None,
            ids if class_ids else None,
            tracks if track_ids or count else None,
            capture_time=time if times else None,
        )
        sent.append(encode.encode(frame, index=index, most_detections=0))
        wanted.frame_indices.append(index)
        wanted.detection_counts.append(count)
        wanted.boxes.extend(boxes.ravel().tolist())
        wanted.scores.extend(values.tolist() if scores else [])
        wanted.class_ids.extend(ids.tolist() if class_ids else [])
        wanted.track_ids.extend(tracks.tolist())
        wanted.capture_times.extend([time] if times else [])
    assert same_form(sent)
    assert frames_pb2.Frames.FromString(frames_message(sent)) == wanted


@pytest.mark.parametrize(
    "boxes",
    [
        [[1, 2, 3, 4], [5, 6, 7, 8]],
        ((1, 2, 3, 4), (5, 6, 7, 8)),
        np.arange(1, 9).reshape(2, 4),
        np.arange(1, 9, dtype=np.float16).reshape(2, 4),
        np.asfortranarray(np.arange(1.0, 9.0).reshape(2, 4)),
        np.arange(1, 9, dtype=">f8").reshape(2, 4),
        np.arange(1.0, 17.0).reshape(2, 8)[:, :4] - [[0], [4]],
    ],
    ids=["lists", "tuples", "int64", "float16", "column-major", "big-endian", "strided"],
)
def test_anything_that_numpy_makes_an_array_of_is_taken(boxes: Any) -> None:
    message = frames_pb2.Frames.FromString(frames_message([encoded(Frame(boxes))]))
    assert list(message.boxes) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("boxes", [[], [[]], np.zeros((0, 4)), np.zeros((0,), np.int64), ()])
def test_no_detections_can_be_written_in_many_ways(boxes: Any) -> None:
    frame = encoded(Frame(boxes, scores=[], class_ids=[], track_ids=None))
    assert frames_pb2.Frames.FromString(frames_message([frame])) == frames_pb2.Frames(
        frame_indices=[0], detection_counts=[0]
    )


def test_a_frame_holds_copies() -> None:
    boxes, ids = np.array(BOX, np.float32), np.array([0], np.uint32)
    frame = Frame(boxes, class_ids=ids)
    boxes[:] = -1
    ids[:] = 9
    assert frame.boxes.tolist() == BOX
    assert frame.class_ids is not None
    assert frame.class_ids.tolist() == [0]


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("one box without its list", {"boxes": [1, 2, 3, 4]}, "boxes", "(N, 4)"),
    ("five numbers", {"boxes": [[1, 2, 3, 4, 5]]}, "boxes", "(N, 4)"),
    ("three dimensions", {"boxes": np.zeros((1, 1, 4))}, "boxes", "(N, 4)"),
    ("ragged", {"boxes": [[1, 2, 3, 4], [1, 2, 3]]}, "boxes", "no array of numbers"),
    ("beyond any float", {"boxes": [[10**400, 0, 1, 1]]}, "boxes", "no array of numbers"),
    ("on another device", {"boxes": ElsewhereArray()}, "boxes", "copy it to the host first"),
    ("ids on another device", {"boxes": BOX, "class_ids": ElsewhereArray()}, "class_ids", "copy it to the host first"),
    ("words", {"boxes": [["a", "b", "c", "d"]]}, "boxes", "no array of numbers"),
    ("not a number", {"boxes": [*BOX, [0, 0, float("nan"), 1]]}, "boxes", "detection 1"),
    ("infinite", {"boxes": [[0, 0, float("inf"), 1]]}, "boxes", "not finite"),
    ("too large for float32", {"boxes": [[0, 0, 1e300, 1]]}, "boxes", "not finite"),
    ("too few scores", {"boxes": BOX, "scores": []}, "scores", "1 boxes"),
    ("scores in a column", {"boxes": BOX, "scores": [[0.5]]}, "scores", "(1,)"),
    ("one score for all", {"boxes": BOX, "scores": 0.5}, "scores", "(1,)"),
    ("scores not finite", {"boxes": BOX, "scores": [float("-inf")]}, "scores", "detection 0"),
    ("fractional classes", {"boxes": BOX, "class_ids": [0.0]}, "class_ids", "astype(int)"),
    ("negative classes", {"boxes": BOX, "class_ids": [-1]}, "class_ids", "-1"),
    ("huge classes", {"boxes": BOX, "class_ids": [2**40]}, "class_ids", "4294967295"),
    ("too many classes", {"boxes": BOX, "class_ids": [0, 0]}, "class_ids", "1 boxes"),
    ("negative tracks", {"boxes": BOX, "track_ids": [-5]}, "track_ids", "-5"),
    (
        "tracks beyond 63 bits",
        {"boxes": BOX, "track_ids": np.array([2**63], np.uint64)},
        "track_ids",
        "9223372036854775807",
    ),
    ("fractional index", {"boxes": BOX, "frame_index": 1.0}, "frame_index", "whole number"),
    ("negative index", {"boxes": BOX, "frame_index": -1}, "frame_index", "2^62"),
    ("index beyond the contract", {"boxes": BOX, "frame_index": 2**62 + 1}, "frame_index", "2^62"),
    ("time in seconds", {"boxes": BOX, "capture_time": 12.5}, "capture_time", "round(seconds * 1e9)"),
    ("time beyond 64 bits", {"boxes": BOX, "capture_time": 2**63}, "capture_time", "64 bits"),
]


@pytest.mark.parametrize(("parts", "field", "remedy"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_frame_that_no_server_would_take_names_its_field_and_the_remedy(
    parts: dict[str, Any], field: str, remedy: str
) -> None:
    with pytest.raises(InvalidFrameError) as raised:
        Frame(**parts)
    assert raised.value.field == field
    assert remedy in raised.value.problem
    assert isinstance(raised.value, ValueError)


UNFIT: list[tuple[str, Frame, dict[str, Any], str]] = [
    ("a class without a name", Frame(BOX, class_ids=[2]), {"class_names": {0: "a", 5: "b"}}, "class_ids"),
    ("a class beyond all names", Frame(BOX, class_ids=[70_000]), {}, "class_ids"),
    ("no classes though there are two", Frame(BOX), {"class_names": {0: "a", 1: "b"}}, "class_ids"),
    ("no time though there is no rate", Frame(BOX), {"nominal_fps": 0}, "capture_time"),
    ("no tracks though promised", Frame(BOX), {"client_tracks": True}, "track_ids"),
    ("tracks though not promised", Frame(BOX, track_ids=[1]), {}, "track_ids"),
]


@pytest.mark.parametrize(("frame", "options", "field"), [case[1:] for case in UNFIT], ids=[case[0] for case in UNFIT])
def test_a_frame_that_does_not_fit_its_stream_names_its_field(
    frame: Frame, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidFrameError) as raised:
        encoded(frame, **options)
    assert raised.value.field == field


def test_more_detections_than_the_server_takes_are_refused_here() -> None:
    with pytest.raises(InvalidFrameError, match="at most 2 a frame"):
        encoder().encode(Frame(BOX * 3), index=0, most_detections=2)


@pytest.mark.parametrize("first_timed", [True, False])
def test_all_frames_of_a_stream_carry_times_or_none(*, first_timed: bool) -> None:
    encode = encoder()
    timed, untimed = Frame([], capture_time=1), Frame([])
    first, second = (timed, untimed) if first_timed else (untimed, timed)
    encode.encode(first, index=0, most_detections=0)
    with pytest.raises(InvalidFrameError, match="with all frames of a stream, or with none"):
        encode.encode(second, index=1, most_detections=0)
    encode.encode(first, index=1, most_detections=0)


def test_a_frame_that_was_refused_decides_nothing_about_times() -> None:
    encode = encoder()
    with pytest.raises(InvalidFrameError):
        encode.encode(Frame(BOX, class_ids=[9], capture_time=1), index=0, most_detections=0)
    encode.encode(Frame(BOX), index=0, most_detections=0)
