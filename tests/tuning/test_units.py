from typing import Any

import numpy as np
import pytest

from tertium_server.tuning.blocks import AIMED_AT, LEAST_FRAMES, BlockUnit, make_blocks
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.matching import Label, Rule, label_changes, match
from tertium_server.tuning.readers import Kind, Labelled
from tertium_server.tuning.tracks import find_objects, label_tracks, track_units
from tertium_server.tuning.units import Place, Unit, Units, box_units, frame_units, merge
from tests.tuning.labelled import crowd, sequence, truth

BOX = (0.0, 0.0, 10.0, 10.0)
AWAY = (500.0, 500.0, 510.0, 510.0)


def tracked(
    tracks: dict[int, list[tuple[int, int, float]]], objects: dict[int, list[int]], **fields: Any
) -> tuple[Labelled, Units]:
    """Tracks as (frame, object it sits on or 0 for none, score) by id, objects as frames by number. All far from each other."""
    places = {number: (100.0 * number, 0.0, 100.0 * number + 10, 10.0) for number in objects} | {0: AWAY}
    rows = [(frame, places[on], score, track) for track, seen in tracks.items() for frame, on, score in seen]
    there = [(frame, places[number], number) for number, frames in objects.items() for frame in frames]
    length = max([row[0] for row in rows] + [row[0] for row in there], default=1)
    detections = sequence([row[1] for row in rows], [row[2] for row in rows], [row[0] for row in rows], length=length)
    labelled = Labelled(
        detections,
        truth(
            [row[1] for row in there],
            [row[0] for row in there],
            track_ids=np.array([row[2] for row in there], np.int64),
            length=length,
            **fields,
        ),
    )
    matches = match(labelled, detections.scores)
    return labelled, track_units(labelled, matches, np.array([row[3] for row in rows], np.int64), detections.scores)


def test_a_track_scores_as_high_as_it_ever_did() -> None:
    _, units = tracked({7: [(1, 1, 0.3), (2, 1, 0.9), (3, 1, 0.5)]}, {1: [1, 2, 3]})
    curve = units.curve()
    assert curve.thresholds.tolist() == [0.9]
    assert (curve.at(0.9).tp, curve.at(0.9).found, curve.at(0.91).tp) == (1, 1, 0)


def test_half_of_its_boxes_make_a_track_true() -> None:
    _, even = tracked({1: [(1, 1, 0.5), (2, 0, 0.5)]}, {1: [1, 2]})
    assert (even.curve().at(0).tp, even.curve().at(0).fp) == (1, 0)
    _, most_false = tracked({1: [(1, 1, 0.5), (2, 0, 0.5), (3, 0, 0.5)]}, {1: [1, 2, 3]})
    point = most_false.curve().at(0)
    assert (point.tp, point.fp, point.found, point.fn) == (0, 1, 0, 1)


def test_a_track_in_three_pieces_counts_thrice_for_precision_and_once_for_recall() -> None:
    pieces = {track: [(3 * track + step, 1, 0.5 + 0.1 * track) for step in range(3)] for track in range(3)}
    _, units = tracked({**pieces, 9: [(1, 0, 0.9)]}, {1: list(range(1, 10)), 2: [1]})
    point = units.curve().at(0.0)
    assert (point.tp, point.fp, point.found, point.positives) == (3, 1, 1, 2)
    assert point.precision == 0.75
    assert point.recall == 0.5
    assert (point.negatives, point.tn) == (1, 0)
    assert units.curve().at(0.95).tn == 1


def test_an_object_is_found_by_a_fifth_of_the_boxes_on_it() -> None:
    # Nine boxes in a faint track, and one, two or three in a sure one that is mostly on another object.
    for few, score in ((1, 0.3), (2, 0.3), (3, 0.9)):
        faint = [(frame, 1, 0.3) for frame in range(1, 10)]
        sure = [(frame, 1, 0.9) for frame in range(10, 10 + few)] + [(frame, 2, 0.9) for frame in range(30, 40)]
        _, units = tracked({1: faint, 2: sure}, {1: list(range(1, 13)), 2: list(range(30, 40))})
        curve = units.curve()
        assert curve.at(0.9).found == (1 if score == 0.3 else 2)
        assert curve.at(0.3).found == 2


def test_several_tracks_may_hold_an_object_together() -> None:
    pieces = {track: [(track, 1, 0.9 - 0.1 * track)] for track in range(1, 7)}
    _, units = tracked(pieces, {1: list(range(1, 7))})
    curve = units.curve()
    # Two of six boxes are a fifth or more; one of six is not.
    assert curve.at(0.75).found == 0
    assert curve.at(0.65).found == 1


def test_an_object_that_only_false_tracks_touch_is_missed() -> None:
    _, units = tracked({1: [(1, 1, 0.9), (2, 0, 0.9), (3, 0, 0.9)]}, {1: [1]})
    assert units.curve().at(0.0).fn == 1


def test_detections_without_a_track_count_for_none() -> None:
    _, units = tracked({-1: [(1, 1, 0.9), (2, 0, 0.9)], 3: [(3, 1, 0.5)]}, {1: [1, 2, 3]})
    point = units.curve().at(0.0)
    assert (point.tp, point.fp, point.found) == (1, 0, 1)


def test_a_track_on_what_is_ignored_is_dropped() -> None:
    boxes = [BOX] * 4 + [AWAY] * 3
    frames, ids = [1, 2, 3, 4, 3, 4, 5], np.array([1, 1, 2, 2, 1, 2, 2])
    labelled = Labelled(
        sequence(boxes, np.full(7, 0.5), frames), truth([BOX] * 4, [1, 2, 3, 4], kinds=[Kind.IGNORE] * 4, length=5)
    )
    matches = match(labelled, labelled.sequence.scores)
    tracks = label_tracks(labelled, matches, ids, labelled.sequence.scores)
    # Two dropped and one false; two dropped and two false: as many dropped as judged, or more.
    assert tracks.labels.tolist() == [Label.DROPPED, Label.DROPPED]
    assert len(track_units(labelled, matches, ids, labelled.sequence.scores).scores) == 0


def test_a_track_has_the_class_of_most_of_its_boxes() -> None:
    detections = sequence([BOX] * 5, np.full(5, 0.5), [1, 2, 3, 4, 5], classes=[1, 1, 0, 2, 0])
    labelled = Labelled(detections, truth([], length=5))
    matches = match(labelled, detections.scores)
    tracks = label_tracks(labelled, matches, np.array([4, 4, 4, 8, 8]), detections.scores)
    assert tracks.class_ids.tolist() == [1, 0]  # of equally many the smaller
    assert tracks.first_frames.tolist() == [1, 4]
    assert tracks.members.tolist() == [0, 0, 0, 1, 1]


def test_truth_that_names_no_objects_counts_no_tracks() -> None:
    labelled = Labelled(sequence([BOX], [0.5]), truth([BOX], track_ids=np.array([-1])))
    with pytest.raises(UndeterminedError, match=r"gt.txt, row 1: the truth does not say which object"):
        find_objects(labelled.truth)
    ignored = truth([BOX], kinds=[Kind.IGNORE], track_ids=np.array([-1]))
    assert len(find_objects(ignored).track_ids) == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rule", Rule)
def test_boxes_are_what_is_matched_by_class_and_overall(seed: int, rule: Rule) -> None:
    labelled = crowd(seed, ignored=True)
    scores, classes = labelled.sequence.scores, labelled.sequence.class_ids
    units = box_units(labelled, label_changes(labelled, scores, 0.5, rule))
    for threshold in np.unique(scores):
        labels = match(labelled, scores, 0.5, rule, threshold).labels
        assert units.curve().at(threshold).tp == np.sum(labels == Label.TRUE)
        for class_id in (0, 1):
            point = units.of_class(class_id).curve().at(threshold)
            ours = classes == class_id
            assert (point.tp, point.fp) == (
                np.sum(ours & (labels == Label.TRUE)),
                np.sum(ours & (labels == Label.FALSE)),
            )
            assert point.positives == match(labelled, scores).objects[class_id]
            assert point.tn is None


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_alarms_by_class(seed: int) -> None:
    labelled = crowd(seed, frames=20, decimals=2, ignored=True)
    detections, objects = labelled.sequence, labelled.truth
    matches = match(labelled, detections.scores)
    units = frame_units(labelled, matches, detections.scores)
    for threshold in (0.0, 0.5, 0.8, 0.97):
        for class_id in range(3):
            alarms = {
                int(frame)
                for frame, score, label, found in zip(
                    detections.frames, detections.scores, matches.labels, detections.class_ids, strict=True
                )
                if score >= threshold and label != Label.DROPPED and found == class_id
            }
            wanted = {
                int(frame)
                for frame, kind, found in zip(objects.frames, objects.kinds, objects.class_ids, strict=True)
                if kind == Kind.EVALUATE and found == class_id
            }
            point = units.of_class(class_id).curve().at(threshold)
            assert (point.tp, point.fp) == (len(alarms & wanted), len(alarms - wanted))
            assert (point.fn, point.tn) == (len(wanted - alarms), 20 - len(wanted | alarms))


def test_a_class_that_is_missing_cannot_be_determined_and_the_others_can() -> None:
    labelled = crowd(1)
    units = box_units(labelled, label_changes(labelled, labelled.sequence.scores))
    assert units.of_class(0).curve().best().f1 > 0
    with pytest.raises(UndeterminedError, match="no object to find"):
        units.of_class(2).curve().best()


def every_unit(labelled: Labelled, place: Place | None) -> list[Units]:
    scores = labelled.sequence.scores
    matches = match(labelled, scores)
    ids = np.arange(len(scores)) % 5
    return [
        box_units(labelled, label_changes(labelled, scores), place),
        frame_units(labelled, matches, scores, place),
        track_units(labelled, matches, ids, scores, place),
    ]


def test_blocks_add_up_to_the_whole() -> None:
    labelled = crowd(3, frames=60, decimals=2)
    [place] = Place.of_all([labelled])
    assert place.count > 1
    for whole, parts in zip(every_unit(labelled, None), every_unit(labelled, place), strict=True):
        assert parts.block_unit is BlockUnit.FRAMES
        for threshold in (0.0, 0.4, 0.9):
            point, counts = whole.curve().at(threshold), parts.counts_by_block(threshold)
            assert (point.tp, point.fp, point.found, point.positives) == tuple(
                int(column.sum()) for column in (counts.tp, counts.fp, counts.found, counts.positives)
            )
            for block in range(place.count):
                alone = parts.in_blocks(np.arange(place.count) == block).curve().at(threshold)
                assert (alone.tp, alone.fp) == (counts.tp[block], counts.fp[block])
                assert (alone.found, alone.positives) == (counts.found[block], counts.positives[block])


def test_sequences_are_counted_together() -> None:
    scenes = [crowd(seed, frames=10) for seed in range(6)]
    places = Place.of_all(scenes)
    for kind, unit in enumerate(Unit(name) for name in ("box", "frame", "track")):
        parts = [every_unit(scene, place)[kind] for scene, place in zip(scenes, places, strict=True)]
        together = merge(parts)
        assert together.unit is unit
        for threshold in (0.0, 0.5, 1.0):
            points = [part.curve().at(threshold) for part in parts]
            point = together.curve().at(threshold)
            for name in ("tp", "fp", "found", "positives", "negatives"):
                values = [getattr(one, name) for one in points]
                assert getattr(point, name) == (None if None in values else sum(values))
            assert together.counts_by_block(threshold).tp.tolist() == [one.tp for one in points]


def test_different_units_are_not_counted_together() -> None:
    boxes, frames, _ = every_unit(crowd(0), None)
    with pytest.raises(ValueError, match="one kind"):
        merge([boxes, frames])


def test_many_sequences_are_blocks_and_few_are_cut_into_blocks_of_frames() -> None:
    many = make_blocks([10, 20, 30, 40, 50])
    assert (many.unit, many.count) == (BlockUnit.SEQUENCE, 5)
    assert [np.unique(of_frames).tolist() for of_frames in many.of_frames] == [[0], [1], [2], [3], [4]]
    few = make_blocks([1000, 500])
    assert few.unit is BlockUnit.FRAMES
    assert few.count == AIMED_AT
    assert [len(of_frames) for of_frames in few.of_frames] == [1000, 500]
    numbers = np.concatenate(few.of_frames)
    assert np.array_equal(np.unique(numbers), np.arange(few.count))
    assert (np.diff(numbers) >= 0).all()
    assert np.bincount(numbers).min() >= LEAST_FRAMES


def test_a_short_sequence_is_one_block_and_one_may_be_told_what_to_take() -> None:
    assert make_blocks([LEAST_FRAMES]).count == 1
    assert make_blocks([100, 100], BlockUnit.SEQUENCE).count == 2
    assert make_blocks([100] * 9, BlockUnit.FRAMES).unit is BlockUnit.FRAMES
    assert make_blocks([]).count == 0
