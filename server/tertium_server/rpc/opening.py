"""Open, checked: what a caller says of a stream, as a value the server can rely on."""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from dataclasses import dataclass

from tertium.v1 import stream_pb2
from tertium_server.engine import StreamSettings
from tertium_server.errors import InvalidRequestError, Violation

_MAX_STREAM_ID = 256
_MAX_GROUP = 64
_MAX_CLASSES = 1024
_MAX_CLASS_ID = 65535
_MAX_CLASS_NAME = 64
_MAX_FRAME_SIDE = 65536
_MAX_FPS = 1000.0
_MAX_EPOCH = 2**63 - 1
_MAX_FRAME_INDEX = 2**62
_MAX_CHECKPOINT_INTERVAL = 10_000


@dataclass(frozen=True, slots=True)
class Opening:
    """A checked Open."""

    stream_id: str
    """1 to 256 printable characters."""

    settings: StreamSettings
    """What the engine is run with."""

    epoch: int
    """The caller's epoch; 0: the checkpoint's, or one the server chooses."""

    checkpoint: bytes
    """Envelope to resume from; empty: start anew."""

    answered: int
    """Index of the last frame whose answer the caller has; -1: none."""

    checkpoint_interval: int
    """Frames between two checkpoints, at most; 0: the server's default."""

    include_boxes: bool
    """Send the motion filter's boxes."""

    settings_digest: bytes
    """16 bytes over what a checkpoint of this stream depends on."""


@dataclass(frozen=True, slots=True)
class FrameLimits:
    """How much one stream may ask for."""

    max_detections: int
    """Most detections of a frame."""

    max_tracks: int
    """Most tracks alive at a time."""

    max_frames: int
    """Most frames of a message."""


def check_open(request: stream_pb2.Open, limits: FrameLimits) -> Opening:
    """The checked value of an Open.

    Raises:
        InvalidRequestError: With every field at fault.
    """
    violations = [*_check_names(request), *_check_numbers(request)]
    if violations:
        raise InvalidRequestError(*violations)
    settings = StreamSettings(
        class_names=dict(request.class_names),
        frame_width=request.frame_width,
        frame_height=request.frame_height,
        nominal_fps=request.nominal_fps,
        client_tracks=request.client_tracks,
        logits=request.score_scale == stream_pb2.SCORE_SCALE_LOGIT,
        max_detections=limits.max_detections,
        max_tracks=limits.max_tracks,
        group=request.group or "default",
        include_tracks=request.include_tracks,
        include_coasted=request.include_coasted,
    )
    return Opening(
        stream_id=request.stream_id,
        settings=settings,
        epoch=request.epoch,
        checkpoint=request.checkpoint,
        answered=request.last_answered_frame if request.HasField("last_answered_frame") else -1,
        checkpoint_interval=request.checkpoint_interval,
        include_boxes=request.include_boxes,
        settings_digest=_settings_digest(settings),
    )


def _check_names(request: stream_pb2.Open) -> list[Violation]:
    found: list[Violation] = []
    if not _is_name(request.stream_id, _MAX_STREAM_ID):
        found.append(
            Violation(
                "open.stream_id",
                f"has to be 1 to {_MAX_STREAM_ID} printable characters, not {_shown(request.stream_id)}",
            )
        )
    if request.group and not _is_name(request.group, _MAX_GROUP):
        found.append(
            Violation("open.group", f"has to be at most {_MAX_GROUP} printable characters, not {_shown(request.group)}")
        )
    names = request.class_names
    if not 1 <= len(names) <= _MAX_CLASSES:
        found.append(
            Violation("open.class_names", f"has to name 1 to {_MAX_CLASSES} classes by their ids, not {len(names)}")
        )
        return found
    seen: dict[str, int] = {}
    for class_id, name in sorted(names.items()):
        field = f"open.class_names[{class_id}]"
        if class_id > _MAX_CLASS_ID:
            found.append(Violation(field, f"class ids go up to {_MAX_CLASS_ID}"))
        elif not _is_name(name, _MAX_CLASS_NAME):
            found.append(Violation(field, f"has to be 1 to {_MAX_CLASS_NAME} printable characters, not {_shown(name)}"))
        elif name in seen:
            found.append(
                Violation(field, f"{_shown(name)} is also the name of class {seen[name]}; no two may be alike")
            )
        seen.setdefault(name, class_id)
    return found


def _check_numbers(request: stream_pb2.Open) -> list[Violation]:
    fps = request.nominal_fps
    answered = request.last_answered_frame
    checks = (
        (
            "frame_width",
            request.frame_width <= _MAX_FRAME_SIDE,
            f"goes up to {_MAX_FRAME_SIDE}, not {request.frame_width}",
        ),
        (
            "frame_height",
            request.frame_height <= _MAX_FRAME_SIDE,
            f"goes up to {_MAX_FRAME_SIDE}, not {request.frame_height}",
        ),
        (
            "nominal_fps",
            math.isfinite(fps) and 0 <= fps <= _MAX_FPS,
            f"has to lie between 0 and {_MAX_FPS:g}, not {fps}",
        ),
        (
            "score_scale",
            request.score_scale in stream_pb2.ScoreScale.values(),
            f"{request.score_scale} is no scale this server knows; send PROBABILITY or LOGIT",
        ),
        ("epoch", request.epoch <= _MAX_EPOCH, f"goes up to 2^63 - 1, not {request.epoch}"),
        ("last_answered_frame", answered <= _MAX_FRAME_INDEX, f"goes up to 2^62, not {answered}"),
        (
            "checkpoint_interval",
            request.checkpoint_interval <= _MAX_CHECKPOINT_INTERVAL,
            f"goes up to {_MAX_CHECKPOINT_INTERVAL}, not {request.checkpoint_interval}",
        ),
    )
    return [Violation(f"open.{field}", description) for field, valid, description in checks if not valid]


def _is_name(text: str, longest: int) -> bool:
    return 1 <= len(text) <= longest and text.isprintable()


def _shown(text: str) -> str:
    """A caller's text, safe to show: quoted, escaped, cut."""
    return ascii(text) if len(text) <= _MAX_CLASS_NAME else f"{text[:_MAX_CLASS_NAME]!a}… ({len(text)} characters)"


def _settings_digest(settings: StreamSettings) -> bytes:
    """A checkpoint holds tracks by class row, in pixels of this frame, fed from scores of this scale: with other settings they mean nothing."""
    content = json.dumps(
        [
            sorted(settings.class_names.items()),
            settings.frame_width,
            settings.frame_height,
            settings.nominal_fps,
            settings.client_tracks,
            settings.logits,
        ]
    )
    return hashlib.blake2b(content.encode(), digest_size=16, person=b"tertium setting").digest()


class EpochClock:
    """Chooses epochs for callers that name none: microseconds of the wall clock, never the same twice."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """A fresh epoch, larger than all before it."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns() // 1000)
            return self._last
