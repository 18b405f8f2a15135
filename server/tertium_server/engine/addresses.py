"""Arrays that kernels are told of by address.

numba takes every array that Python hands to a kernel apart, field by field, and counts references to it: for the thirty arrays of a step that costs
as much as the step itself does on a frame of twenty detections. Arrays that stay the same from call to call are therefore written into a table
once, and a kernel gets the table.

Whoever makes a table keeps its arrays alive, and makes another as soon as one of them is replaced: a table that is out of date points into memory
that belongs to somebody else by now.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tertium_server.engine.kernel import kernel

_ADDRESS, _ROWS, _COLUMNS, _WIDTH = 0, 1, 2, 3

_memcpy: Any = cgutils.raw_memcpy  # numba says nothing of its types


def address_table(arrays: Iterable[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """(3 A,) address, rows and columns (1 for a vector) of each array, which has one or two dimensions and lies in C order."""
    entries: list[int] = []
    for array in arrays:
        if not array.flags.c_contiguous:
            raise ValueError("kernels reach only arrays in C order")
        rows, columns = array.shape if array.ndim > 1 else (*array.shape, 1)
        entries += (array.ctypes.data, rows, columns)
    return np.array(entries, np.int64)


@intrinsic
def _pointer(_typing: Any, _address: Any) -> Any:  # noqa: ANN401 - numba's own compiler objects

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


pointer = cast("Callable[[Any], Any]", _pointer)
"""An address (int64) as a pointer that ``numba.carray`` takes; inside kernels only."""


@intrinsic
def _copy_bytes(_typing: Any, _target: Any, _source: Any, _count: Any) -> Any:  # noqa: ANN401 - as above

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        target, source = (builder.inttoptr(address, cgutils.voidptr_t) for address in arguments[:2])
        _memcpy(builder, target, source, arguments[2], itemsize=1)
        return cgutils.true_bit

    return types.boolean(types.int64, types.int64, types.int64), generate


copy_bytes = cast("Callable[[Any, Any, Any], Any]", _copy_bytes)
"""Copies bytes: to an address (int64), from an address, how many; inside kernels only. The two must not overlap."""


@kernel
def at(table, place):
    """Pointer to the array at a place of a table."""
    return pointer(table[_WIDTH * place + _ADDRESS])


@kernel
def rows(table, place):
    """Shape (rows,) of the vector at a place of a table."""
    return (table[_WIDTH * place + _ROWS],)


@kernel
def rows_and_columns(table, place):
    """Shape (rows, columns) of the array at a place of a table."""
    return (table[_WIDTH * place + _ROWS], table[_WIDTH * place + _COLUMNS])
