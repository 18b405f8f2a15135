"""Opens, frames and terms with defaults, for tests of the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tertium.v1 import decision_service_pb2, frames_pb2, stream_pb2
from tertium_server.policy import default_policy
from tertium_server.policy.keeper import InForce
from tertium_server.rpc.checkpoint import CheckpointSealer
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.opening import EpochClock, FrameLimits, check_open
from tertium_server.rpc.stream import Stream
from tertium_server.rpc.terms import StreamTerms
from tests.scenes import Scene, scene

Request = decision_service_pb2.DecideRequest
Response = decision_service_pb2.DecideResponse
Frames = frames_pb2.Frames

KEY = b"a key that is long enough for tests" * 2
FRAME_NANOSECONDS = 40_000_000
EPOCH = 7


@dataclass
class Held:
    """Holds what is in force, as the keeper of a server does."""

    in_force: InForce


def open_message(**changes: Any) -> stream_pb2.Open:
    """An Open that is right in every field but those changed."""
    fields: dict[str, Any] = {
        "stream_id": "camera",
        "class_names": {1: "person"},
        "frame_width": 640,
        "frame_height": 360,
        "epoch": EPOCH,
        "include_boxes": True,
        "include_tracks": True,
        "include_coasted": True,
    }
    return stream_pb2.Open(**(fields | changes))


def opening(**changes: Any) -> Request:
    """The request that opens a stream."""
    return Request(open=open_message(**changes))


def terms(**changes: Any) -> StreamTerms:
    """What a server brings to a stream."""
    fields: dict[str, Any] = {
        "policies": Held(InForce(default_policy())),
        "sealer": CheckpointSealer(KEY),
        "limits": FrameLimits(max_detections=1000, max_tracks=2000, max_frames=256),
        "checkpoint_interval": 100,
        "epochs": EpochClock(),
    }
    return StreamTerms(**(fields | changes))


def make_stream(stream_terms: StreamTerms | None = None, **changes: Any) -> Stream:
    """A stream as the server makes it of an Open."""
    stream_terms = stream_terms or terms()
    return Stream(check_open(open_message(**changes), stream_terms.limits), stream_terms)


def frames_of(recording: Scene, *, class_id: int = 1) -> list[Frames]:
    """A recording as messages of one frame each."""
    rows: dict[int, list[tuple[float, ...]]] = defaultdict(list)
    for frame, left, top, width, height, score, _, _ in recording.rows:
        rows[frame].append((left, top, left + width, top + height, score))
    return [one_frame(index, rows[index], class_id=class_id) for index in range(recording.length)]


def one_frame(
    index: int, rows: Sequence[Sequence[float]] = (), *, class_id: int = 1, time: int | None = None
) -> Frames:
    """A message of one frame. Rows: x1, y1, x2, y2, score."""
    return Frames(
        frame_indices=[index],
        capture_times=[index * FRAME_NANOSECONDS if time is None else time],
        detection_counts=[len(rows)],
        boxes=[corner for row in rows for corner in row[:4]],
        scores=[row[4] for row in rows],
        class_ids=[class_id] * len(rows),
    )


def person(index: int, score: float = 0.9) -> Frames:
    """A message of one frame with one person that walks to the right."""
    return one_frame(index, [(100 + index, 100, 140 + index, 200, score)])


def batched(frames: Sequence[Frames], size: int) -> Iterator[Frames]:
    """The same frames, so many a message."""
    for first in range(0, len(frames), size):
        batch = Frames()
        for message in frames[first : first + size]:
            batch.MergeFrom(message)
        yield batch


def request(frames: Frames) -> bytes:
    """A DecideRequest on the wire."""
    return Request(frames=frames).SerializeToString()


def recording(seed: int = 1, length: int = 80) -> list[Frames]:
    """The frames of a synthetic recording."""
    return frames_of(scene(seed, length))


def play(stream: Stream, messages: Iterable[Frames]) -> list[Response]:
    """The stream's responses to messages."""
    desk = Desk()
    return [Response.FromString(stream.answer(request(message), desk)) for message in messages]


def close(stream: Stream) -> Response:
    """The stream's last response."""
    response = Response.FromString(stream.say_goodbye(Desk()))
    stream.settle()
    return response


_OF_FRAMES = ("frame_indices", "detection_counts", "coasted_counts")


def told(responses: Iterable[Response]) -> Response:
    """All that responses say of frames, as one: how frames were batched, and when checkpoints came, makes no difference."""
    total = Response()
    for response in responses:
        part = Response()
        part.CopyFrom(response)
        part.ClearField("checkpoint")
        part.ClearField("opened")
        total.MergeFrom(part)
    return total


def solo(messages: Iterable[Frames], **changes: Any) -> Response:
    """What a stream says that is alone in the world, from its start to its end."""
    stream = make_stream(**changes)
    return told([*play(stream, messages), close(stream)])


def random_frames(random: np.random.Generator, frames: int = 3, most: int = 6) -> Frames:
    """Frames of any content that fits the wire, right or wrong."""
    counts = random.integers(0, most, frames)
    detections = int(counts.sum())
    return Frames(
        frame_indices=random.integers(0, 2**63, frames).tolist(),
        capture_times=random.integers(-(2**62), 2**62, frames).tolist(),
        detection_counts=counts.tolist(),
        boxes=random.normal(0, 1000, 4 * detections).tolist(),
        scores=random.random(detections).tolist(),
        class_ids=random.integers(0, 2**32, detections).tolist(),
        track_ids=random.integers(0, 2**63, detections).tolist(),
    )
