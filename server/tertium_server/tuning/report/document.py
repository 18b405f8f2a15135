"""All that the page shows, as one JSON tree."""

from __future__ import annotations

import json

from .confusion import confusion
from .curves import MOST_POINTS, curves
from .distributions import distributions, histograms, reliabilities
from .evidence import LONGEST, table
from .headline import headline
from .packing import Json
from .slices import slices
from .tracks import list_tracks
from .views import Views, Which, scope, scopes

MOST_ASKED = 2_000
"""Points of grids, of thresholds or of IoUs by class, that the page holds."""


def document(views: Views) -> Json:
    """The tree. What is long is packed (see `packing`); what is left out is counted beside what is shown."""
    tracks = list_tracks(views)
    names = views.class_names
    provenance: Json = views.tuning.policy.provenance
    summary, left_out = bounded(views.tuning.summary)
    return {
        "summary": summary,
        "left_out": left_out,
        "made_by": provenance["made_by"],
        "date": provenance["date"],
        "data": provenance["data"],
        "matching": views.matching.as_json(),
        "block_unit": views.views[Which.FUSED].boxes.block_unit.value,
        "limits": {"points": MOST_POINTS, "longest": LONGEST},
        "classes": [*names.values()],
        "sequences": [
            {"name": one.name, "frames": one.labelled.sequence.length, "fps": one.labelled.sequence.fps}
            for one in views.seen
        ],
        "thresholds": {
            unit: {
                scope(class_id): dict(zip(("yes", "no"), pair, strict=True))
                for class_id in scopes(views)
                if (pair := views.chosen_thresholds(class_id, unit)) is not None
            }
            for unit in ("box", "track", "frame")
        },
        "headline": headline(views),
        "curves": curves(views),
        "histograms": histograms(views),
        "reliability": reliabilities(views),
        "confusion": confusion(views),
        "distributions": distributions(views, tracks),
        "tracks": table(views, tracks),
        "slices": slices(views),
    }


def bounded(summary: Json) -> tuple[Json, list[str]]:
    """The summary without what people may ask for in any length, where that is long; and what was left out, in words."""
    left_out = []
    thresholds = sum(
        len(side["overall"]) + sum(len(rows) for rows in side["classes"].values()) for side in summary["grid"].values()
    )
    if thresholds > MOST_ASKED:
        summary = {**summary, "grid": {}}
        left_out.append(
            f"Figures at {thresholds:,} thresholds of the grid are in the summary as JSON that tuning writes."
        )
    rows = summary["iou_grid"]
    if len(rows) * (1 + len(summary["thresholds"]["classes"])) > MOST_ASKED:
        few = [{**row, **{side: {"overall": row[side]["overall"]} for side in ("raw", "held_out")}} for row in rows]
        summary = {**summary, "iou_grid": few}
        left_out.append("Figures by IoU and class are in the summary as JSON that tuning writes.")
    return summary, left_out


def as_text(tree: Json) -> str:
    """JSON that can stand inside HTML: no ``<``, ``>`` or ``&``, and no line ends that JavaScript does not know."""
    text = json.dumps(tree, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
