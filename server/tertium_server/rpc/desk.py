"""A workspace with its output buffers open as bytes: what is sent is copied once, straight from where the kernel has written it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tertium_server.engine import Workspace
from tertium_server.engine.columns import FRAME_REPORT, Outputs

_REPORT_SIZE = FRAME_REPORT.itemsize
_RESET_OFFSET: int = FRAME_REPORT.fields["reset"][1]  # type: ignore[index]  # a structured dtype has fields


class OutputBytes(NamedTuple):
    """The buffers of ``Outputs`` as bytes. Rows of two-dimensional ones lie ``row`` bytes apart."""

    frame_indices: memoryview
    counts: memoryview
    values: memoryview
    values_row: int
    verdicts: memoryview
    verdicts_row: int
    boxes: memoryview
    coasted_counts: memoryview
    coasted_values: memoryview
    coasted_verdicts: memoryview
    coasted_boxes: memoryview
    resets: memoryview


class Desk:
    """What one thread works at; streams take turns."""

    __slots__ = ("_bytes", "_outputs", "workspace")

    def __init__(self) -> None:
        self.workspace = Workspace()
        self._outputs = self.workspace.outputs
        self._bytes = _open(self._outputs)

    def output_bytes(self) -> OutputBytes:
        """The buffers of now: the workspace makes larger ones when it needs them."""
        outputs = self.workspace.outputs
        if outputs is not self._outputs:
            self._outputs = outputs
            self._bytes = _open(outputs)
        return self._bytes

    def saw_reset(self, frames: int) -> bool:
        """Whether the stream was reset before one of the frames sent last."""
        resets = self.output_bytes().resets
        if frames == 1:
            return resets[0] != 0
        return any(resets[: frames * _REPORT_SIZE : _REPORT_SIZE])

    @property
    def detections(self) -> int:
        """For how many detections there is room."""
        return len(self.workspace.outputs.track_ids)


def _bytes(array: NDArray[Any]) -> memoryview:
    return array.data.cast("B")


def _open(outputs: Outputs) -> OutputBytes:
    return OutputBytes(
        frame_indices=_bytes(outputs.frame_indices),
        counts=_bytes(outputs.counts),
        values=_bytes(outputs.values),
        values_row=outputs.values.strides[0],
        verdicts=_bytes(outputs.verdicts),
        verdicts_row=outputs.verdicts.strides[0],
        boxes=_bytes(outputs.boxes),
        coasted_counts=_bytes(outputs.coasted_counts),
        coasted_values=_bytes(outputs.coasted_values),
        coasted_verdicts=_bytes(outputs.coasted_verdicts),
        coasted_boxes=_bytes(outputs.coasted_boxes),
        resets=_bytes(outputs.reports.view(np.uint8))[_RESET_OFFSET:],
    )
