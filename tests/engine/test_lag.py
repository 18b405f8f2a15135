"""Answers that wait for the frames after them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from tertium_server.engine import StreamEngine, Verdict, Workspace
from tertium_server.engine.lag import JudgedFrame
from tertium_server.engine.layout import EventReason, EventType
from tertium_server.policy import Policy, compile_parameters
from tests.engine.streams import (
    SECOND,
    Frame,
    Journal,
    assert_same,
    columns,
    engine_with,
    filmed,
    frame,
    play,
    settings_with,
    troubled,
)
from tests.policies import plain_policy, policy_with

EVERYTHING: dict[str, Any] = {"include_features": True, "frame_width": 640, "frame_height": 360}
AT_ONCE = ("status", "culprit", "resets")
"""What is told of a frame with the message that brings it."""
JUDGED = tuple(name for name in Journal.names if name not in AT_ONCE)


def late(lag: int, base: Policy | None = None) -> Policy:
    return policy_with({"tracker.decision_lag": lag}, base or plain_policy())


def run(frames: list[Frame], lag: int, sizes: Iterator[int] | None = None) -> Journal:
    return play(engine_with(late(lag), **EVERYTHING), frames, sizes or cycle([1]), finish=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_watched_stream_decides_as_any_other_bit_for_bit(seed: int) -> None:
    frames = troubled(seed)
    engine = engine_with(**EVERYTHING)
    seen: list[int] = []
    engine.watch(lambda judged: seen.append(judged.index))
    watched = play(engine, frames, cycle([1, 5, 2]), finish=True)
    plain = engine_with(**EVERYTHING)
    assert_same(watched, play(plain, frames, cycle([1, 5, 2]), finish=True))
    assert seen == watched["frame_indices"].tolist()
    assert (engine.tally == plain.tally).all()
    assert (engine.closed == plain.closed).all()


@pytest.mark.parametrize("seed", [0, 5])
def test_so_does_one_with_zones_and_too_many_tracks(seed: int) -> None:
    strict = {"track": {"thresholds": {"yes": 0.95, "no": 0.6}}}
    zone = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "all": strict}
    policy = Policy.model_validate(plain_policy().model_dump(mode="json") | {"zones": {"left": zone}})
    few: dict[str, Any] = {**EVERYTHING, "max_tracks": 9, "max_detections": 9}
    frames = filmed(seed, objects=12)
    plain = play(engine_with(policy, **few), frames, finish=True)
    engine = engine_with(policy, **few)
    engine.watch(lambda _: None)
    watched = play(engine, frames, finish=True)
    assert_same(watched, plain, names=[name for name in Journal.names if name not in {"events", "dismissed"}])
    # A track that has to make room is told of with the evidence of the last frame that it was judged at.
    what = ["track_id", "frame_index", "type", "reason", "from_verdict", "to_verdict"]
    for name in ("events", "dismissed"):
        assert watched[name][what].tolist() == plain[name][what].tolist()
        kept = plain[name]["reason"] != EventReason.EVICTED
        assert watched[name][kept].tolist() == plain[name][kept].tolist()
    assert {EventReason.ZONE_CHANGED, EventReason.EVICTED} <= set(plain["events"]["reason"].tolist())


def test_so_does_one_whose_caller_tracks() -> None:
    frames = [
        replace(each, track_ids=tuple(0 if number % 4 == 3 else number for number in each.track_ids))
        for each in filmed(5)
    ]
    plain = play(engine_with(**EVERYTHING, client_tracks=True), frames, finish=True, client_tracks=True)
    engine = engine_with(**EVERYTHING, client_tracks=True)
    engine.watch(lambda _: None)
    assert_same(play(engine, frames, finish=True, client_tracks=True), plain)
    assert 0 in plain["track_ids"]


def test_each_frame_is_answered_when_as_many_were_taken_after_it() -> None:
    engine, workspace, frames = engine_with(late(3)), Workspace(), filmed(1, length=20)
    told: list[list[int]] = []
    for each in frames:
        decisions = engine.advance(columns([each]), workspace)
        told.append(decisions.frame_indices.tolist())
        assert decisions.sent == 1
        assert engine.last_frame == each.index
    assert told == [[], [], [], *([index] for index in range(17))]
    assert engine.last_judged == 16
    assert engine.finish(workspace).frame_indices.tolist() == [17, 18, 19]
    assert engine.tracks == 0


@pytest.mark.parametrize("lag", [1, 4, 30])
def test_however_frames_are_batched_they_are_judged_alike(lag: int) -> None:
    frames = troubled(7)
    one = run(frames, lag)
    assert_same(run(frames, lag, cycle([3, 1, 17, 64])), one)
    assert_same(run(frames, lag, cycle([len(frames)])), one)
    at_once = run(frames, 0)
    # Tracking is the same as without a lag, and every frame taken is answered once, in order.
    assert_same(one, at_once, names=(*AT_ONCE, "frame_indices", "counts", "track_ids", "boxes", "coasted_track_ids"))
    assert (one["track_probabilities"] != at_once["track_probabilities"]).any()


@pytest.mark.parametrize("lag", [1, 4])
def test_a_frame_is_judged_by_what_was_known_as_many_frames_later_and_no_more(lag: int) -> None:
    """The same engine with a lag that never ends, told to judge with what it knows when that many frames had come."""
    frames, workspace = filmed(4, length=30), Workspace()
    features = run(frames, lag).by_frame("track_features")
    boxes = run(frames, lag).by_frame("probabilities")
    for index in range(len(frames)):
        patient = engine_with(late(300), **EVERYTHING)
        patient.advance(columns(frames[: index + lag + 1]), workspace)
        journal = Journal()
        journal.add(patient.flush(workspace), 0)
        np.testing.assert_array_equal(journal.by_frame("track_features")[index], features[index])
        np.testing.assert_array_equal(journal.by_frame("probabilities")[index], boxes[index])


@pytest.mark.parametrize("lag", [1, 6])
def test_from_any_snapshot_it_goes_on_alike_when_the_frames_after_it_are_sent_again(lag: int) -> None:
    frames, workspace = troubled(8), Workspace()
    whole = run(frames, lag)
    engine = engine_with(late(lag), **EVERYTHING)
    answered = 0
    for cut, each in enumerate(frames):
        answered += engine.advance(columns([each]), workspace).frames
        if cut % 16:
            continue
        restored = StreamEngine.restore(engine.parameters, settings_with(**EVERYTHING), engine.snapshot())
        assert restored.last_frame == restored.last_judged == engine.last_judged
        taken = np.flatnonzero(whole["status"] == 0)
        first = int(taken[answered]) if answered < len(taken) else len(frames)
        rest = play(restored, frames[first:], finish=True)
        for name in ("probabilities", "verdicts", "track_probabilities", "track_verdicts", "coasted_verdicts"):
            kept = whole.by_frame(name)[answered:]
            np.testing.assert_array_equal(np.concatenate([*kept, []]), np.concatenate([rest[name], []]), err_msg=name)
        count = len(rest["events"])
        assert whole["events"][len(whole["events"]) - count :].tolist() == rest["events"].tolist()


def test_nothing_is_said_again_of_frames_whose_answers_the_caller_has() -> None:
    frames, workspace = filmed(2, length=40), Workspace()
    whole = play(engine_with(late(5), **EVERYTHING), frames, finish=True)
    engine = engine_with(late(5), **EVERYTHING)
    engine.keep_silent(20)
    rest = Journal()
    rest.add(engine.advance(columns(frames), workspace), 0)
    rest.add(engine.finish(workspace), 0)
    assert rest["frame_indices"].tolist() == list(range(21, 40))
    assert rest["events"].tolist() == [each for each in whole["events"].tolist() if each[1] > 20]
    np.testing.assert_array_equal(rest["probabilities"], np.concatenate(whole.by_frame("probabilities")[21:]))


@pytest.mark.parametrize(("before", "after"), [(0, 4), (4, 0), (4, 9), (9, 2)])
def test_a_policy_with_another_lag_leaves_no_frame_out(before: int, after: int) -> None:
    frames, workspace = filmed(6, length=40), Workspace()
    engine = engine_with(late(before), **EVERYTHING)
    journal = Journal()
    for each in frames:
        if each.index == 20:
            engine.adopt(compile_parameters(late(after), settings_with(**EVERYTHING)))
        journal.add(engine.advance(columns([each]), workspace), 0)
    assert engine.waits == (after > 0)
    assert engine.last_judged == 39 - after
    journal.add(engine.finish(workspace), 0)
    assert journal["frame_indices"].tolist() == list(range(40))
    # Whoever follows the events knows every verdict: none was told twice, and none was lost when judging changed hands.
    follow(journal)


def follow(journal: Journal) -> None:
    """Checks that the tracks' verdicts are those that events have told."""
    verdicts: dict[int, int] = {}
    events = journal["events"]
    ids, told = journal.by_frame("track_ids"), journal.by_frame("track_verdicts")
    for place, index in enumerate(journal["frame_indices"].tolist()):
        for event in events[(events["frame_index"] == index) & (events["type"] != EventType.ENDED)]:
            assert verdicts.get(int(event["track_id"]), Verdict.NO) == event["from_verdict"]
            assert event["from_verdict"] != event["to_verdict"]
            verdicts[int(event["track_id"])] = int(event["to_verdict"])
        for track, verdict in zip(ids[place].tolist(), told[place].tolist(), strict=True):
            assert verdicts.get(track, Verdict.NO) == verdict, (index, track)


@pytest.mark.parametrize("lag", [0, 5, 15])
def test_events_say_what_was_decided_at_the_frame_that_was_judged(lag: int) -> None:
    for seed in (2, 3, 7):
        journal = run(filmed(seed), lag)
        follow(journal)
        events = journal["events"]
        yes = (events["to_verdict"] == Verdict.YES) & (events["type"] != EventType.ENDED)
        assert yes.any()
        assert (events["retroactive_from"][yes] == events["first_frame"][yes]).all()
        assert (events["retroactive_from"][~yes] == -1).all()
        for event in events[yes]:
            place = journal["frame_indices"].tolist().index(event["frame_index"])
            seen = journal.by_frame("track_ids")[place] == event["track_id"]
            if seen.any():
                assert journal.by_frame("track_probabilities")[place][seen] == event["probability"]


def test_a_yes_comes_at_an_earlier_frame_for_what_comes_after_it() -> None:
    """Five weak frames, then strong ones: with a lag, the weak ones are judged in the light of the strong."""
    box = (100.0, 100.0, 140.0, 180.0)
    frames = [frame(index, (box, 0.2 if index < 5 else 0.9)) for index in range(20)]
    at_once, later = run(frames, 0), run(frames, 6)
    first = [int(np.flatnonzero(each["track_verdicts"] == Verdict.YES)[0]) for each in (at_once, later)]
    assert first[1] < first[0]
    assert (later["track_probabilities"][:5] > at_once["track_probabilities"][:5]).all()


def test_what_comes_after_a_reset_says_nothing_of_the_frames_before() -> None:
    box = (100.0, 100.0, 140.0, 180.0)
    weak = [frame(index, (box, 0.2)) for index in range(5)]
    strong = [frame(index, (box, 0.9), time=60 * SECOND + index * SECOND // 10) for index in range(5, 15)]
    alone, followed = run(weak, 6), run([*weak, *strong], 6)
    np.testing.assert_array_equal(followed["track_probabilities"][:5], alone["track_probabilities"])
    ends = followed["events"][followed["events"]["reason"] == EventReason.RESET]
    assert ends["frame_index"].tolist() in ([], [4])
    assert followed["resets"].tolist() == [0] * 5 + [2] + [0] * 9


def test_what_is_counted_is_what_was_answered() -> None:
    frames, workspace = filmed(9, objects=8), Workspace()
    engine = engine_with(late(7), **EVERYTHING)
    journal = Journal()
    journal.add(engine.advance(columns(frames[:50]), workspace), 0)
    assert engine.tally.sum() == len(journal["track_ids"])
    journal.add(engine.advance(columns(frames[50:]), workspace), 0)
    journal.add(engine.finish(workspace), 0)
    assert engine.tally.sum() == sum(len(each.boxes) for each in frames)
    assert engine.tally.sum(axis=0)[1:].tolist() == [int((journal["verdicts"] == each).sum()) for each in Verdict]
    assert engine.closed.sum() == len(np.unique(journal["track_ids"]))


def test_frames_that_wait_are_judged_by_the_policy_that_is_in_force_by_then() -> None:
    frames, workspace = [frame(index, ((100.0, 100.0, 140.0, 180.0), 0.6)) for index in range(12)], Workspace()
    strict = policy_with({"defaults.box.thresholds.yes": 1.0, "defaults.box.thresholds.no": 1.0}, late(4))
    engine = engine_with(late(4), **EVERYTHING)
    first = engine.advance(columns(frames[:8]), workspace).verdicts.tolist()
    engine.adopt(compile_parameters(strict, settings_with(**EVERYTHING)))
    then = [
        *engine.advance(columns(frames[8:]), workspace).verdicts.tolist(),
        *engine.finish(workspace).verdicts.tolist(),
    ]
    assert len(first) == 4
    assert Verdict.YES in first or Verdict.MAYBE in first
    assert then == [Verdict.NO] * 8


def test_a_witness_sees_the_evidence_that_was_judged() -> None:
    engine = engine_with(late(5), **EVERYTHING)
    seen: list[tuple[JudgedFrame, list[float]]] = []
    engine.watch(lambda judged: seen.append((judged, judged.tracks["slow"][judged.slots].tolist())))
    journal = play(engine, filmed(3), finish=True)
    slow = journal["track_features"][:, 1].tolist()
    assert [level for _, levels in seen for level in levels] == slow
