"""What tuning writes down of its tracks' scores is what the server would have counted of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium_server.engine import EventType, FrameColumns, StreamEngine, Verdict, Workspace
from tertium_server.policy import Policy, PolicyError, compile_parameters, dump_policy, parse_policy
from tertium_server.policy.reference import BINS, Reference
from tertium_server.review.values import Stratum
from tertium_server.review.values import Verdict as ReviewVerdict
from tertium_server.review.watch import Decided, TrackNews, TrackWatch
from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.frames import frames_of
from tertium_server.tuning.readers import Sequence, read_labelled
from tertium_server.tuning.reference import DecidedScores
from tertium_server.tuning.replay import replay, stream_settings
from tertium_server.tuning.tune import TuneOptions, tune
from tests.policies import plain_data
from tests.scenes import scene, write_mot
from tests.tuning.test_tune import write_truth

VERDICTS = {Verdict.NO: ReviewVerdict.NO, Verdict.MAYBE: ReviewVerdict.MAYBE, Verdict.YES: ReviewVerdict.YES}

EAGER = plain_data()["defaults"]
EAGER["track"]["thresholds"] |= {"yes": 0.3, "no": 0.05}


def policy(**sections: Any) -> Policy:
    return Policy.model_validate(plain_data() | {"review": {"open_after": 0.4}} | sections)


def sequences(folder: Path) -> list[Sequence]:
    for seed in range(2):
        made = scene(seed, length=150, objects=8)
        write_truth(made, write_mot(made, folder))
    return [one.sequence for one in read_labelled(folder, folder, "mot")]


def as_the_server_decides(sequence: Sequence, judged_by: Policy) -> list[Decided]:
    """Decisions by the watch that review goes by, on the engine's own events, a frame at a time."""
    settings = stream_settings(sequence, client_tracks=False)
    engine, workspace = StreamEngine(compile_parameters(judged_by, settings), settings), Workspace()
    watch = TrackWatch(lambda _class_id: judged_by.review.open_after)
    order = sequence.by_frame()
    decided: list[Decided] = []
    time = 0

    def take(events: Any) -> None:
        for event in events:
            news = TrackNews(
                track_id=int(event["track_id"]),
                class_id=int(event["class_id"]),
                frame_index=int(event["frame_index"]),
                first_frame=int(event["first_frame"]),
                time=time,
                verdict=VERDICTS[Verdict(int(event["to_verdict"]))],
                ended=bool(event["type"] == EventType.ENDED),
                probability=float(event["probability"]),
                policy_version="",
            )
            decided.extend(watch.take(news))

    for piece in frames_of(sequence, order.order, order.counts, client_tracks=False).split(1):
        columns = FrameColumns(
            piece.indices, piece.times, piece.counts, piece.boxes, piece.scores, piece.class_ids, piece.track_ids
        )
        time = int(piece.times[0])
        taken = engine.advance(columns, workspace)
        take(taken.events)
        take(taken.dismissed)
        decided.extend(watch.advance(time))
    taken = engine.finish(workspace)
    take(taken.events)
    take(taken.dismissed)
    return decided


@pytest.mark.parametrize(
    ("sections", "seen"),
    [({}, {Stratum.MAYBE, Stratum.AUTO_NO}), ({"defaults": EAGER}, {Stratum.MAYBE, Stratum.AUTO_YES})],
    ids=["plain", "eager"],
)
def test_scores_are_those_of_the_server_s_decisions(
    sections: dict[str, Any], seen: set[Stratum], tmp_path: Path
) -> None:
    judged_by, expected = policy(**sections), [0] * BINS
    scores = DecidedScores(judged_by)
    strata = set[Stratum]()
    for one in sequences(tmp_path):
        replay(one, judged_by, scores=scores)
        for each in as_the_server_decides(one, judged_by):
            expected[min(int(each.news.probability * BINS), BINS - 1)] += 1
            strata.add(each.stratum)
    assert strata == seen
    assert sum(expected) > 20
    assert scores.reference().scores == {"object": tuple(expected)}


def test_a_replay_decides_the_same_whether_scores_are_collected_or_not(tmp_path: Path) -> None:
    (one, *_), judged_by = sequences(tmp_path), policy()
    plain, watched = replay(one, judged_by), replay(one, judged_by, scores=DecidedScores(judged_by))
    assert np.array_equal(plain.probabilities, watched.probabilities)


def test_a_tuned_policy_knows_what_its_scores_looked_like(tmp_path: Path) -> None:
    sequences(tmp_path)
    labelled = read_labelled(tmp_path, tmp_path, "mot")
    tuned = tune(labelled, TuneOptions(effort=Effort(0))).policy
    scores = DecidedScores(tuned)
    for one in labelled:
        replay(one.sequence, tuned, scores=scores)
    assert tuned.reference == scores.reference()
    assert parse_policy(dump_policy(tuned), "here") == tuned


def test_a_policy_without_a_reference_is_written_and_hashed_as_before() -> None:
    plain = Policy.model_validate(plain_data())
    assert "reference" not in plain.to_tree()
    other = plain.model_copy(update={"reference": Reference(scores={"person": (1,) * BINS})})
    assert other.sha256 != plain.sha256
    assert "reference" in other.to_tree()


@pytest.mark.parametrize("counts", [[1] * 19, [-1] + [1] * 19, [0.5] * 20])
def test_a_reference_is_twenty_whole_numbers(counts: list[float]) -> None:
    text = dump_policy(Policy.model_validate(plain_data())) + f"reference: {{scores: {{person: {counts}}}}}\n"
    with pytest.raises(PolicyError, match=r"reference\.scores\.person"):
        parse_policy(text, "here")
