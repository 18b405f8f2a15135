"""Where the numbers of a policy came from: what people read in its file, years later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from .cache import content_of
from .readers import Labelled, is_url, named

_FIGURES = ("best_f1", "best_f1_by_fold", "average_precision", "log_loss", "intervals")


def provenance(labelled: Sequence[Labelled], summary: Mapping[str, Any]) -> dict[str, Any]:
    """Data with hashes, version, date, how it was done, and held-out figures with their intervals.

    A hash is that of what was read (detections and truth of a sequence), not of the files it stood in.
    """
    held = {which: summary["held_out"][which]["overall"] for which in ("raw", "fused")}
    return {
        "made_by": f"tertium tune {version('tertium')}",
        "date": datetime.now(UTC).date().isoformat(),
        "objective": summary["objective"],
        "matching": dict(summary["matching"]),
        "limits": dict(summary["limits"]),
        "seed": summary["folds"]["seed"],
        "data": {
            one.name: {
                "frames": one.sequence.length,
                "detections": len(one.sequence),
                "sha256": content_of(one),
                **_urls(one),
            }
            for one in labelled
        },
        "failed_sequences": dict(summary["failed_sequences"]),
        "held_out": {
            "folds": summary["folds"]["count"],
            "by": summary["folds"]["unit"],
            **{which: {key: figures.get(key) for key in _FIGURES} for which, figures in held.items()},
            "gain": summary["held_out"]["gain"]["overall"],
            "gain_over_calibrated": summary["held_out"]["gain_over_calibrated"]["overall"],
        },
        "rungs": {name: one["rung"] for name, one in summary["guard"].items()},
        "fusion_does_not_help": list(summary["fusion_does_not_help"]),
    }


def _urls(one: Labelled) -> dict[str, str]:
    """Where a recording was fetched from; nothing of files, whose paths are somebody's own."""
    places = {"from": named(str(one.sequence.source)), "truth_from": named(str(one.truth.source))}
    return {key: place for key, place in places.items() if is_url(place)}
