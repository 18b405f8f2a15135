"""A request of frames, answered: read, run and written in one compiled call."""

from __future__ import annotations

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from tertium_server.engine import arrays, message
from tertium_server.engine.addresses import at, rows, rows_and_columns
from tertium_server.engine.columns import (
    DETECTIONS_OUT,
    EVENTS_OUT,
    FRAMES_DONE,
    FRAMES_TAKEN,
    MISMATCH,
    MOST_EDGES,
    NEEDED,
    NOT_BEGUN,
    RESETS,
)
from tertium_server.rpc.codec import letterhead
from tertium_server.rpc.codec.compiling import array_kernel
from tertium_server.rpc.codec.reading import MARGIN, detections_in, find_arrays, frames_in, read_columns
from tertium_server.rpc.codec.writing import write_decisions

DECLINED = -1
"""The message has to go the long way; nothing was run."""
NEEDS_INBOX = -2
"""The message is larger than the inbox or the workspace; nothing was run."""
NEEDS_TRACKS = -3
"""The engine has stopped at a frame that needs more room, as ``StreamEngine.make_room`` makes it."""
NEEDS_OUTBOX = -4
"""All frames are done, but the outbox is too small; ``progress[NEEDED]`` holds the size of the response."""

MORE = 1
"""Flag of an answer that is not all: there are events or refused frames to tell of, or the workspace has to grow."""

_FRAMES_SHIFT, _SIZE_SHIFT = 1, 24
_FRAMES_MASK = (1 << (_SIZE_SHIFT - _FRAMES_SHIFT)) - 1
_DETECTIONS, _MOST_FRAMES, _MOST_DETECTIONS = letterhead.DETECTIONS, letterhead.MOST_FRAMES, letterhead.MOST_DETECTIONS


def frames_answered(code: int) -> int:
    """Frames of the message, refused ones too."""
    return code >> _FRAMES_SHIFT & _FRAMES_MASK


def response_size(code: int) -> int:
    """Bytes of the response in the outbox."""
    return code >> _SIZE_SHIFT


@array_kernel
def answer(  # noqa: PLR0917 - a kernel is called by position
    stream_table: NDArray[np.int64],
    workspace_table: NDArray[np.int64],
    desk_table: NDArray[np.int64],
    entries: NDArray[np.int64],
    data: NDArray[np.uint8],
    answered: int,
    begun: bool,  # noqa: FBT001 - a kernel is called by position
) -> int:
    """Answers the request in ``data``; the decisions are in the outbox then, ready to be sent.

    Returns one of the negative numbers above, or a code that ``frames_answered``, ``response_size`` and MORE take apart. After NEEDS_INBOX the call
    is made again; after NEEDS_TRACKS and NEEDS_OUTBOX with ``begun`` set.
    """
    spans = carray(at(desk_table, 0), rows_and_columns(desk_table, 0), np.int64)
    inbox = carray(at(desk_table, 1), rows(desk_table, 1), np.uint8)
    outbox = carray(at(desk_table, 2), rows(desk_table, 2), np.uint8)
    if not find_arrays(data, spans):
        return DECLINED
    frames, detections = frames_in(spans), detections_in(spans)
    if frames > entries[_MOST_FRAMES] or entries[_DETECTIONS] + detections > entries[_MOST_DETECTIONS]:
        return DECLINED
    progress = arrays.progress_of(workspace_table)
    outputs = arrays.outputs_of(workspace_table)
    if not begun:
        if (
            data.shape[0] + MARGIN > inbox.shape[0]
            or frames > outputs.reports.shape[0]
            or detections > outputs.track_ids.shape[0]
        ):
            return NEEDS_INBOX
        progress[FRAMES_DONE] = NOT_BEGUN
    if not message.run_frames(stream_table, workspace_table, read_columns(data, spans, inbox), answered):
        return NEEDS_TRACKS
    size = write_decisions(workspace_table, entries, outbox)
    if size > outbox.shape[0]:
        progress[NEEDED] = size
        return NEEDS_OUTBOX
    entries[_DETECTIONS] += progress[DETECTIONS_OUT]
    return size << _SIZE_SHIFT | frames << _FRAMES_SHIFT | _is_more(frames, progress, workspace_table)


@array_kernel
def _is_more(frames: int, progress: NDArray[np.int64], workspace_table: NDArray[np.int64]) -> int:
    """MORE or 0."""
    untold = progress[MISMATCH] != 0 or progress[FRAMES_TAKEN] != frames or progress[RESETS] > 0
    crowded = progress[MOST_EDGES] > arrays.scratch_of(workspace_table).edge_column.shape[0]
    return MORE if untold or crowded or progress[EVENTS_OUT] > 0 else 0
