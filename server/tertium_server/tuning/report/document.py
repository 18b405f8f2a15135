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


def document(views: Views) -> Json:
    """The tree. What is long is packed (see `packing`); what is left out is counted beside what is shown."""
    tracks = list_tracks(views)
    names = views.class_names
    provenance: Json = views.tuning.policy.provenance
    return {
        "summary": views.tuning.summary,
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


def as_text(tree: Json) -> str:
    """JSON that can stand inside HTML: no ``<``, ``>`` or ``&``, and no line ends that JavaScript does not know."""
    text = json.dumps(tree, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
