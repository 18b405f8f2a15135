"""A recorded sequence through the server's engine, in this process: what the server would say, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tertium_server.engine import (
    DecisionColumns,
    FrameColumns,
    FrameStatus,
    StreamEngine,
    StreamSettings,
    Workspace,
)
from tertium_server.policy import Policy, compile_parameters

from .decisions import Decisions, DecisionsBuilder, ReplayError
from .frames import Frames, frames_of
from .readers import Sequence, named
from .reference import DecidedScores


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a sequence is replayed."""

    batch: int = 256
    """Frames a call of the engine, at least 1. It changes nothing but speed."""

    client_tracks: bool = False
    """Take the file's track ids as they are and fuse evidence only."""


_REFUSALS = {
    FrameStatus.TRACK_ID: "its track id occurs twice in the frame; a tracker gives a box each track at most one",
    FrameStatus.LIMIT: "the frame has more detections than the engine takes; leave out the lowest scores",
}


def replay(
    sequence: Sequence,
    policy: Policy,
    options: ReplayOptions = ReplayOptions(),  # frozen
    *,
    workspace: Workspace | None = None,
    progress: Callable[[int], None] | None = None,
    scores: DecidedScores | None = None,
) -> Decisions:
    """Judges every detection of a sequence. `progress` is told the frames of each step; `scores` what happens to tracks.

    Raises:
        ReplayError: the engine refused a frame.
    """
    client_tracks = options.client_tracks
    order = sequence.by_frame()
    builder = DecisionsBuilder(sequence, order, client_tracks=client_tracks)
    settings = stream_settings(sequence, client_tracks=client_tracks)
    engine = StreamEngine(compile_parameters(policy, settings), settings)
    workspace = workspace or Workspace()
    frames = frames_of(sequence, order.order, order.counts, client_tracks=client_tracks)
    resets = 0
    if scores is not None:
        scores.begin(settings.class_names)
    for piece in frames.split(options.batch):
        columns = engine.advance(
            FrameColumns(
                piece.indices, piece.times, piece.counts, piece.boxes, piece.scores, piece.class_ids, piece.track_ids
            ),
            workspace,
        )
        if columns.error or columns.status.any():
            raise _refused(sequence, piece, columns, order.order[builder.filled :])
        resets += int(np.count_nonzero(columns.resets))
        _add(builder, columns)
        if scores is not None:
            scores.take(columns)
        if progress is not None:
            progress(len(piece))
    rest = engine.finish(workspace)  # with what a policy's lag has held back
    _add(builder, rest)
    if scores is not None:
        scores.take(rest)
    return builder.build(policy.version, resets)


def _add(builder: DecisionsBuilder, columns: DecisionColumns) -> None:
    builder.add(
        columns.track_ids,
        columns.probabilities,
        columns.verdicts,
        columns.track_probabilities,
        columns.track_verdicts,
    )


def stream_settings(sequence: Sequence, *, client_tracks: bool) -> StreamSettings:
    """What a camera that sent this sequence would open its stream with."""
    width, height = sequence.frame_size
    return StreamSettings(
        # A set of files without a single row names no class; the engine wants one.
        class_names=sequence.class_names or {0: "object"},
        frame_width=width,
        frame_height=height,
        nominal_fps=sequence.nominal_fps,
        client_tracks=client_tracks,
        logits=sequence.logits,
    )


def _refused(
    sequence: Sequence, piece: Frames, columns: DecisionColumns, order: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> ReplayError:
    if columns.error:
        return ReplayError(sequence.name, f"the engine refused {columns.error}; report this as a fault")
    at = int(np.flatnonzero(columns.status)[0])
    status = FrameStatus(int(columns.status[at]))
    culprit = int(columns.culprit[at])
    row = f", row {sequence.rows[order[culprit]]}" if culprit >= 0 else ""
    reason = _REFUSALS.get(status, f"the engine refused it ({status.name}); report this as a fault")
    return ReplayError(sequence.name, f"{named(str(sequence.source))}{row}, frame {piece.indices[at]}: {reason}")
