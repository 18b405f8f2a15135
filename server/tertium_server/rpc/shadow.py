"""A policy in the shadow of the one in force: it judges the same frames, and what it says is counted and never sent."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import FrameColumns, FrameStatus, StreamEngine, StreamSettings, Workspace
from tertium_server.engine.columns import DETECTIONS_OUT
from tertium_server.metrics import SHADOW_VERDICTS
from tertium_server.policy import Policy, compile_parameters

PAIRS = SHADOW_VERDICTS**2
"""Places for a pair of verdicts."""

_SHARES = 1 << 32


class Shadow:
    """An engine beside a stream's, under another policy. It begins with the stream's own tracks and evidence, and goes on by itself."""

    def __init__(self, policy: Policy, stream_id: str, settings: StreamSettings, engine: StreamEngine) -> None:
        parameters = compile_parameters(policy, settings, stream_id)
        self.policy = policy
        """The policy that is tried."""
        self._engine = StreamEngine.restore(parameters, settings, engine.snapshot())

    @property
    def waits(self) -> bool:
        """Whether its answers wait for frames to come."""
        return self._engine.waits

    def follow(self, frames: FrameColumns, active: Workspace, own: Workspace, counts: NDArray[np.int64]) -> None:
        """Judges frames that the stream's engine has just judged, and counts what both said.

        ``active``: the workspace with the stream's decisions. ``counts``: (classes, PAIRS) by SHADOW_VERDICTS · active verdict + own.
        """
        decisions = self._engine.advance(frames, own)
        count = int(active.progress[DETECTIONS_OUT])
        if not count or count != decisions.detections:
            return
        rows = self._class_rows(frames, decisions.status)
        pairs = SHADOW_VERDICTS * active.outputs.verdicts[0, :count].astype(np.int64) + decisions.verdicts
        places = np.bincount(PAIRS * rows + pairs, minlength=counts.size)
        counts += places.reshape(counts.shape)

    def _class_rows(self, frames: FrameColumns, status: NDArray[np.uint8]) -> NDArray[np.int64]:
        """(taken detections,) the row of each one's class."""
        taken = np.repeat(status == FrameStatus.TAKEN, frames.counts)
        if not len(frames.class_ids):
            return np.zeros(int(np.count_nonzero(taken)), np.int64)
        rows: NDArray[np.int64] = self._engine.parameters.class_lookup[frames.class_ids[taken]].astype(np.int64)
        return rows


def is_followed(stream_id: str, share: float) -> bool:
    """Whether a stream is among the share of streams that are followed: always the same ones, whatever server they come to."""
    digest = hashlib.blake2b(stream_id.encode(), digest_size=4, person=b"tertium shadow").digest()
    return int.from_bytes(digest, "big") < share * _SHARES
