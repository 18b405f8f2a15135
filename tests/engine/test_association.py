"""Association against the same stages written with full matrices and scipy."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tertium_server.engine import Workspace, association
from tertium_server.engine.layout import TRACK
from tests.engine.records import tracker

Floats = NDArray[np.float64]
ALONE = -1


@dataclass
class Scene:
    """Corners (n, 4) and classes of tracks and detections; measurements are log-odds."""

    track_boxes: Floats
    boxes: Floats
    measurements: Floats
    established: NDArray[np.bool_]
    track_classes: NDArray[np.int64]
    classes: NDArray[np.int64]
    likely: Floats
    """(tracks,) probabilities that tracks are real."""


def scene(
    track_boxes: list[tuple[float, float, float, float]],
    boxes: list[tuple[float, float, float, float]],
    *,
    high: list[bool] | None = None,
    established: list[bool] | None = None,
    track_classes: list[int] | None = None,
    classes: list[int] | None = None,
    likely: list[float] | None = None,
) -> Scene:
    """A scene in which, where nothing else is said, all tracks are established, all detections confident and all of class 0."""
    sure = np.array(high if high is not None else [True] * len(boxes))
    return Scene(
        np.array(track_boxes, dtype=np.float64).reshape(-1, 4),
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.where(sure, 2.0, -2.0),
        np.array(established if established is not None else [True] * len(track_boxes), dtype=np.bool_),
        np.array(track_classes if track_classes is not None else [0] * len(track_boxes), dtype=np.int64),
        np.array(classes if classes is not None else [0] * len(boxes), dtype=np.int64),
        np.array(likely if likely is not None else [1.0] * len(track_boxes), dtype=np.float64),
    )


def crowd(seed: int, tracks: int, detections: int, spread: float) -> Scene:
    random = np.random.default_rng(seed)

    def boxes(count: int) -> Floats:
        corners = random.uniform(0, spread, (count, 2))
        return np.hstack([corners, corners + random.uniform(20, 60, (count, 2))])

    return Scene(
        boxes(tracks),
        boxes(detections).astype(np.float32).astype(np.float64),
        random.normal(0, 2, detections),
        random.random(tracks) < 0.7,
        random.integers(0, 2, tracks),
        random.integers(0, 2, detections),
        random.choice([0.0, 0.02, 0.3, 0.9, 1.0], tracks).astype(np.float32).astype(np.float64),
    )


def matched(scene: Scene, settings: np.void, workspace: Workspace | None = None) -> list[int]:
    """The track of each detection by the kernel, ALONE for none."""
    workspace = workspace or Workspace()
    count, track_count = len(scene.boxes), len(scene.track_boxes)
    workspace.fit_tracks(count + track_count)
    floats, integers = workspace.scratch.floats, workspace.scratch.integers
    tracks = np.zeros(max(track_count, 1), TRACK)
    left, top, right, bottom = scene.track_boxes.T
    tracks["position"][:track_count] = np.column_stack(
        [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
    )
    tracks["established"][:track_count] = scene.established
    tracks["class_row"][:track_count] = scene.track_classes
    tracks["probability"][:track_count] = scene.likely
    boxes = scene.boxes.astype(np.float32)
    boxes.flags.writeable = False
    association.place_tracks(tracks, track_count, settings["buffer"], floats)
    association.place_detections(boxes, 0, count, settings["buffer"], floats)
    floats[association.MEASUREMENT, :count] = scene.measurements
    integers[association.CLASS_ROW, :count] = scene.classes
    association.associate(
        tracks,
        track_count,
        count,
        settings,
        floats,
        integers,
        workspace.scratch.edge_column,
        workspace.scratch.edge_weight,
    )
    taken = integers[association.MATCHED_TRACK, :count].tolist()
    back = integers[association.MATCHED_DETECTION, :track_count].tolist()
    assert all(taken[detection] == slot for slot, detection in enumerate(back) if detection != ALONE)
    assert sorted(slot for slot in taken if slot != ALONE) == [slot for slot, who in enumerate(back) if who != ALONE]
    return [int(slot) for slot in taken]


def grown(box: Floats, buffer: float) -> Floats:
    width, height = box[2] - box[0], box[3] - box[1]
    change = np.array([-buffer * width, -buffer * height, buffer * width, buffer * height])
    return np.asarray(box + change, dtype=np.float64)


def iou(one: Floats, other: Floats) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (sum(areas) - width * height))


def reference(scene: Scene, settings: np.void) -> list[int]:
    """The stages as their rule reads, each with a full matrix."""
    overlaps = np.array(
        [
            [iou(grown(box, settings["buffer"]), grown(track, settings["buffer"])) for track in scene.track_boxes]
            for box in scene.boxes
        ]
    ).reshape(len(scene.boxes), len(scene.track_boxes))
    if settings["class_aware"]:
        overlaps[scene.classes[:, None] != scene.track_classes[None, :]] = 0.0
    taken = np.full(len(scene.boxes), ALONE)
    high = scene.measurements >= settings["high"]
    everything = np.full(len(scene.boxes), True)
    for rows, columns, gate in (
        (high, scene.established, settings["gate_high"]),
        (~high, scene.established, settings["gate_low"]),
        (everything, ~scene.established, settings["gate_candidate"]),
    ):
        free_rows = np.flatnonzero(rows & (taken == ALONE))
        free_columns = np.flatnonzero(columns & ~np.isin(np.arange(len(scene.established)), taken))
        likely = np.maximum(scene.likely[free_columns], association.LEAST_LIKELY)
        right = np.maximum(1.0 / (1.0 + np.exp(-scene.measurements[free_rows])), association.LEAST_LIKELY)
        weights = np.maximum(overlaps[np.ix_(free_rows, free_columns)] - gate, 0.0) * likely * right[:, None]
        for row, column in zip(*linear_sum_assignment(weights, maximize=True), strict=True):
            if weights[row, column] > 0:
                taken[free_rows[row]] = free_columns[column]
    return [int(slot) for slot in taken]


@pytest.mark.parametrize("seed", range(40))
def test_crowds_are_matched_as_by_the_stages_written_with_full_matrices(seed: int) -> None:
    random = np.random.default_rng(seed)
    tracks, detections = random.integers(0, 40, 2).tolist()
    people = crowd(seed, tracks, detections, float(random.uniform(80, 600)))
    gates = random.uniform(0, 0.5, 3)
    settings = tracker(
        gate_high=gates[0],
        gate_low=gates[1],
        gate_candidate=gates[2],
        buffer=random.choice([0.0, 0.1, 0.5]),
        high=random.normal(0, 1),
        class_aware=seed % 2,
    )
    assert matched(people, settings) == reference(people, settings)


def test_more_overlapping_pairs_than_the_buffer_holds_are_matched_all_the_same() -> None:
    people = crowd(1, 110, 110, 30)
    people.established[:] = True
    people.measurements[:] = 2.0
    settings = tracker(gate_high=0.0, class_aware=0)
    workspace = Workspace()
    assert workspace.scratch.edge_column.shape[0] == 4096
    pairs = sum(iou(box, track) > 0 for box in people.boxes for track in people.track_boxes)
    assert pairs > 2 * 4096, "or this tests nothing"
    assert matched(people, settings, workspace) == reference(people, settings)


@pytest.mark.parametrize("buffer", [0.0, 0.1, 1.0])
def test_boxes_are_compared_by_the_intersection_over_union_of_what_they_grow_to(buffer: float) -> None:
    one, other = (0.0, 0.0, 10.0, 20.0), (4.0, 5.0, 16.0, 21.0)
    overlap = iou(grown(np.array(one), buffer), grown(np.array(other), buffer))
    just_over, just_under = (tracker(buffer=buffer, gate_high=overlap + nudge) for nudge in (1e-9, -1e-9))
    assert matched(scene([one], [other]), just_over) == [ALONE]
    assert matched(scene([one], [other]), just_under) == [0]


def test_touching_boxes_do_not_overlap() -> None:
    settings = tracker(gate_high=0.0)
    assert matched(scene([(0, 0, 10, 10)], [(10, 0, 20, 10)]), settings) == [ALONE]
    assert matched(scene([(0, 0, 10, 10)], [(9.99, 0, 20, 10)]), settings) == [0]


def test_a_confident_detection_is_served_before_a_low_one_that_overlaps_more() -> None:
    people = scene([(0, 0, 10, 10)], [(0, 0, 10, 10), (2, 0, 12, 10)], high=[False, True])
    assert matched(people, tracker()) == [ALONE, 0]


def test_a_low_detection_keeps_a_track_alive_that_no_confident_one_took() -> None:
    people = scene([(0, 0, 10, 10), (50, 0, 60, 10)], [(50, 0, 60, 10), (0, 0, 10, 10)], high=[True, False])
    assert matched(people, tracker()) == [1, 0]


def test_candidates_get_what_established_tracks_leave_whatever_its_score() -> None:
    box = (0.0, 0.0, 10.0, 10.0)
    assert matched(scene([box, box], [box], established=[False, True]), tracker()) == [1]
    for sure in (True, False):
        assert matched(scene([box, box], [box, box], established=[False, True], high=[True, sure]), tracker()) in (
            [1, 0],
            [0, 1],
        )


@pytest.mark.parametrize(
    ("stage", "established", "high"), [("high", True, True), ("low", True, False), ("candidate", False, True)]
)
def test_each_stage_has_a_gate_of_its_own(stage: str, *, established: bool, high: bool) -> None:
    people = scene([(0, 0, 10, 10)], [(0, 0, 10, 5)], established=[established], high=[high])  # IoU 0.5
    others = {f"gate_{name}": 0.0 for name in ("high", "low", "candidate")}
    closed = {f"gate_{name}": 0.9 for name in ("high", "low", "candidate")}
    assert matched(people, tracker(**{**others, f"gate_{stage}": 0.6})) == [ALONE]
    assert matched(people, tracker(**{**closed, f"gate_{stage}": 0.4})) == [0]


def test_a_detection_joins_a_track_of_another_class_only_where_classes_do_not_count() -> None:
    people = scene([(0, 0, 10, 10)], [(0, 0, 10, 10)], track_classes=[1])
    assert matched(people, tracker(class_aware=1)) == [ALONE]
    assert matched(people, tracker(class_aware=0)) == [0]


def test_the_best_total_wins_over_the_best_pair() -> None:
    people = scene([(0, 0, 10, 10), (4, 0, 14, 10)], [(3, 0, 13, 10), (7, 0, 17, 10)])
    # Greedily, detection 0 would take track 1 (its better one) and leave nothing for detection 1.
    assert matched(people, tracker(gate_high=0.1)) == [0, 1]


def test_a_sure_track_is_not_robbed_of_its_object_by_one_that_came_up_beside_it() -> None:
    people = scene([(2, 0, 12, 10), (1, 0, 11, 10)], [(0, 0, 10, 10)], likely=[0.99, 0.3])
    assert matched(people, tracker(gate_high=0.1)) == [0]
    even = scene([(2, 0, 12, 10), (1, 0, 11, 10)], [(0, 0, 10, 10)], likely=[0.99, 0.99])
    assert matched(even, tracker(gate_high=0.1)) == [1]


def test_a_box_is_not_robbed_of_its_track_by_its_own_weak_double() -> None:
    people = scene([(0, 0, 10, 10)], [(2, 0, 12, 10), (1, 0, 11, 10)])
    people.measurements[:] = [4.0, 0.1]
    assert matched(people, tracker(high=0.0)) == [0, ALONE]
    people.measurements[:] = [4.0, 4.0]
    assert matched(people, tracker(high=0.0)) == [ALONE, 0]


def test_the_least_likely_track_takes_what_nobody_else_wants() -> None:
    assert matched(scene([(0, 0, 10, 10)], [(0, 0, 10, 10)], likely=[0.0]), tracker()) == [0]


def test_nothing_to_match() -> None:
    assert matched(scene([], []), tracker()) == []
    assert matched(scene([(0, 0, 1, 1)], []), tracker()) == []
    assert matched(scene([], [(0, 0, 1, 1)]), tracker()) == [ALONE]


@pytest.mark.parametrize("seed", range(10))
def test_what_stands_around_a_box_is_told_from_all_pairs(seed: int) -> None:
    people = crowd(seed, 0, 30, 120)
    random = np.random.default_rng(seed)
    scores = random.choice([0.1, 0.3, 0.5, 0.9], 30).astype(np.float32)  # with ties
    scores.flags.writeable = False
    workspace = Workspace()
    floats, integers = workspace.scratch.floats, workspace.scratch.integers
    boxes = people.boxes.astype(np.float32)
    boxes.flags.writeable = False
    association.place_detections(boxes, 0, 30, 0.0, floats)
    integers[association.CLASS_ROW, :30] = people.classes
    association.look_around(30, scores, 0, floats, integers)
    counts = []
    for row, box in enumerate(people.boxes):
        others = [other for other in range(30) if other != row and people.classes[other] == people.classes[row]]
        better = [
            other for other in others if scores[other] > scores[row] or (scores[other] == scores[row] and other < row)
        ]
        overlap = max((iou(box, people.boxes[other]) for other in better), default=0.0)
        cover = max((cover_of(box, people.boxes[other]) for other in better), default=0.0)
        counts.append(sum(iou(box, people.boxes[other]) > 0.3 for other in others))
        assert floats[association.OVERLAP, row] == pytest.approx(overlap, rel=1e-12)
        assert floats[association.COVER, row] == pytest.approx(cover, rel=1e-12)
        assert floats[association.NEIGHBOURS, row] == counts[-1]
    assert any(counts)


def cover_of(box: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The share of a box that another covers."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return float(max(width, 0.0) * max(height, 0.0) / ((box[2] - box[0]) * (box[3] - box[1])))
