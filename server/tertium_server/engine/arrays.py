"""The arrays of a stream and of a workspace, as kernels find them in their tables (see addresses.py)."""

from typing import NamedTuple

import numpy as np
from numba.np.numpy_support import carray

from tertium_server.engine.addresses import at, pointer, rows, rows_and_columns
from tertium_server.engine.columns import (
    FRAME_REPORT,
    Float64s,
    FrameColumns,
    Int32s,
    Int64s,
    Outputs,
    Records,
    Scratch,
)
from tertium_server.engine.kernel import array_kernel
from tertium_server.engine.layout import CLASS, EVENT, STREAM, TRACK, TRACKER


class StreamArrays(NamedTuple):
    """Everything that is a stream's own, in the order of its table."""

    streams: Records
    trackers: Records
    judges: Records
    class_lookup: Int32s
    tracks: Records
    tally: Int64s
    closed: Int64s
    zone_corners: Float64s
    zone_starts: Int64s


@array_kernel
def stream_arrays(table):
    """The :class:`StreamArrays` of a stream's table."""
    return StreamArrays(
        carray(at(table, 0), rows(table, 0), STREAM),
        carray(at(table, 1), rows(table, 1), TRACKER),
        carray(at(table, 2), rows(table, 2), CLASS),
        carray(at(table, 3), rows(table, 3), np.int32),
        carray(at(table, 4), rows(table, 4), TRACK),
        carray(at(table, 5), rows_and_columns(table, 5), np.int64),
        carray(at(table, 6), rows(table, 6), np.int64),
        carray(at(table, 7), rows_and_columns(table, 7), np.float64),
        carray(at(table, 8), rows(table, 8), np.int64),
    )


@array_kernel
def outputs_of(table):
    """The :class:`Outputs` of a workspace's table."""
    return Outputs(
        carray(at(table, 0), rows(table, 0), FRAME_REPORT),
        carray(at(table, 1), rows(table, 1), np.int64),
        carray(at(table, 2), rows(table, 2), np.uint32),
        carray(at(table, 3), rows(table, 3), np.uint32),
        carray(at(table, 4), rows(table, 4), np.int64),
        carray(at(table, 5), rows_and_columns(table, 5), np.float32),
        carray(at(table, 6), rows_and_columns(table, 6), np.uint8),
        carray(at(table, 7), rows_and_columns(table, 7), np.float32),
        carray(at(table, 8), rows_and_columns(table, 8), np.float64),
        carray(at(table, 9), rows(table, 9), np.int64),
        carray(at(table, 10), rows(table, 10), np.float32),
        carray(at(table, 11), rows(table, 11), np.uint8),
        carray(at(table, 12), rows_and_columns(table, 12), np.float32),
        carray(at(table, 13), rows(table, 13), EVENT),
        carray(at(table, 14), rows(table, 14), EVENT),
        carray(at(table, 15), rows(table, 15), TRACK),
    )


@array_kernel
def scratch_of(table):
    """The :class:`Scratch` of a workspace's table."""
    return Scratch(
        carray(at(table, 16), rows_and_columns(table, 16), np.float64),
        carray(at(table, 17), rows_and_columns(table, 17), np.int64),
        carray(at(table, 18), rows(table, 18), np.int64),
        carray(at(table, 19), rows(table, 19), np.float64),
    )


@array_kernel
def progress_of(table):
    """The progress vector of a workspace's table."""
    return carray(at(table, 20), rows(table, 20), np.int64)


@array_kernel
def borrow(columns):
    """Columns that Python has handed over, as kernels have them from elsewhere: not read-only by type, so that all is compiled for one kind."""
    return FrameColumns(
        carray(pointer(np.int64(columns[0].ctypes.data)), columns[0].shape, columns[0].dtype),
        carray(pointer(np.int64(columns[1].ctypes.data)), columns[1].shape, columns[1].dtype),
        carray(pointer(np.int64(columns[2].ctypes.data)), columns[2].shape, columns[2].dtype),
        carray(pointer(np.int64(columns[3].ctypes.data)), columns[3].shape, columns[3].dtype),
        carray(pointer(np.int64(columns[4].ctypes.data)), columns[4].shape, columns[4].dtype),
        carray(pointer(np.int64(columns[5].ctypes.data)), columns[5].shape, columns[5].dtype),
        carray(pointer(np.int64(columns[6].ctypes.data)), columns[6].shape, columns[6].dtype),
    )
