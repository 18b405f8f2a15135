"""What a stream is opened with."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, SupportsIndex, TypedDict

from tertium.v1 import stream_pb2
from tertium_client._pictures import Encoder
from tertium_client.errors import InvalidSettingsError

CHECKPOINT_INTERVAL = 100
"""Frames between two checkpoints at most, unless the caller says otherwise. The client keeps so many frames to send them again."""

_MOST_CLASSES, _MOST_CLASS_ID, _MOST_PIXELS, _MOST_EPOCH = 1024, 65535, 65536, 2**63 - 1


class StreamOptions(TypedDict, total=False):
    """The settings of a stream as keyword arguments: see StreamSettings, where each is described."""

    class_names: Mapping[int, str]
    group: str
    frame_size: tuple[int, int]
    nominal_fps: float
    client_tracks: bool
    logits: bool
    epoch: int
    checkpoint_interval: int
    include_boxes: bool
    include_tracks: bool
    include_coasted: bool


class OpenOptions(StreamOptions, total=False):
    """The keyword arguments of open(): the settings of a stream, and what is described in Flow."""

    batch: int
    batch_delay: float
    max_in_flight: int
    picture_memory: int
    encode_picture: Encoder | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How a stream is named, what its numbers mean, and what is wanted back.

    Raises:
        InvalidSettingsError: a value is outside its range.
    """

    stream_id: str
    """The caller's name for this camera or file: 1 to 256 printable characters. A newer stream of that name takes over from an older one."""
    class_names: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({0: "object"}))
    """Names (1 to 64 printable characters, no two alike) by the class ids (0 to 65535) that detections carry; 1 to 1024 of them."""
    group: str = ""
    """The group the stream is counted under in metrics, at most 64 characters; empty: "default"."""
    frame_size: tuple[int, int] = (0, 0)
    """Width and height in pixels, 0 to 65536; 0: unknown, then a track that leaves the picture can't be told from a missed one."""
    nominal_fps: float = 0.0
    """Frames per second, up to 1000: gives the times of frames sent without one. 0: each frame has to carry its capture time."""
    client_tracks: bool = False
    """The caller tracks by itself: detections carry track ids."""
    logits: bool = False
    """Scores are log-odds instead of probabilities."""
    epoch: int = 0
    """Which run of the stream this is, larger after each restart of the camera; 0: the server chooses."""
    checkpoint_interval: int = CHECKPOINT_INTERVAL
    """Frames between two checkpoints at most, 1 to 10000: how many the client keeps, and has to send again after a break."""
    include_boxes: bool = False
    """Ask for FrameDecisions.boxes."""
    include_tracks: bool = False
    """Ask for FrameDecisions.track_probabilities, track_lower, track_upper and track_verdicts."""
    include_coasted: bool = False
    """Ask for FrameDecisions.coasted."""

    def __post_init__(self) -> None:
        _check_mapping(self.class_names)
        # A copy, because the mapping is sent again with each reconnection, and the caller may change theirs.
        object.__setattr__(self, "class_names", MappingProxyType(dict(self.class_names)))
        _check_text("stream_id", self.stream_id, 256)
        if self.group:
            _check_text("group", self.group, 64)
        _check_classes(self.class_names)
        _check_size(self.frame_size)
        if not 0 <= self.nominal_fps <= 1000:  # noqa: PLR2004  # the contract's limit
            raise InvalidSettingsError("nominal_fps", f"{self.nominal_fps} does not lie between 0 (unknown) and 1000")
        if not 0 <= self.epoch <= _MOST_EPOCH:
            raise InvalidSettingsError(
                "epoch", f"{self.epoch} does not lie between 0 (the server chooses) and 2^63 - 1"
            )
        if not 1 <= self.checkpoint_interval <= 10_000:  # noqa: PLR2004  # the contract's limit
            raise InvalidSettingsError(
                "checkpoint_interval", f"{self.checkpoint_interval} does not lie between 1 and 10000 frames"
            )

    def message(self, *, epoch: int, checkpoint: bytes, last_answered: int | None) -> stream_pb2.Open:
        """The message that opens the stream, anew or where a checkpoint left it."""
        width, height = self.frame_size
        return stream_pb2.Open(
            stream_id=self.stream_id,
            group=self.group,
            class_names=self.class_names,
            frame_width=width,
            frame_height=height,
            nominal_fps=self.nominal_fps,
            client_tracks=self.client_tracks,
            score_scale=stream_pb2.SCORE_SCALE_LOGIT if self.logits else stream_pb2.SCORE_SCALE_PROBABILITY,
            epoch=epoch,
            checkpoint=checkpoint,
            last_answered_frame=last_answered,
            checkpoint_interval=self.checkpoint_interval,
            include_boxes=self.include_boxes,
            include_tracks=self.include_tracks,
            include_coasted=self.include_coasted,
        )

    @classmethod
    def of_message(cls, message: stream_pb2.Open) -> StreamSettings:
        """The settings in an Open message."""
        return cls(
            stream_id=message.stream_id,
            class_names=dict(message.class_names),
            group=message.group,
            frame_size=(message.frame_width, message.frame_height),
            nominal_fps=message.nominal_fps,
            client_tracks=message.client_tracks,
            logits=message.score_scale == stream_pb2.SCORE_SCALE_LOGIT,
            epoch=message.epoch,
            checkpoint_interval=message.checkpoint_interval or CHECKPOINT_INTERVAL,
            include_boxes=message.include_boxes,
            include_tracks=message.include_tracks,
            include_coasted=message.include_coasted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """How frames are gathered into messages and how many may be under way."""

    batch: int = 1
    """Frames a message, where so many come within batch_delay."""
    batch_delay: float = 0.05
    """Seconds a frame waits at most for others to share its message."""
    max_in_flight: int = 256
    """Frames without an answer at most; as many answers may lie unread."""
    picture_memory: int = 256 << 20
    """Bytes of pictures kept for people to look at, of those given with frames."""
    encode_picture: Encoder | None = None
    """Makes JPEG or PNG bytes of a crop, (height, width, 3) or (height, width) of uint8; None: PNG. Called in another thread."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InvalidSettingsError("batch", f"{self.batch} is not 1 frame a message or more")
        if not 0 <= self.batch_delay <= 3600:  # noqa: PLR2004  # an hour: also refuses NaN
            raise InvalidSettingsError("batch_delay", f"{self.batch_delay} does not lie between 0 and 3600 seconds")
        if self.picture_memory < 0:
            raise InvalidSettingsError("picture_memory", f"{self.picture_memory} is no number of bytes")
        if self.max_in_flight < self.batch:
            raise InvalidSettingsError(
                "max_in_flight", f"{self.max_in_flight} is less than the {self.batch} frames of one message (batch)"
            )


def split_options(stream_id: str, options: OpenOptions) -> tuple[StreamSettings, Flow]:
    """The values behind the keyword arguments of open().

    Raises:
        InvalidSettingsError: a value is outside its range.
    """
    flow = {name: value for name, value in options.items() if name in Flow.__dataclass_fields__}
    settings = {name: value for name, value in options.items() if name not in flow}
    return StreamSettings(stream_id=stream_id, **settings), Flow(**flow)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # as OpenOptions types them


def _check_text(name: str, text: object, most: int) -> None:
    if not (isinstance(text, str) and 1 <= len(text) <= most and text.isprintable()):
        raise InvalidSettingsError(name, f"{text!r:.300} is not 1 to {most} printable characters")


def _check_mapping(names: object) -> None:
    if not isinstance(names, Mapping):
        raise InvalidSettingsError(
            "class_names", f"{names!r:.300} names no ids: give {{0: 'person'}}, as dict(enumerate(names)) makes it"
        )


def _check_classes(names: Mapping[Any, str]) -> None:
    if not 1 <= len(names) <= _MOST_CLASSES:
        raise InvalidSettingsError(
            "class_names", f"{len(names)} classes are named: name 1 to {_MOST_CLASSES}, as in {{0: 'person'}}"
        )
    for number, name in names.items():
        if not isinstance(number, SupportsIndex):  # text, say, as JSON makes of all keys
            raise InvalidSettingsError(
                "class_names", f"the id {number!r:.300} is no whole number: convert it, as int() does"
            )
        if not 0 <= operator.index(number) <= _MOST_CLASS_ID:
            raise InvalidSettingsError("class_names", f"the id {number} does not lie between 0 and {_MOST_CLASS_ID}")
        _check_text(f"class_names[{number}]", name, 64)
    if len(set(names.values())) < len(names):
        raise InvalidSettingsError("class_names", "two classes have the same name")


def _check_size(size: tuple[int, ...]) -> None:
    try:
        pixels = [operator.index(side) for side in size]
    except TypeError:
        pixels = []
    if len(pixels) != 2 or not all(0 <= side <= _MOST_PIXELS for side in pixels):  # noqa: PLR2004  # width and height
        raise InvalidSettingsError(
            "frame_size", f"{size!r} is not (width, height) in whole pixels, each 0 (unknown) to {_MOST_PIXELS}"
        )
