"""One other tracker over scenes of boxes, in the rivals' environment: prints µs a frame by number of detections, as JSON."""

import json
import sys
from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np

_SETTLING = 8  # frames

Update = Callable[[Any, Any], object]


def byte_track() -> Update:
    """Supervision's ByteTrack."""
    supervision = import_module("supervision")
    tracker = supervision.ByteTrack(frame_rate=30)
    return lambda boxes, scores: tracker.update_with_detections(_detections(supervision, boxes, scores))


def sort() -> Update:
    """Roboflow trackers' SORT."""
    supervision = import_module("supervision")
    tracker = import_module("trackers").SORTTracker()
    return lambda boxes, scores: tracker.update(_detections(supervision, boxes, scores))


def norfair() -> Update:
    """Norfair on boxes by IoU."""
    package = import_module("norfair")
    tracker = package.Tracker(distance_function="iou", distance_threshold=0.7)
    return lambda boxes, scores: tracker.update(
        [
            package.Detection(box.reshape(2, 2), scores=np.array([score, score]))
            for box, score in zip(boxes, scores, strict=True)
        ]
    )


def _detections(supervision: Any, boxes: Any, scores: Any) -> Any:  # noqa: ANN401 - a package that is not there for the checkers
    return supervision.Detections(xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), int))


_TRACKERS = {"supervision ByteTrack": byte_track, "trackers SORT": sort, "norfair": norfair}


def main() -> None:
    """Measures the tracker named first on the scenes named after it."""
    figures = {}
    for path in sys.argv[2:]:
        scene = np.load(path)
        count = scene["boxes"].shape[1]
        update = _TRACKERS[sys.argv[1]]()
        times = []
        for boxes, scores in zip(scene["boxes"].astype(float), scene["scores"].astype(float), strict=True):
            started = perf_counter_ns()
            update(boxes, scores)
            times.append((perf_counter_ns() - started) / 1000)
        figures[str(count)] = median(times[_SETTLING:])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
