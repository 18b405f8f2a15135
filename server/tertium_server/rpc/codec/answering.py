"""A request of frames, answered: read, run and written in one compiled call."""

from __future__ import annotations

import numpy as np
from numba.np.numpy_support import carray
from numpy.typing import NDArray

from tertium_server.engine import arrays, message
from tertium_server.engine.addresses import at, rows, rows_and_columns
from tertium_server.engine.columns import (
    DETECTIONS_OUT,
    DISMISSED_OUT,
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
from tertium_server.rpc.codec.compiling import array_kernel, kernel
from tertium_server.rpc.codec.reading import MARGIN, detections_in, find_arrays, frames_in, read_columns
from tertium_server.rpc.codec.telling import write_events
from tertium_server.rpc.codec.writing import write_decisions

DECLINED = -1
"""The message has to go the long way; nothing was run."""
HEAVY = -2
"""The message is more work than others should have to wait for; nothing was run."""
NEEDS_INBOX = -3
"""The message is larger than the inbox or the workspace; nothing was run."""
NEEDS_TRACKS = -4
"""The engine has stopped at a frame that needs more room, as ``StreamEngine.make_room`` makes it."""
NEEDS_OUTBOX = -5
"""All frames are done, but the outbox is too small; ``progress[NEEDED]`` holds the size of the response."""

MORE = 1
"""Flag of an answer that is not all: there are refused frames to tell of, or the workspace has to grow."""
NEWS = 2
"""Flag of an answer after which there is something to tell review: events, or tracks that were dismissed."""

_FRAMES_SHIFT, _SIZE_SHIFT = 2, 24
_FRAMES_MASK = (1 << (_SIZE_SHIFT - _FRAMES_SHIFT)) - 1
_DETECTIONS, _MOST_FRAMES = letterhead.DETECTIONS, letterhead.MOST_FRAMES
_MOST_DETECTIONS, _MOST_WORK = letterhead.MOST_DETECTIONS, letterhead.MOST_WORK


def frames_answered(code: int) -> int:
    """Frames of the message, refused ones too."""
    return code >> _FRAMES_SHIFT & _FRAMES_MASK


def response_size(code: int) -> int:
    """Bytes of the response in the outbox."""
    return code >> _SIZE_SHIFT


@array_kernel
def answer(  # noqa: PLR0911, PLR0917 - a kernel is called by position, and can not raise
    stream_table: NDArray[np.int64],
    workspace_table: NDArray[np.int64],
    desk_table: NDArray[np.int64],
    entries: NDArray[np.int64],
    data: NDArray[np.uint8],
    answered: int,
    begun: bool,  # noqa: FBT001 - a kernel is called by position
) -> int:
    """Answers the request in ``data``; the decisions and events are in the outbox then, ready to be sent.

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
    columns = read_columns(data, spans, inbox)
    if not begun and _work(columns.counts, arrays.stream_arrays(stream_table).streams[0].tracks) > entries[_MOST_WORK]:
        return HEAVY
    if not message.run_frames(stream_table, workspace_table, columns, answered):
        return NEEDS_TRACKS
    size = write_answer(workspace_table, entries, outbox)
    if size > outbox.shape[0]:
        progress[NEEDED] = size
        return NEEDS_OUTBOX
    entries[_DETECTIONS] += progress[DETECTIONS_OUT]
    return size << _SIZE_SHIFT | frames << _FRAMES_SHIFT | _flags(frames, progress, workspace_table)


@array_kernel
def write_answer(workspace_table: NDArray[np.int64], entries: NDArray[np.int64], outbox: NDArray[np.uint8]) -> int:
    """Writes what is decided and told of tracks, as the fields of a response; returns its size. A size over that of the outbox was not written."""
    return write_events(workspace_table, entries, outbox, write_decisions(workspace_table, entries, outbox))


@kernel
def _work(counts: NDArray[np.uint32], tracks: int) -> float:
    """About how many comparisons of a detection with a track, or with another detection, it takes to run frames."""
    work = float(counts.shape[0] * tracks)
    for count in counts:
        work += float(count) * (float(count) + tracks)  # no caller's numbers are too large to be multiplied
    return work


@array_kernel
def _flags(frames: int, progress: NDArray[np.int64], workspace_table: NDArray[np.int64]) -> int:
    """MORE and NEWS, as far as they hold."""
    untold = progress[MISMATCH] != 0 or progress[FRAMES_TAKEN] != frames or progress[RESETS] > 0
    crowded = progress[MOST_EDGES] > arrays.scratch_of(workspace_table).edge_column.shape[0]
    news = NEWS if progress[EVENTS_OUT] + progress[DISMISSED_OUT] > 0 else 0
    return news | (MORE if untold or crowded else 0)
