"""Reviewed tracks in recordings: found by what evidence keeps of their boxes."""

import numpy as np
import pytest

from tertium_server.tuning.reviewed.cases import tracks_of
from tertium_server.tuning.reviewed.finding import detections_of
from tests.tuning.labelled import sequence


@pytest.mark.parametrize("digits", [2, 9], ids=["to a hundredth of a pixel", "in full, as older evidence has them"])
def test_a_case_is_found_by_what_its_evidence_keeps_of_boxes(digits: int) -> None:
    random = np.random.default_rng(4)
    corner = random.uniform(-50, 90_000, (200, 2))
    boxes = np.hstack([corner, corner + random.uniform(9, 90, (200, 2))])
    recorded = sequence(boxes, np.full(200, 0.5), np.arange(1, 201))
    rows = random.permutation(200)[:50]
    kept = np.round(recorded.boxes[rows].astype(np.float64), digits).tolist()
    case = {
        "case_id": "a", "stream_id": "gate", "epoch": 1, "class_name": "car", "stratum": "maybe", "policy_version": "0-a", "probability": 0.5,
        "weight": 1.0, "answer": "yes", "frames": [{"index": frame, "box": box} for frame, box in zip((rows + 1).tolist(), kept, strict=True)],
    }  # fmt: skip
    (track,) = tracks_of([case])
    (found,) = detections_of(recorded, [track])
    assert found.tolist() == rows.tolist()
