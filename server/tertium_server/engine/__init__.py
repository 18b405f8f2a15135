"""The engine: frames of detections in, tracks, probabilities and verdicts out. Pure arrays; no I/O, no gRPC, no metrics.

A message of frames runs through ``message.run`` in one compiled call: motion → association → evidence → verdict.
"""

from tertium_server.engine.columns import DecisionColumns, FrameColumns, Workspace
from tertium_server.engine.layout import EventReason, EventType, FrameStatus, Reset, Verdict
from tertium_server.engine.parameters import EngineParameters, StreamSettings
from tertium_server.engine.stream import SnapshotError, StreamEngine
from tertium_server.engine.warm_up import warm_up

__all__ = [
    "DecisionColumns",
    "EngineParameters",
    "EventReason",
    "EventType",
    "FrameColumns",
    "FrameStatus",
    "Reset",
    "SnapshotError",
    "StreamEngine",
    "StreamSettings",
    "Verdict",
    "Workspace",
    "warm_up",
]
