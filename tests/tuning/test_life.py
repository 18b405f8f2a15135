"""The life of a track is told as it was judged."""

import numpy as np
import pytest

from tertium_server.engine import EventType, Verdict
from tertium_server.policy import Policy, default_policy
from tertium_server.tuning.decisions import ReplayError
from tertium_server.tuning.life import LifeFrame, Lives, watch_lives
from tertium_server.tuning.readers import Sequence, read_detections
from tertium_server.tuning.replay import ReplayOptions, replay
from tests.policies import policy_with
from tests.scenes import scene, write_mot


def late(lag: int) -> Policy:
    return policy_with({"tracker.decision_lag": lag}, default_policy())


@pytest.fixture(scope="module", name="sequence")
def read_sequence(tmp_path_factory: pytest.TempPathFactory) -> Sequence:
    folder = write_mot(scene(4, objects=6), tmp_path_factory.mktemp("life"), ids=True)
    return read_detections(folder, "mot")[0]


def all_lives(sequence: Sequence, policy: Policy) -> Lives:
    listed = watch_lives(sequence, policy)
    return watch_lives(sequence, policy, [one.track for one in listed.summaries])


@pytest.mark.parametrize("lag", [0, 5])
def test_every_decision_of_a_replay_is_in_the_life_of_its_track(sequence: Sequence, lag: int) -> None:
    said, lives = replay(sequence, late(lag)), all_lives(sequence, late(lag))
    boxes = 0
    for track, frames in lives.frames.items():
        mine = np.flatnonzero(said.track_ids == track)
        mine = mine[np.argsort(sequence.frames[mine], kind="stable")]
        seen = [one for one in frames if one.box is not None]
        assert [one.frame for one in seen] == sequence.frames[mine].tolist()
        assert [one.box.probability for one in seen if one.box] == said.probabilities[mine].tolist()
        assert [one.box.verdict for one in seen if one.box] == said.verdicts[mine].tolist()
        assert [one.probability for one in seen] == said.track_probabilities[mine].tolist()
        assert [one.verdict for one in seen] == said.track_verdicts[mine].tolist()
        boxes += len(seen)
    assert boxes == len(sequence)
    assert lives.decision_lag == lag


def test_summaries_are_of_whole_lives(sequence: Sequence) -> None:
    lives = all_lives(sequence, default_policy())
    for one in lives.summaries:
        frames = lives.frames[one.track]
        assert (one.first_frame, one.last_frame) == (frames[0].frame, frames[-1].frame)
        assert one.hits == sum(each.box is not None for each in frames) == frames[-1].hits
        assert one.misses == frames[-1].misses == sum(each.box is None and not each.hidden for each in frames)
        assert one.probability == max(each.probability for each in frames)
        verdicts = [Verdict.NO, *(each.verdict for each in frames)]
        assert one.changes == int((np.diff(verdicts) != 0).sum())
    ranked = [one.changes for one in lives.interesting()]
    assert ranked == sorted(ranked, reverse=True)
    assert ranked[0] > 0


def told(frames: tuple[LifeFrame, ...]) -> list[tuple[int, Verdict, Verdict]]:
    return [
        (one.frame, each.before, each.after)
        for one in frames
        for each in one.happenings
        if each.type is not EventType.ENDED
    ]


def test_what_happened_is_told_at_its_frame_and_a_verdict_that_is_held_says_for_how_long(sequence: Sequence) -> None:
    lives, held = all_lives(sequence, default_policy()), 0
    for frames in lives.frames.values():
        verdict = Verdict.NO
        changes = []
        for one in frames:
            if one.verdict is not verdict:
                changes.append((one.frame, verdict, one.verdict))
            verdict = one.verdict
            # Either the thresholds alone say so, or hysteresis says for how long it has held.
            assert one.why.plain_verdict is one.verdict or one.held is not None
            held += one.held is not None
        assert told(frames) == changes
        for happening in (each for one in frames for each in one.happenings if each.after is Verdict.YES):
            assert happening.type is EventType.ENDED or happening.retroactive_from == frames[0].frame
        ends = [each for one in frames for each in one.happenings if each.type is EventType.ENDED]
        assert len(ends) == bool(changes)
    assert held


def test_tracks_of_the_caller_keep_their_numbers(sequence: Sequence) -> None:
    said = replay(sequence, default_policy(), ReplayOptions(client_tracks=True))
    numbers = sorted(set(said.track_ids[said.track_ids >= 0].tolist()))
    lives = watch_lives(sequence, default_policy(), numbers[:1], client_tracks=True)
    assert [one.track for one in lives.summaries] == numbers
    seen = [one.frame for one in lives.frames[numbers[0]] if one.box is not None]
    assert set(seen) <= set(sequence.frames[said.track_ids == numbers[0]].tolist())


def test_a_track_that_does_not_exist_is_an_error_that_says_how_to_list_them(sequence: Sequence) -> None:
    with pytest.raises(ReplayError, match=r"there is no track 9999; leave out --track to list its \d+ tracks"):
        watch_lives(sequence, default_policy(), [9999])
