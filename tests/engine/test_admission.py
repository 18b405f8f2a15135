"""What may not enter is refused by name, and leaves no trace."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertium_server.engine import FrameColumns, FrameStatus, StreamEngine, Workspace
from tertium_server.engine.admission import LARGEST_COORDINATE, LARGEST_INDEX
from tertium_server.engine.layout import DUPLICATE_MEMORY
from tests.engine.streams import (
    SECOND,
    Box,
    Frame,
    assert_same,
    columns,
    engine_with,
    filmed,
    frame,
    play,
    troubled,
    with_detection,
)

NAN, INFINITY = float("nan"), float("inf")
GOOD: Box = (10.0, 10.0, 30.0, 50.0)


def scored(score: float) -> tuple[tuple[Box, float], ...]:
    """Two detections, the second with this score."""
    return (GOOD, 0.9), ((100.0, 10.0, 130.0, 60.0), score)


def boxed(*corners: float) -> tuple[tuple[Box, float], ...]:
    """Three detections, the last with these corners."""
    left, top, right, bottom = corners
    return (GOOD, 0.9), (GOOD, 0.8), ((left, top, right, bottom), 0.5)


def classed(*class_ids: int) -> Frame:
    """Detections of these classes."""
    return replace(frame(5, *[(GOOD, 0.9)] * len(class_ids)), class_ids=class_ids)


OVER = math.nextafter(LARGEST_COORDINATE, INFINITY) + 1

REFUSALS: list[tuple[str, Frame, FrameStatus, int]] = [
    # What is sent after frame 4, why it is refused, and the detection at fault.
    ("an index seen a moment ago", frame(4, time=9 * SECOND), FrameStatus.DUPLICATE, -1),
    ("an index left out a moment ago", frame(3, time=9 * SECOND), FrameStatus.LATE, -1),
    ("a negative index", frame(-1), FrameStatus.INDEX, -1),
    ("an index beyond the largest", frame(LARGEST_INDEX, time=0), FrameStatus.INDEX, -1),
    ("a time beyond the largest", frame(5, time=LARGEST_INDEX), FrameStatus.TIME, -1),
    ("a time before the smallest", frame(5, time=-LARGEST_INDEX), FrameStatus.TIME, -1),
    *(
        (f"{value} as corner {corner}", frame(5, *boxed(*(value if corner == each else 20.0 * each for each in range(4)))), status, 2)
        for corner in range(4)
        for value, status in (
            (NAN, FrameStatus.BOX_NOT_FINITE),
            (INFINITY, FrameStatus.BOX_NOT_FINITE),
            (-INFINITY, FrameStatus.BOX_NOT_FINITE),
            (OVER, FrameStatus.BOX_RANGE),
            (-OVER, FrameStatus.BOX_RANGE),
            (3e38, FrameStatus.BOX_RANGE),
        )
    ),
    ("no width", frame(5, *boxed(20, 20, 20, 40)), FrameStatus.BOX_SIZE, 2),
    ("no height", frame(5, *boxed(20, 20, 40, 20)), FrameStatus.BOX_SIZE, 2),
    ("a negative width", frame(5, *boxed(20, 20, 10, 40)), FrameStatus.BOX_SIZE, 2),
    ("a negative height", frame(5, *boxed(20, 20, 40, 10)), FrameStatus.BOX_SIZE, 2),
    ("a width lost among the float's digits", frame(5, *boxed(999_999.0, 20, 999_999.001, 40)), FrameStatus.BOX_SIZE, 2),
    ("a score over one", frame(5, *scored(1.0001)), FrameStatus.SCORE, 1),
    ("a negative score", frame(5, *scored(-0.0001)), FrameStatus.SCORE, 1),
    ("a score that is no number", frame(5, *scored(NAN)), FrameStatus.SCORE, 1),
    ("an infinite score", frame(5, *scored(INFINITY)), FrameStatus.SCORE, 1),
    ("a class between those named", classed(0, 7, 3), FrameStatus.CLASS, 2),
    ("a class beyond those named", classed(8, 7), FrameStatus.CLASS, 0),
    ("the largest class", classed(0, 2**32 - 1), FrameStatus.CLASS, 1),
    ("more detections than a frame may have", frame(5, *[(GOOD, 0.5)] * 9), FrameStatus.LIMIT, -1),
]  # fmt: skip


def begun() -> StreamEngine:
    """A stream of which frames 0, 1, 2 and 4 were taken, limited to eight detections a frame."""
    engine = engine_with(max_detections=8, max_tracks=8)
    play(engine, [frame(index, *scored(0.8)) for index in (0, 1, 2, 4)])
    return engine


@pytest.mark.parametrize(("what", "sent", "status", "culprit"), REFUSALS, ids=[each[0] for each in REFUSALS])
def test_refused_for(what: str, sent: Frame, status: FrameStatus, culprit: int) -> None:
    engine = begun()
    before = engine.snapshot()
    tally, closed = engine.tally.copy(), engine.closed.copy()
    decisions = engine.advance(columns([sent]), Workspace())
    assert FrameStatus(decisions.status[0]) == status, what
    assert decisions.culprit.tolist() == [culprit]
    assert (decisions.frames, decisions.detections, decisions.events.size, decisions.error) == (0, 0, 0, "")
    assert engine.snapshot() == before
    assert (engine.tally == tally).all()
    assert (engine.closed == closed).all()


def test_every_status_is_reached_by_a_test_of_this_file() -> None:
    listed = {status for _, _, status, _ in REFUSALS}
    elsewhere = {FrameStatus.TAKEN, FrameStatus.TRACK_ID, FrameStatus.MISMATCH}
    assert listed | elsewhere == set(FrameStatus)


@pytest.mark.parametrize(
    "taken",
    [
        frame(5),
        frame(5, *scored(0.0)),
        frame(5, *scored(1.0)),
        frame(5, *scored(1e-40)),
        frame(5, *boxed(-LARGEST_COORDINATE, -LARGEST_COORDINATE, LARGEST_COORDINATE, LARGEST_COORDINATE)),
        frame(5, *boxed(-50, -50, -20, -30)),
        frame(5, *boxed(0, 0, 1e-40, 1e-40)),
        frame(LARGEST_INDEX - 1, time=SECOND),
        frame(5, time=LARGEST_INDEX - 1),
        frame(5, time=1 - LARGEST_INDEX),
        frame(5, *[(GOOD, 0.5)] * 8),
        classed(0, 7, 7, 0),
    ],
)
def test_what_lies_just_within_the_bounds_is_taken_and_decided(taken: Frame) -> None:
    engine = begun()
    journal = play(engine, [taken, frame(taken.index + 1, time=taken.time)][: 1 + (taken.index < 9)])
    assert not journal["status"].any()
    assert np.isfinite(journal["probabilities"]).all()
    assert (
        (journal["track_lower"] <= journal["track_probabilities"])
        & (journal["track_probabilities"] <= journal["track_upper"])
    ).all()
    assert np.isfinite(journal["boxes"]).all()
    assert engine.last_frame is not None
    assert engine.last_frame >= 5


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
def test_logits_are_refused_only_where_they_are_no_numbers(value: float) -> None:
    engine = engine_with(logits=True)
    journal = play(engine, [frame(0, *scored(-1234.5)), frame(1, *scored(3e38)), frame(2, *scored(value))])
    assert journal["status"].tolist() == [FrameStatus.TAKEN, FrameStatus.TAKEN, FrameStatus.SCORE]
    assert journal["culprit"].tolist() == [-1, -1, 5]


def test_a_stream_without_times_or_a_frame_rate_has_no_clock() -> None:
    message = columns([frame(0), frame(1)])
    decisions = engine_with().advance(message._replace(times=message.times[:0]), Workspace())
    assert decisions.status.tolist() == [FrameStatus.TIME] * 2


def test_detections_without_classes_are_refused_where_there_are_several() -> None:
    message = columns([frame(0), frame(1, *scored(0.5))])
    decisions = engine_with().advance(message._replace(class_ids=message.class_ids[:0]), Workspace())
    assert decisions.status.tolist() == [FrameStatus.TAKEN, FrameStatus.CLASS]
    assert decisions.culprit.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("ids", "culprit"), [((1, 1), 1), ((5, 2, 5), 2), ((1, -1), 1), ((-(2**63), 1), 0), ((0, 3, 0, 3), 3)]
)
def test_the_callers_track_ids_are_positive_and_occur_once_a_frame(ids: tuple[int, ...], culprit: int) -> None:
    engine = engine_with(client_tracks=True)
    spoilt = replace(frame(1, *[(GOOD, 0.5)] * len(ids)), track_ids=ids)
    journal = play(engine, [frame(0, (GOOD, 0.5)), spoilt], [2], client_tracks=True)
    assert journal["status"].tolist() == [FrameStatus.TAKEN, FrameStatus.TRACK_ID]
    assert journal["culprit"].tolist() == [-1, 1 + culprit]


def test_untracked_detections_may_be_many_and_ids_as_large_as_they_get() -> None:
    many = replace(frame(0, *[(GOOD, 0.5)] * 4), track_ids=(0, 0, 2**63 - 1, 0))
    journal = play(engine_with(client_tracks=True), [many], client_tracks=True)
    assert journal["status"].tolist() == [FrameStatus.TAKEN]
    assert journal["track_ids"].tolist() == [0, 0, 2**63 - 1, 0]


UNEQUAL = [
    (name, change, client_tracks)
    for name in ("counts", "times", "boxes", "scores", "class_ids", "track_ids")
    for change in ("shorter", "longer")
    for client_tracks in (False, True)
    if (name, change, client_tracks) != ("track_ids", "shorter", False)  # nothing is as short as it gets
]


class TestColumnsOfUnequalLength:
    def message(self, *, client_tracks: bool = False) -> FrameColumns:
        return columns([frame(0, *scored(0.5)), frame(1), frame(2, (GOOD, 0.9))], client_tracks=client_tracks)

    @pytest.mark.parametrize(("name", "change", "client_tracks"), UNEQUAL)
    def test_the_whole_message_is_refused_by_the_name_of_the_column(
        self, name: str, change: str, *, client_tracks: bool
    ) -> None:
        engine = begun_with(client_tracks=client_tracks)
        before = engine.snapshot()
        good = self.message(client_tracks=client_tracks)
        column = getattr(good, name)
        bad: Any = (
            column[:-1]
            if change == "shorter"
            else np.concatenate([column, np.ones_like(column, shape=(1, *column.shape[1:]))])
        )
        bad.flags.writeable = False
        decisions = engine.advance(good._replace(**{name: bad}), Workspace())
        assert decisions.error == name
        assert decisions.status.tolist() == [FrameStatus.MISMATCH] * 3
        assert decisions.culprit.tolist() == [-1] * 3
        assert decisions.resets.tolist() == [0] * 3
        assert (decisions.frames, decisions.detections, decisions.events.size) == (0, 0, 0)
        assert engine.snapshot() == before

    def test_counts_that_do_not_add_up_are_the_boxes_fault(self) -> None:
        good = self.message()
        counts = FrameColumns.of([], [], [2, 2**32 - 1, 1], []).counts
        assert begun().advance(good._replace(counts=counts), Workspace()).error == "boxes"

    def test_the_callers_tracks_have_to_be_named_where_they_were_promised(self) -> None:
        good = self.message()
        assert engine_with(client_tracks=True).advance(good, Workspace()).error == "track_ids"

    def test_the_next_message_is_judged_by_itself(self) -> None:
        engine, workspace = engine_with(), Workspace()
        good = self.message()
        assert engine.advance(good._replace(scores=good.scores[:-1]), workspace).error == "scores"
        decisions = engine.advance(good, workspace)
        assert (decisions.error, decisions.status.tolist(), decisions.detections) == ("", [0, 0, 0], 3)


def begun_with(*, client_tracks: bool) -> StreamEngine:
    engine = engine_with(client_tracks=client_tracks)
    play(engine, [frame(0, *scored(0.5))], client_tracks=client_tracks)
    return engine


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_a_run_decides_as_if_its_refused_frames_had_never_been_sent(seed: int, size: int) -> None:
    frames = troubled(seed)
    engine, other = engine_with(), engine_with()
    with_them = play(engine, frames, itertools.repeat(size), finish=True)
    taken = [each for each, status in zip(frames, with_them["status"], strict=True) if status == FrameStatus.TAKEN]
    assert 0 < len(taken) < len(frames)
    without = play(other, taken, finish=True)
    names = [name for name in with_them.names if name not in {"status", "culprit", "resets"}]
    assert_same(with_them, without, names=names)
    assert (engine.tally == other.tally).all()
    assert engine.snapshot() == other.snapshot()


@given(st.data())
def test_whatever_is_sent_is_taken_or_refused_by_name(data: st.DataObject) -> None:
    anything = st.floats(width=32) | st.sampled_from([0.0, 1.0, 5.0, 40.0, -1e6, 1e6])
    engine = engine_with(max_detections=6, max_tracks=6, frame_width=100, frame_height=80)
    sent: list[Frame] = []
    for index in data.draw(st.lists(st.integers(-1, 30), min_size=1, max_size=12)):
        made = Frame(index, data.draw(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 9 * SECOND)))
        for _ in range(data.draw(st.integers(0, 4))):
            left, top, right, bottom = data.draw(st.lists(anything, min_size=4, max_size=4))
            made = with_detection(
                made, (left, top, right, bottom), data.draw(anything), data.draw(st.sampled_from([0, 7, 2]))
            )
        sent.append(made)
    journal = play(engine, sent, [len(sent)], finish=True)
    expected = [plainly_refused(sent, place, journal["status"].tolist()) for place in range(len(sent))]
    assert [status != FrameStatus.TAKEN for status in journal["status"]] == expected
    assert all(np.isfinite(journal[name]).all() for name in ("probabilities", "boxes", "track_lower", "track_upper"))


def plainly_refused(sent: Sequence[Frame], place: int, statuses: list[int]) -> bool:
    """Whether a frame may not be taken, as the contract reads."""
    this = sent[place]
    before = [each.index for each, status in zip(sent[:place], statuses, strict=False) if status == FrameStatus.TAKEN]
    return (
        not 0 <= this.index < LARGEST_INDEX
        or not -LARGEST_INDEX < this.time < LARGEST_INDEX
        or this.index <= max(before, default=-1)
        or len(this.boxes) > 6
        or not all(0 <= score <= 1 for score in this.scores)
        or not all(class_id in {0, 7} for class_id in this.class_ids)
        or not all(all(abs(corner) <= LARGEST_COORDINATE for corner in box) for box in this.boxes)
        or not all(box[0] < box[2] and box[1] < box[3] for box in this.boxes)
    )


class TestRepeatedFrames:
    @pytest.mark.parametrize("age", [0, 1, 30, DUPLICATE_MEMORY])
    def test_one_sent_twice_is_known_for_some_time(self, age: int) -> None:
        engine = engine_with()
        journal = play(engine, [frame(0), frame(age) if age else frame(0), frame(0)][: 3 if age else 2])
        assert journal["status"].tolist()[-1] == FrameStatus.DUPLICATE

    def test_after_that_it_is_late(self) -> None:
        journal = play(engine_with(), [frame(0), frame(DUPLICATE_MEMORY + 1), frame(0)])
        assert journal["status"].tolist() == [0, 0, FrameStatus.LATE]

    @given(st.lists(st.integers(0, 150), min_size=1, max_size=60))
    def test_repeated_late_and_new_frames_are_told_apart(self, indices: list[int]) -> None:
        journal = play(engine_with(), [frame(index, time=0) for index in indices], [len(indices)])
        taken: list[int] = []
        for index, status in zip(indices, journal["status"].tolist(), strict=True):
            if not taken or index > taken[-1]:
                wanted = FrameStatus.TAKEN
                taken.append(index)
            elif index in taken and taken[-1] - index <= DUPLICATE_MEMORY:
                wanted = FrameStatus.DUPLICATE
            else:
                wanted = FrameStatus.LATE
            assert status == wanted

    def test_a_refused_frame_may_be_sent_again_mended(self) -> None:
        spoilt = frame(3, *scored(2.0))
        journal = play(engine_with(), [*filmed(1)[:3], spoilt, frame(3, *scored(0.5))])
        assert journal["status"].tolist()[-2:] == [FrameStatus.SCORE, FrameStatus.TAKEN]
