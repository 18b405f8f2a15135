"""What one thread works at: the engine's workspace, and room for messages on their way in and out. Streams take turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import StreamEngine, Workspace
from tertium_server.engine.addresses import address_table
from tertium_server.engine.columns import NEEDED
from tertium_server.rpc.codec.answering import HEAVY, NEEDS_INBOX, NEEDS_OUTBOX, answer, response_size, write_answer
from tertium_server.rpc.codec.letterhead import Letterhead
from tertium_server.rpc.codec.reading import FIELDS, MARGIN, detections_in, frames_in

_FIRST_BYTES = 1 << 14
_BYTE = np.dtype(np.uint8)  # a dtype object: one that is given by name is looked up in each call


class Desk:
    """A workspace with an inbox and an outbox, grown when a message needs more."""

    __slots__ = ("_inbox", "_outbox", "_outbox_bytes", "_shadow_workspace", "_spans", "_table", "workspace")

    def __init__(self) -> None:
        self.workspace = Workspace()
        self._shadow_workspace: Workspace | None = None
        self._spans: NDArray[np.int64] = np.zeros((FIELDS, 2), np.int64)
        self._furnish(_FIRST_BYTES, _FIRST_BYTES)

    @property
    def shadow_workspace(self) -> Workspace:
        """The workspace of policies in the shadow, made when there is one."""
        if self._shadow_workspace is None:
            self._shadow_workspace = Workspace()
        return self._shadow_workspace

    @property
    def detections(self) -> int:
        """For how many detections there is room."""
        return len(self.workspace.outputs.track_ids)

    def answer(self, data: bytes, engine: StreamEngine, letterhead: Letterhead) -> int:
        """Runs a message of frames and writes its decisions and events into the outbox; the code is that of ``codec.answering.answer``.

        DECLINED: the message has to go the long way, HEAVY: it is too much work for here; nothing was run.
        """
        message = np.frombuffer(data, _BYTE)
        code = answer(
            engine.table, self.workspace.table, self._table, letterhead.entries, message, engine.answered, False  # noqa: FBT003 - by position
        )  # fmt: skip
        while code < HEAVY:
            self._make_room(code, len(data), engine)
            begun = code != NEEDS_INBOX
            code = answer(
                engine.table, self.workspace.table, self._table, letterhead.entries, message, engine.answered, begun
            )
        return code

    def take(self, code: int) -> bytes:
        """The response that ``answer`` has written."""
        return bytes(self._outbox_bytes[: response_size(code)])

    def write_answer(self, letterhead: Letterhead) -> bytes:
        """The decisions and events in the workspace as fields of a response; b"" where there are none."""
        size = write_answer(self.workspace.table, letterhead.entries, self._outbox)
        if size > len(self._outbox):
            self._furnish(len(self._inbox), 2 * size)
            write_answer(self.workspace.table, letterhead.entries, self._outbox)
        return bytes(self._outbox_bytes[:size])

    def _make_room(self, code: int, size: int, engine: StreamEngine) -> None:
        if code == NEEDS_INBOX:
            self.workspace.begin(frames_in(self._spans), detections_in(self._spans))
            self._furnish(max(2 * size + MARGIN, len(self._inbox)), len(self._outbox))
        elif code == NEEDS_OUTBOX:
            self._furnish(len(self._inbox), 2 * int(self.workspace.progress[NEEDED]))
        else:
            engine.make_room(self.workspace)

    def _furnish(self, inbox: int, outbox: int) -> None:
        self._inbox: NDArray[np.uint8] = np.zeros((inbox + 7) // 8, np.int64).view(np.uint8)  # where numbers may lie
        self._outbox: NDArray[np.uint8] = np.zeros(outbox, np.uint8)
        self._outbox_bytes = self._outbox.data
        self._table = address_table((self._spans, self._inbox, self._outbox))
