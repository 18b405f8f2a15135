"""Birth, absence and end of tracks, and streams that start over."""

import numpy as np
import pytest

from tertium_server.engine import EventReason, EventType, Reset, StreamEngine, Verdict
from tests.engine.streams import SECOND, Box, Frame, Journal, engine_with, filmed, frame, play
from tests.policies import policy_with


def at(left: float, top: float, width: float = 40.0, height: float = 80.0) -> Box:
    return (left, top, left + width, top + height)


def walk(
    first: int, last: int, *, left: float = 100.0, top: float = 100.0, speed: float = 0.0, score: float = 0.9
) -> list[Frame]:
    """One person, ten frames a second, ``speed`` pixels a frame."""
    return [frame(index, (at(left + speed * index, top), score)) for index in range(first, last)]


def silence(first: int, last: int) -> list[Frame]:
    """Frames in which nothing is seen."""
    return [frame(index) for index in range(first, last)]


def endings(journal: Journal) -> list[tuple[int, int, EventReason]]:
    """(track, frame, reason) of each end that was told."""
    events = journal["events"]
    ended = events[events["type"] == EventType.ENDED]
    return [(int(each["track_id"]), int(each["frame_index"]), EventReason(each["reason"])) for each in ended]


class TestBirth:
    def test_each_detection_that_no_track_takes_starts_one_of_its_own(self) -> None:
        journal = play(
            engine_with(), [frame(0, (at(0, 0), 0.9), (at(200, 0), 0.05)), frame(1, (at(400, 0), 0.5), (at(0, 0), 0.9))]
        )
        assert journal["track_ids"].tolist() == [1, 2, 3, 1]

    def test_a_low_score_starts_a_candidate_that_is_not_announced(self) -> None:
        engine = engine_with()
        journal = play(engine, walk(0, 5, score=0.05))
        assert set(journal["track_ids"].tolist()) == {1}
        assert set(journal["track_verdicts"].tolist()) == {Verdict.NO}
        assert journal["events"].size == 0
        assert engine.tracks == 1

    def test_ids_are_never_given_twice(self) -> None:
        frames = [frame(index, (at(300.0 * (index % 3), 0), 0.9)) for index in range(0, 300, 20)]
        ids = play(engine_with(), frames)["track_ids"].tolist()
        assert ids == list(range(1, len(frames) + 1))


class TestCoasting:
    policy = policy_with({"tracker.lifetime.coast": 1.0, "tracker.lifetime.candidate_coast": 0.25})

    def test_an_established_track_is_told_of_while_it_is_unseen_and_taken_up_again(self) -> None:
        frames = [*walk(0, 20, speed=5), *silence(20, 28), *walk(28, 35, speed=5)]
        journal = play(engine_with(self.policy), frames)
        assert set(journal["track_ids"].tolist()) == {1}
        assert journal["coasted_counts"].tolist() == [0] * 20 + [1] * 8 + [0] * 7
        assert set(journal["coasted_track_ids"].tolist()) == {1}
        wanted = [at(100.0 + 5.0 * index, 100) for index in range(20, 28)]
        np.testing.assert_allclose(journal["coasted_boxes"], wanted, atol=2.0)
        assert (np.diff(journal["coasted_probabilities"]) <= 0).all(), "absence is evidence"

    def test_after_its_time_it_is_lost(self) -> None:
        journal = play(engine_with(self.policy), [*walk(0, 20), *silence(20, 40), *walk(40, 50)])
        # Last seen in frame 19, at 1.9 s: 2.9 s is not yet more than a second later.
        assert endings(journal) == [(1, 30, EventReason.LOST)]
        assert journal["coasted_counts"].sum() == 10
        assert journal["track_ids"].tolist() == [1] * 20 + [2] * 10

    def test_a_candidate_is_given_less_time(self) -> None:
        engine = engine_with(self.policy)
        journal = play(engine, [*walk(0, 4, score=0.05), *silence(4, 9)])
        assert journal["coasted_counts"].tolist() == [0] * 4 + [1, 1, 0, 0, 0]
        assert endings(journal) == []
        assert engine.closed[EventReason.LOST] == 1

    @pytest.mark.parametrize("score", [0.05, 0.9])
    def test_a_single_dropped_detection_ends_no_track_however_slow_the_frames(self, score: float) -> None:
        frames = [
            frame(index, *[(at(100, 100), score)] * (index % 2 == 0), time=5 * SECOND * index) for index in range(10)
        ]
        journal = play(engine_with(self.policy), frames)
        assert set(journal["track_ids"].tolist()) == {1}

    def test_coasted_tracks_are_left_out_where_nobody_asks_for_them(self) -> None:
        asked, silent = (play(engine_with(include_coasted=wanted), filmed(3), finish=True) for wanted in (True, False))
        assert asked["coasted_track_ids"].size > 0
        assert silent["coasted_track_ids"].size == 0
        assert not silent["coasted_counts"].any()
        assert silent["probabilities"].tobytes() == asked["probabilities"].tobytes()


class TestAbsence:
    """Misses count only where the object should have been seen."""

    def misses(self, frames: list[Frame], track_id: int = 1, **settings: int) -> int:
        journal = play(engine_with(policy_with({"tracker.lifetime.coast": 100.0}), **settings), frames, finish=True)
        return int(journal.events_of(track_id)[-1]["misses"])

    def test_in_plain_sight_each_frame_without_a_detection_counts(self) -> None:
        assert self.misses([*walk(0, 20), *silence(20, 30)], frame_width=640, frame_height=360) == 10

    def test_outside_the_picture_none_does(self) -> None:
        walked_out = [*walk(0, 30, left=-15, top=-30), *silence(30, 40)]
        assert self.misses(walked_out, frame_width=640, frame_height=360) == 0
        assert self.misses(walked_out) == 10, "unless nobody knows where the picture ends"

    def hidden(self, nearer_bottom: float, shift: float) -> int:
        """Misses of a person at whose place only another is seen, whose box ends at ``nearer_bottom``."""
        other = (100.0 + shift, 60.0, 150.0 + shift, nearer_bottom)
        seen = [frame(index, (at(100, 100), 0.9), (other, 0.9)) for index in range(30)]
        gone = [frame(index, (other, 0.9)) for index in range(30, 40)]
        return self.misses([*seen, *gone])

    def test_behind_a_nearer_track_none_does(self) -> None:
        assert self.hidden(nearer_bottom=240.0, shift=0.0) == 0

    def test_in_front_of_a_farther_track_each_does(self) -> None:
        assert self.hidden(nearer_bottom=170.0, shift=0.0) == 10

    def test_beside_a_nearer_track_each_does(self) -> None:
        assert self.hidden(nearer_bottom=240.0, shift=30.0) == 10


class TestLeaving:
    frames = (*walk(0, 30, left=460, speed=5), *silence(30, 45))

    def test_a_track_that_moved_out_of_the_picture_has_left(self) -> None:
        assert [
            reason for *_, reason in endings(play(engine_with(frame_width=640, frame_height=360), self.frames))
        ] == [EventReason.LEFT]

    def test_where_nobody_knows_the_picture_it_is_lost_in_time(self) -> None:
        journal = play(engine_with(), [*self.frames, *silence(45, 60)])
        assert [reason for *_, reason in endings(journal)] == [EventReason.LOST]

    @pytest.mark.parametrize(("left", "top"), [(-500, 100), (900, 100), (100, -300), (100, 700)])
    def test_any_side_of_the_picture_will_do(self, left: float, top: float) -> None:
        journal = play(
            engine_with(frame_width=640, frame_height=360), [*walk(0, 10, left=left, top=top), *silence(10, 14)]
        )
        assert endings(journal) == [(1, 11, EventReason.LEFT)]


class TestEviction:
    def test_a_full_stream_gives_up_its_least_likely_unseen_track(self) -> None:
        engine = engine_with(max_tracks=4, max_detections=4)
        four = [(at(200.0 * place, 0), score) for place, score in enumerate((0.9, 0.8, 0.7, 0.95))]
        frames = [frame(index, *four) for index in range(10)]
        # Track 3 is the weakest, but it is seen; of the others, 2 is.
        frames.append(frame(10, (at(400, 0), 0.7), (at(900, 0), 0.9)))
        journal = play(engine, frames)
        assert endings(journal) == [(2, 10, EventReason.EVICTED)]
        assert journal["track_ids"].tolist()[-2:] == [3, 5]
        assert engine.tracks == 4
        assert engine.closed.tolist() == np.eye(max(EventReason) + 1, dtype=int)[EventReason.EVICTED].tolist()

    @pytest.mark.parametrize("client_tracks", [False, True])
    @pytest.mark.parametrize("seed", range(4))
    def test_a_crowd_never_exceeds_the_limit_and_every_detection_finds_a_place(
        self, seed: int, *, client_tracks: bool
    ) -> None:
        random = np.random.default_rng(seed)
        engine = engine_with(max_tracks=12, max_detections=12, client_tracks=client_tracks)
        most = 0
        for index in range(200):
            count = int(random.integers(0, 13))
            places = random.permutation(40)[:count]
            boxes = [(at(100.0 * place, 0), float(random.uniform(0.3, 1))) for place in places]
            made = frame(index, *boxes)
            ids = tuple((places + 1).tolist())
            journal = play(
                engine,
                [Frame(made.index, made.time, made.boxes, made.scores, made.class_ids, ids)],
                client_tracks=client_tracks,
            )
            assert len(set(journal["track_ids"].tolist())) == count, "no two detections of a frame share a track"
            most = max(most, engine.tracks)
        assert most == 12
        assert engine.closed[EventReason.EVICTED] > 20


class TestResets:
    policy = policy_with({"tracker.lifetime.max_gap": 4.0})

    def jumped(self, seconds: float) -> tuple[StreamEngine, Journal]:
        """A walk whose clock jumps after frame 20."""
        frames = walk(0, 40)
        frames[20:] = [
            Frame(each.index, each.time + round(seconds * SECOND), each.boxes, each.scores, each.class_ids)
            for each in frames[20:]
        ]
        engine = engine_with(self.policy, nominal_fps=10.0)
        return engine, play(engine, frames)

    @pytest.mark.parametrize(
        ("jump", "reset"),
        [
            (-0.2, Reset.TIME_BACKWARDS),
            (-1e6, Reset.TIME_BACKWARDS),
            (4.0, Reset.GAP),
            (1e8, Reset.GAP),
            (3.9, Reset.NONE),
            (-0.05, Reset.NONE),
        ],
    )
    def test_a_clock_that_jumps_too_far_starts_the_stream_over(self, jump: float, reset: Reset) -> None:
        _, journal = self.jumped(jump)
        assert not journal["status"].any()
        assert journal["resets"].tolist() == [Reset.NONE] * 20 + [reset] + [Reset.NONE] * 19
        assert set(journal["track_ids"][20:].tolist()) == ({1} if reset == Reset.NONE else {2})
        if reset != Reset.NONE:
            assert endings(journal) == [(1, 19, EventReason.RESET)]

    @pytest.mark.parametrize("jump", [-1.0, 100.0])
    def test_after_a_reset_everything_is_as_in_a_new_stream(self, jump: float) -> None:
        engine, journal = self.jumped(jump)
        fresh = play(engine_with(self.policy, nominal_fps=10.0), walk(20, 40))
        for name in ("probabilities", "track_probabilities", "track_lower", "boxes"):
            np.testing.assert_allclose(journal[name][20:], fresh[name], rtol=1e-6)
        assert (journal["track_verdicts"][20:] == fresh["track_verdicts"]).all()
        assert engine.frames == 40
        assert engine.closed[EventReason.RESET] == 1

    def test_ends_of_a_reset_come_before_anything_else_of_its_frame(self) -> None:
        _, journal = self.jumped(100.0)
        types = journal["events"]["type"].tolist()
        ended = types.index(EventType.ENDED)
        assert types.count(EventType.ENDED) == 1
        assert set(journal["events"]["track_id"][: ended + 1].tolist()) == {1}
        assert set(journal["events"]["track_id"][ended + 1 :].tolist()) == {2}


def test_finish_ends_every_announced_track_once() -> None:
    engine = engine_with()
    frames = [frame(index, (at(0, 0), 0.9), (at(200, 0), 0.9), (at(400, 0), 0.02)) for index in range(12)]
    journal = play(engine, frames, finish=True)
    assert endings(journal) == [(1, 11, EventReason.STREAM_ENDED), (2, 11, EventReason.STREAM_ENDED)]
    assert engine.closed[EventReason.STREAM_ENDED] == 3
    assert engine.tracks == 0
    assert play(engine, [], finish=True)["events"].size == 0, "and never again"


def test_boxes_written_are_never_turned_inside_out() -> None:
    # A box that shrinks fast and is then unseen is predicted to shrink on.
    frames = [frame(index, (at(100, 100, 200 * 0.7**index, 200 * 0.7**index), 0.95)) for index in range(9)]
    journal = play(
        engine_with(policy_with({"tracker.association.gate_high": 0.0, "tracker.association.gate_candidate": 0.0})),
        [*frames, *silence(9, 20)],
    )
    for name in ("boxes", "coasted_boxes"):
        boxes = journal[name]
        assert boxes.size
        assert (boxes[:, :2] < boxes[:, 2:]).all()
