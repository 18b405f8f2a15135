"""The same figures by class and by sequence: where fusion helps, and where it does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tertium_server.tuning.curve import Point
from tertium_server.tuning.units import Units

from .packing import Json, number
from .views import Views, Which

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Served:
    """Counts of boxes by class and sequence, each class at its own thresholds: (C, S) each."""

    tp: Counts
    fp: Counts
    kept_tp: Counts
    """Of all that is not NO."""
    kept_fp: Counts
    judged: Counts
    """Boxes, whatever was said of them."""
    positives: Counts


def slices(views: Views) -> Json:
    """``{"total", "classes", "sequences"}``: boxes at the policy's thresholds; and the best F1 held out beside that of the raw score.

    Of a class that is the mean over folds, each at its own threshold, as the summary has it; of a sequence it is at its own threshold.
    """
    served, summary = _serve(views), views.tuning.summary["held_out"]
    classes = [
        {
            "name": class_name,
            **_figures(served, (place, slice(None))),
            "raw_f1": summary["raw"]["classes"][class_name].get("best_f1_by_fold"),
            "held_out_f1": summary["fused"]["classes"][class_name].get("best_f1_by_fold"),
        }
        for place, class_name in enumerate(views.class_names.values())
    ]
    in_sequences = {name: _f1_by_block(views.views[which].boxes_by_sequence) for name, which in _COMPARED.items()}
    sequences = [
        {
            "name": one.name,
            "frames": one.labelled.sequence.length,
            **_figures(served, (slice(None), place)),
            **{name: values[place] for name, values in in_sequences.items()},
        }
        for place, one in enumerate(views.seen)
    ]
    return {"total": _figures(served, (slice(None), slice(None))), "classes": classes, "sequences": sequences}


_COMPARED = {"raw_f1": Which.RAW, "held_out_f1": Which.HELD_OUT}


def _serve(views: Views) -> _Served:
    units = views.views[Which.FUSED].boxes_by_sequence
    columns: list[tuple[Counts, ...]] = []
    for class_id in views.class_names:
        chosen, (yes, no) = units.of_class(class_id), views.thresholds(class_id, "box")
        at_yes, at_no, at_all = (chosen.counts_by_block(threshold) for threshold in (yes, no, -np.inf))
        columns.append((at_yes.tp, at_yes.fp, at_no.tp, at_no.fp, at_all.tp + at_all.fp, at_yes.positives))
    return _Served(*(np.stack(column) for column in zip(*columns, strict=True)))


def _figures(served: _Served, where: tuple[slice | int, slice | int]) -> Json:
    """Counts and figures of a part: of YES, of what people see, and after they have answered rightly."""
    tp, fp, kept_tp, kept_fp, judged, positives = (
        int(getattr(served, name)[where].sum()) for name in ("tp", "fp", "kept_tp", "kept_fp", "judged", "positives")
    )
    yes = Point(threshold=float("nan"), tp=tp, fp=fp, found=tp, positives=positives)
    together = Point(threshold=float("nan"), tp=kept_tp, fp=fp, found=kept_tp, positives=positives)
    maybe = kept_tp + kept_fp - tp - fp
    return {
        "objects": positives,
        "judged": judged,
        "tp": tp,
        "fp": fp,
        "fn": yes.fn,
        "maybe": maybe,
        "maybe_right": kept_tp - tp,
        "maybe_share": maybe / judged if judged else None,
        "precision": number(yes.precision),
        "recall": number(yes.recall),
        "f1": number(yes.f1),
        "f1_with_people": number(together.f1),
        "recall_with_people": number(together.recall),
    }


def _f1_by_block(units: Units) -> list[float | None]:
    """The best F1 of each block, at its own threshold; None where there is none."""
    blocks = np.arange(len(units.positives))
    curves = [units.in_blocks(blocks == block).curve() for block in blocks]
    return [None if curve.obstacle else curve.best().f1 for curve in curves]
