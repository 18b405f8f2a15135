"""A policy in the shadow of the one in force: it judges the same frames, and what it says is counted and never sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import FrameColumns, FrameStatus, StreamEngine, StreamSettings, Workspace
from tertium_server.engine.columns import DETECTIONS_OUT
from tertium_server.logs import get_logger
from tertium_server.metrics import SHADOW_VERDICTS
from tertium_server.policy import Policy, compile_parameters

PAIRS = SHADOW_VERDICTS**2
"""Places for a pair of verdicts."""

_SHARES = 1 << 32
_LOG = get_logger("policy")


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


class ShadowSeat:
    """Where a policy in the shadow sits beside a stream, and what it has counted there. Used by the stream's thread; ``counts`` by any."""

    def __init__(self, stream_id: str, settings: StreamSettings, share: float, policy: Policy | None) -> None:
        self._stream_id = stream_id
        self._settings = settings
        self._is_followed = is_followed(stream_id, share)
        self._shadow: Shadow | None = None
        self._counts: NDArray[np.int64] | None = None
        self._policy: Policy | None = None
        self.waits = False
        """A policy is to follow from the next message on."""
        self.change(policy)

    @property
    def is_taken(self) -> bool:
        """A policy follows."""
        return self._shadow is not None

    def counts(self, class_names: Sequence[str]) -> dict[str, list[int]]:
        """Pairs of verdicts, by class; {} if no policy ever followed."""
        return {} if self._counts is None else dict(zip(class_names, self._counts.tolist(), strict=True))

    def change(self, policy: Policy | None) -> None:
        """Another policy is in the shadow now, or none."""
        if policy is self._policy:
            return
        self._policy, self._shadow = policy, None
        self.waits = self._is_followed and policy is not None

    def begin(self, engine: StreamEngine) -> None:
        """Has the policy follow from now on."""
        if self._policy is None:
            return
        self.waits = False
        shadow = Shadow(self._policy, self._stream_id, self._settings, engine)
        if engine.waits or shadow.waits:  # what one says of a frame comes with what the other says of another
            _LOG.warning("a policy with a decision lag has no shadow, and is none", stream=self._stream_id)
            return
        self._shadow = shadow
        if self._counts is None:
            self._counts = np.zeros((len(self._settings.class_names), PAIRS), np.int64)

    def follow(self, frames: FrameColumns, active: Workspace, own: Workspace) -> None:
        """Has the policy judge the frames that were just judged. Whatever happens to it, the stream goes on."""
        if self._shadow is None or self._counts is None:
            return
        try:
            self._shadow.follow(frames, active, own, self._counts)
        except Exception:  # noqa: BLE001 - a bug of the trial must not reach what is in force
            _LOG.exception("the policy in the shadow failed; it follows this stream no more", stream=self._stream_id)
            self._shadow = None


def is_followed(stream_id: str, share: float) -> bool:
    """Whether a stream is among the share of streams that are followed: always the same ones, whatever server they come to."""
    digest = hashlib.blake2b(stream_id.encode(), digest_size=4, person=b"tertium shadow").digest()
    return int.from_bytes(digest, "big") < share * _SHARES
