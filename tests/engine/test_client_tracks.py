"""Streams whose caller tracks: ids are taken as given, and only evidence is fused."""

from dataclasses import replace

import numpy as np
import pytest

from tertium_server.engine import EventReason, EventType
from tests.engine.streams import Box, Frame, Journal, engine_with, filmed, frame, play

HERE: Box = (100.0, 100.0, 140.0, 180.0)
ELSEWHERE: Box = (300.0, 100.0, 340.0, 180.0)
THERE: Box = (500.0, 100.0, 540.0, 180.0)


def tracked(index: int, *detections: tuple[int, Box, float]) -> Frame:
    """A frame of (track id, box, score)."""
    made = frame(index, *((box, score) for _, box, score in detections))
    return replace(made, track_ids=tuple(track_id for track_id, *_ in detections))


def played(frames: list[Frame], *, finish: bool = False) -> Journal:
    return play(engine_with(client_tracks=True, include_features=True), frames, client_tracks=True, finish=finish)


def test_ids_come_back_as_they_were_given_wherever_the_boxes_are() -> None:
    ids = [5, 2**62 + 1, 5, 2**62 + 1]
    boxes = [HERE, HERE, THERE, HERE]
    journal = played(
        [tracked(index, (track_id, box, 0.8)) for index, (track_id, box) in enumerate(zip(ids, boxes, strict=True))]
    )
    assert journal["track_ids"].tolist() == ids
    assert np.exp(journal["box_features"][:, 4]).round().tolist() == [1, 1, 2, 2], "hits, by id"


def test_overlapping_boxes_are_kept_apart_by_their_ids() -> None:
    journal = played([tracked(index, (1, HERE, 0.9), (2, HERE, 0.1)) for index in range(30)])
    first, second = journal["track_probabilities"].reshape(30, 2).T
    assert (first > second).all()
    assert journal["track_ids"].reshape(30, 2).tolist() == [[1, 2]] * 30


def reordered(made: Frame, order: list[int]) -> Frame:
    return Frame(
        made.index,
        made.time,
        tuple(made.boxes[place] for place in order),
        tuple(made.scores[place] for place in order),
        tuple(made.class_ids[place] for place in order),
        tuple(made.track_ids[place] for place in order),
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_detections_within_a_frame_makes_no_difference(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = filmed(seed)
    orders = [random.permutation(len(each.boxes)) for each in frames]
    shuffled = [reordered(each, order.tolist()) for each, order in zip(frames, orders, strict=True)]
    plain, other = played(frames, finish=True), played(shuffled, finish=True)
    for name in ("track_ids", "probabilities", "verdicts", "track_probabilities", "track_verdicts", "boxes"):
        for expected, found, order in zip(plain.by_frame(name), other.by_frame(name), orders, strict=True):
            np.testing.assert_array_equal(found, expected[order])
    assert sorted(plain["events"].tolist()) == sorted(other["events"].tolist())
    assert sorted(plain["coasted_probabilities"].tolist()) == sorted(other["coasted_probabilities"].tolist())


def test_a_detection_without_an_id_is_judged_by_itself_each_time() -> None:
    frames = [tracked(index, (0, HERE, 0.7), (0, ELSEWHERE, 0.7), (9, THERE, 0.9)) for index in range(20)]
    journal = played(frames, finish=True)
    alone = played([tracked(0, (0, HERE, 0.7))])
    untracked = journal["track_ids"] == 0
    assert untracked.reshape(20, 3).tolist() == [[True, True, False]] * 20
    for name in ("probabilities", "track_probabilities", "track_lower", "track_upper", "verdicts"):
        assert set(journal[name][untracked][2:].tolist()) == {journal[name][3]}
        assert journal[name][0] == alone[name][0]
    assert set(journal["events"]["track_id"].tolist()) == {9}
    assert 0 not in journal["coasted_track_ids"]


def test_a_detection_without_an_id_leaves_nothing_behind() -> None:
    engine = engine_with(client_tracks=True)
    for index in range(20):
        play(engine, [tracked(index, *[(0, HERE, 0.9)] * 50)], client_tracks=True)
        assert engine.tracks == 0
    assert not engine.closed.any()
    assert engine.tally.sum() == 1000


def test_an_id_that_comes_back_after_its_track_was_lost_is_a_new_track() -> None:
    seen, again = range(10), range(60, 70)
    frames = [tracked(index, *[(3, HERE, 0.9)] * (index in seen or index in again)) for index in range(70)]
    events = played(frames, finish=True).events_of(3)
    kinds = [(EventType(each["type"]), EventReason(each["reason"])) for each in events]
    ends = [reason for kind, reason in kinds if kind == EventType.ENDED]
    assert ends == [EventReason.LOST, EventReason.STREAM_ENDED]
    assert [int(each["first_frame"]) for each in events if each["type"] == EventType.STARTED] == [0, 60]


def test_the_callers_track_coasts_and_misses_like_our_own() -> None:
    frames = [tracked(index, *[(3, HERE, 0.9)] * (index < 10)) for index in range(15)]
    caller = played(frames, finish=True)
    ours = play(engine_with(), frames, finish=True)
    assert caller["coasted_counts"].tolist() == ours["coasted_counts"].tolist() == [0] * 10 + [1] * 5
    assert caller["coasted_probabilities"].tobytes() == ours["coasted_probabilities"].tobytes()
    assert caller["coasted_track_ids"].tolist() == [3] * 5
    assert caller["events"][-1]["misses"] == ours["events"][-1]["misses"] == 5


def test_where_the_caller_tracks_as_we_would_evidence_is_the_same() -> None:
    frames = filmed(6)
    ours = play(engine_with(), frames)
    parts = np.split(ours["track_ids"], np.cumsum(ours["counts"])[:-1])
    told = [replace(each, track_ids=tuple(ids.tolist())) for each, ids in zip(frames, parts, strict=True)]
    theirs = played(told)
    for name in ("track_ids", "track_probabilities", "track_verdicts", "boxes"):
        np.testing.assert_array_equal(theirs[name], ours[name])
