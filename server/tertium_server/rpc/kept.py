"""What was decided of frames, read back from the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tertium_server.quality.ledger import Heading, Ledger, Message
from tertium_server.rpc.film import frames_of, taken
from tertium_server.rpc.twin import twin_class

_RESPONSE: Any = twin_class("DecideResponse")
_INT64, _FLOAT32, _UINT8 = np.dtype("<i8"), np.dtype("<f4"), np.dtype("u1")


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFrame:
    """A frame's N detections and what was said of them."""

    epoch: int
    index: int
    decided_at: int
    """Microseconds."""
    boxes: NDArray[np.float32]
    """(N, 4) corners in pixels."""
    classes: tuple[str, ...]
    """(N,)"""
    verdicts: NDArray[np.uint8]
    """(N,) numbers of engine.Verdict."""
    probabilities: NDArray[np.float32]
    """(N,)"""


def read_frames(ledger: Ledger, stream_id: str, epoch: int, wanted: Collection[int]) -> dict[int, DecidedFrame]:
    """Decisions on frames of these indices, as far as they are kept; of a frame that was decided more than once, the newest."""
    found: dict[int, DecidedFrame] = {}
    if not wanted:
        return found
    indices = set(wanted)
    for heading, messages in ledger.read(stream_id, epoch, min(indices), max(indices)):
        for message in messages:
            for frame in _frames(heading, message, indices):
                known = found.get(frame.index)
                if known is None or frame.decided_at >= known.decided_at:
                    found[frame.index] = frame
    return found


def classes_of(ledger: Ledger, stream_id: str, epoch: int, index: int) -> frozenset[str]:
    """The classes of a stream about a frame."""
    return frozenset(
        name for heading, _ in ledger.read(stream_id, epoch, index, index) for name in heading.class_names.values()
    )


def _frames(heading: Heading, message: Message, wanted: set[int]) -> Iterator[DecidedFrame]:
    decisions = _RESPONSE.FromString(message.response).decisions
    decided = np.frombuffer(decisions.frame_indices, _INT64)
    if not wanted.intersection(decided.tolist()):
        return
    sent = frames_of((message.request, message.response))
    if sent is None:
        return
    frames = taken(sent, decided)
    ends = np.cumsum(frames.counts, dtype=np.int64).tolist()
    probabilities = np.frombuffer(decisions.probabilities, _FLOAT32)
    verdicts = np.frombuffer(decisions.verdicts, _UINT8)
    names = heading.class_names
    only = next(iter(names.values()))
    for index, first, end in zip(decided.tolist(), [0, *ends], ends, strict=False):
        if index in wanted:
            here = slice(first, end)
            ids = frames.class_ids[here].tolist()
            yield DecidedFrame(
                heading.epoch,
                index,
                message.decided_at,
                frames.boxes[here],
                tuple(names[number] for number in ids) if len(frames.class_ids) else (only,) * (end - first),
                verdicts[here],
                probabilities[here],
            )
