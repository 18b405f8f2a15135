"""Events tell one consistent story: whoever keeps nothing but them knows every track's verdict at every frame."""

import numpy as np
import pytest

from tertium_server.engine import EventReason, EventType, Verdict
from tests.engine.streams import CLASSES, Box, Frame, Journal, engine_with, frame, play, troubled
from tests.policies import policy_with

HERE: Box = (10.0, 10.0, 50.0, 90.0)
NO, MAYBE, YES = Verdict.NO, Verdict.MAYBE, Verdict.YES
THRESHOLDS = policy_with({"defaults.track.thresholds": {"yes": 0.7, "no": 0.3, "margin": 0.02, "hold": 0.3}})
SEEDS = range(8)


def told(seed: int, *, client_tracks: bool = False) -> Journal:
    engine = engine_with(
        THRESHOLDS, client_tracks=client_tracks, frame_width=640, frame_height=360, max_tracks=20, max_detections=20
    )
    return play(engine, troubled(seed), finish=True, client_tracks=client_tracks)


def lives(journal: Journal) -> list[np.ndarray]:
    """The events of each track's life; a caller may give an id to more than one."""
    found = []
    for track_id in np.unique(journal["events"]["track_id"]):
        events = journal.events_of(int(track_id))
        ends = np.flatnonzero(events["type"] == EventType.ENDED) + 1
        assert ends[-1:].tolist() == [len(events)], "it ends with its end"
        found += [life for life in np.split(events, ends) if len(life)]
    return found


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
class TestTheStoryOfATrack:
    def test_begins_with_its_start_and_ends_with_one_end(self, seed: int, *, client_tracks: bool) -> None:
        for life in lives(told(seed, client_tracks=client_tracks)):
            assert [EventType(each) for each in life["type"]] == [
                EventType.STARTED,
                *[EventType.VERDICT_CHANGED] * (len(life) - 2),
                EventType.ENDED,
            ]

    def test_goes_from_verdict_to_verdict_without_a_gap(self, seed: int, *, client_tracks: bool) -> None:
        for life in lives(told(seed, client_tracks=client_tracks)):
            assert life["from_verdict"][0] == NO
            assert (life["from_verdict"][1:] == life["to_verdict"][:-1]).all()
            assert (life["from_verdict"][:-1] != life["to_verdict"][:-1]).all()
            assert life["from_verdict"][-1] == life["to_verdict"][-1]

    def test_goes_forward_in_time_and_numbers(self, seed: int, *, client_tracks: bool) -> None:
        for life in lives(told(seed, client_tracks=client_tracks)):
            assert (np.diff(life["frame_index"]) >= 0).all()
            assert (np.diff(life["hits"].astype(int)) >= 0).all()
            assert (np.diff(life["misses"].astype(int)) >= 0).all()
            assert (life["hits"] >= 1).all()
            assert len(set(life["first_frame"].tolist())) == 1
            assert (life["first_frame"] <= life["frame_index"]).all()
            assert len(set(life["class_id"].tolist())) == 1
            assert set(life["class_id"].tolist()) <= set(CLASSES)

    def test_names_the_threshold_that_was_crossed(self, seed: int, *, client_tracks: bool) -> None:
        for life in lives(told(seed, client_tracks=client_tracks)):
            for event in life[:-1]:
                assert event["reason"] == EventReason.THRESHOLD
                before, after = event["from_verdict"], event["to_verdict"]
                risen = after > before
                # The way up ends at the threshold under the new verdict, the way down at the one over it.
                crossed = 0.7 if (after == YES if risen else after == MAYBE) else 0.3
                assert event["threshold"] == np.float32(crossed)
                assert (event["probability"] >= crossed) == risen
                assert event["retroactive_from"] == (event["first_frame"] if after == YES else -1)
            assert life[-1]["reason"] != EventReason.THRESHOLD
            assert (life[-1]["threshold"], life[-1]["retroactive_from"]) == (0.0, -1)

    def test_gives_an_interval_around_the_probability(self, seed: int, *, client_tracks: bool) -> None:
        events = told(seed, client_tracks=client_tracks)["events"]
        assert ((events["lower"] <= events["probability"]) & (events["probability"] <= events["upper"])).all()
        assert ((events["lower"] >= 0) & (events["upper"] <= 1)).all()


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_follows_the_events_knows_the_verdict_on_every_track_at_every_frame(
    seed: int, *, client_tracks: bool
) -> None:
    journal = told(seed, client_tracks=client_tracks)
    events = list(journal["events"])
    known: dict[int, int] = {}
    for place, index in enumerate(journal["frame_indices"].tolist()):
        ended: list[int] = []
        while events and came_by(events[0], index):
            event = events.pop(0)
            known[int(event["track_id"])] = int(event["to_verdict"])
            if event["reason"] == EventReason.RESET:
                del known[int(event["track_id"])]  # over before this frame, in which a caller's id may begin anew
            elif event["type"] == EventType.ENDED:
                ended.append(int(event["track_id"]))
        for ids, verdicts in (("track_ids", "track_verdicts"), ("coasted_track_ids", "coasted_verdicts")):
            pairs = zip(journal.by_frame(ids)[place].tolist(), journal.by_frame(verdicts)[place].tolist(), strict=True)
            # A detection that the caller does not track is nobody's: nothing is told of it.
            assert all(verdict == known.get(track_id, NO) for track_id, verdict in pairs if track_id)
        for track_id in ended:
            del known[track_id]


def came_by(event: np.void, index: int) -> bool:
    """Whether an event came with the decisions on a frame: the ends of a reset, or of the stream, come with the next."""
    late = event["reason"] in {EventReason.RESET, EventReason.STREAM_ENDED}
    return bool(event["frame_index"] < index or (event["frame_index"] == index and not late))


def test_a_candidate_that_never_leaves_no_is_never_told_of() -> None:
    clutter: list[tuple[Box, float]] = [((300.0, 10.0, 340.0, 90.0), 0.02), ((500.0, 10.0, 540.0, 90.0), 0.05)]
    journal = play(engine_with(), [frame(index, (HERE, 0.9), *clutter) for index in range(30)], finish=True)
    assert set(journal["track_ids"].tolist()) == {1, 2, 3}
    assert set(journal["events"]["track_id"].tolist()) == {1}
    assert set(journal["track_verdicts"][journal["track_ids"] > 1].tolist()) == {NO}


def test_a_yes_reaches_back_to_the_first_frame_of_the_track() -> None:
    doubtful = [frame(index, (HERE, 0.35)) for index in range(5, 15)]
    sure = [frame(index, (HERE, 0.95)) for index in range(15, 30)]
    events = play(engine_with(), [*doubtful, *sure])["events"]
    yes = events[events["to_verdict"] == YES]
    assert yes["frame_index"][0] >= 15
    assert yes["retroactive_from"].tolist() == [5]


def test_an_event_carries_the_numbers_of_its_frame() -> None:
    scores = [0.3, 0.5, 0.7, 0.9, 0.95, 0.9]
    frames: list[Frame] = [frame(index, (HERE, score)) for index, score in enumerate(scores)]
    journal = play(engine_with(include_features=True), frames)
    assert journal["events"].size >= 2
    for event in journal["events"]:
        index = int(event["frame_index"])
        assert event["score"] == np.float32(scores[index])
        assert (event["hits"], event["misses"]) == (index + 1, 0)
        for name, column in (
            ("probability", "track_probabilities"),
            ("lower", "track_lower"),
            ("upper", "track_upper"),
        ):
            assert event[name] == journal[column][index]
        assert [event["evidence_slow"], event["evidence_fast"]] == journal["track_features"][index, 1:3].astype(
            np.float32
        ).tolist()


@pytest.mark.parametrize("least", [1, 3, 9])
@pytest.mark.parametrize("seed", SEEDS)
class TestTracksThatNeverLeftNo:
    """Nobody is told of them but review, which has to know how many there were."""

    def played(self, seed: int, least: int) -> tuple[Journal, np.ndarray]:
        cautious = policy_with(
            {
                "defaults.track.thresholds": {"yes": 0.95, "no": 0.9, "margin": 0.02, "hold": 0.3},
                "review.audit_no_hits": least,
            }
        )
        engine = engine_with(cautious, frame_width=640, frame_height=360, max_tracks=20, max_detections=20)
        journal = play(engine, troubled(seed), finish=True)
        return journal, engine.closed

    def test_are_told_apart_from_the_others_once_each(self, seed: int, least: int) -> None:
        journal, closed = self.played(seed, least)
        dismissed, events = journal["dismissed"], journal["events"]
        ended = events[events["type"] == EventType.ENDED]
        assert len(dismissed)
        assert not set(dismissed["track_id"].tolist()) & set(events["track_id"].tolist())
        assert len(set(dismissed["track_id"].tolist())) == len(dismissed)
        assert (dismissed["type"] == EventType.ENDED).all()
        assert (dismissed["to_verdict"] == NO).all()
        if least == 1:
            assert len(dismissed) + len(ended) == closed.sum()

    def test_have_had_enough_detections_and_none_is_missing(self, seed: int, least: int) -> None:
        journal, _ = self.played(seed, least)
        seen = {
            track: int(count) for track, count in zip(*np.unique(journal["track_ids"], return_counts=True), strict=True)
        }
        told = set(journal["events"]["track_id"].tolist())
        expected = {track for track, count in seen.items() if count >= least and track not in told}
        assert set(journal["dismissed"]["track_id"].tolist()) == expected
        assert {int(each["track_id"]): int(each["hits"]) for each in journal["dismissed"]} == {
            track: seen[track] for track in expected
        }


@pytest.mark.parametrize("seed", SEEDS)
def test_events_carry_the_capture_time_of_their_frame(seed: int) -> None:
    journal = told(seed)
    frames = troubled(seed)
    taken = {
        each.index: each.time for each, status in zip(frames, journal["status"].tolist(), strict=True) if status == 0
    }
    for name in ("events", "dismissed"):
        assert journal[name]["time"].tolist() == [taken[index] for index in journal[name]["frame_index"].tolist()]
