"""Compiles the kernels before the first frame comes: a minute cold, a second from the cache."""

import numpy as np

from tertium_server.engine.columns import FrameColumns, Workspace
from tertium_server.engine.layout import CLASS, TRACKER
from tertium_server.engine.parameters import EngineParameters, StreamSettings
from tertium_server.engine.stream import StreamEngine


def warm_up() -> None:
    """Compiles or loads every kernel, by running two frames of streams that nobody sees: at once, and judged apart."""
    judges = np.zeros(1, CLASS)
    judges["birth_variance"] = judges["noise"] = judges["miss_noise"] = judges["clip"] = 1.0
    tracker = np.zeros(1, TRACKER)
    tracker["max_gap"] = tracker["coast"] = tracker["measurement_noise"] = 1.0
    tracker["valid_until"] = 2
    tracker["max_detections"] = tracker["max_tracks"] = 8
    settings = StreamSettings(class_names={0: "object"}, max_detections=8, max_tracks=8)
    engine = StreamEngine(EngineParameters(judges, tracker, "warm-up"), settings)
    workspace = Workspace()
    frames = FrameColumns.of([0, 1], [0, 1], [1, 1], [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]], [0.5, 0.5])
    engine.advance(frames, workspace)
    engine.adopt(engine.parameters)
    engine.finish(workspace)
    late = StreamEngine(engine.parameters, settings)
    late.watch(lambda _: None)
    late.advance(frames, workspace)
    late.finish(workspace)
