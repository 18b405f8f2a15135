"""Compiles everything that a server runs, before it says that it serves."""

from __future__ import annotations

from tertium.v1 import decision_service_pb2, frames_pb2
from tertium_server import engine
from tertium_server.engine import StreamEngine, StreamSettings
from tertium_server.policy import compile_parameters, default_policy
from tertium_server.rpc.codec.finding import find_track
from tertium_server.rpc.codec.letterhead import Letterhead
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.track_ids import TrackIds


def warm_up() -> None:
    """Compiles or loads the kernels of the engine and of the codec, by answering a message that nobody has sent."""
    engine.warm_up()
    settings = StreamSettings(class_names={0: "object"})
    stream = StreamEngine(compile_parameters(default_policy(), settings), settings)
    letterhead = Letterhead(
        TrackIds("", 0, caller=False), "", 0, 1, 1 << 60, include_boxes=True, include_tracks=True, include_coasted=True
    )
    frames = frames_pb2.Frames(frame_indices=[0], capture_times=[0], detection_counts=[1], boxes=[0, 0, 1, 1])
    desk = Desk()
    request = decision_service_pb2.DecideRequest(frames=frames).SerializeToString()
    desk.answer(request, stream, letterhead)
    find_track([(request, desk.write_answer(letterhead))], 1)
