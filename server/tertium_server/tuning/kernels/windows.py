"""Smallest values in windows that slide one way."""

import numpy as np
from numpy.typing import NDArray

from .compiling import kernel


@kernel
def smallest_in_windows(
    values: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(W,) the place of the smallest of values[starts[w]:stops[w]], the first of equal ones. Starts and stops never fall; none is empty."""
    places = np.empty(starts.shape[0], np.int64)
    queue = np.empty(
        values.shape[0], np.int64
    )  # places whose values rise: each is the smallest from the one before it on
    head, tail, entered = 0, 0, 0
    for window in range(starts.shape[0]):
        while entered < stops[window]:
            while tail > head and values[queue[tail - 1]] > values[entered]:
                tail -= 1
            queue[tail] = entered
            tail += 1
            entered += 1
        while queue[head] < starts[window]:
            head += 1
        places[window] = queue[head]
    return places
