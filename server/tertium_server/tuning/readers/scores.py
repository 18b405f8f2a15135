"""The score column, which a file may lack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .checks import check_scores
from .errors import Place, ReadError
from .formats import Options
from .table import Table


def scores_of(table: Table, options: Options) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """The scores of a table, (N,), and a warning where it has none and each counts as certain."""
    if "score" not in table.columns:
        count = len(table)
        if not count:
            return np.empty(0), (f"{table.file}: holds no detections; every frame counts as empty",)
        if options.logits:
            raise ReadError(
                Place(table.file), "has no score column", "leave out --scores logit: each detection then counts as 1.0"
            )
        return np.ones(count), (f"{table.file}: has no score column; every detection counts with score 1.0",)
    scores = table.numbers("score")
    check_scores(scores, table.place, "score", logits=options.logits)
    return scores.copy(), ()
