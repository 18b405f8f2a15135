"""Tuning on answers: every answer counts as often as it stands for, and what is said of a policy is what the server would do."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from tertium_server.cli.application import run
from tertium_server.cli.tune_reviews import read_answers
from tertium_server.policy import Policy, dump_policy, load_policy
from tertium_server.review.office import ReviewOffice
from tertium_server.review.values import Answer
from tertium_server.storage import open_store, sqlite_url
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.objectives import parse_objective
from tertium_server.tuning.readers import read_detections
from tertium_server.tuning.replay import replay
from tertium_server.tuning.reviewed.calibrating import TRACKS_OF_PRIOR, calibrate
from tertium_server.tuning.reviewed.cases import Cell, Reviews, ReviewsError, tracks_of
from tertium_server.tuning.reviewed.choosing import Question, choose_pair
from tertium_server.tuning.reviewed.scoring import TrackScores, scores_as_decided
from tertium_server.tuning.reviewed.tune import tune_on_reviews
from tertium_server.tuning.reviewed.weighing import effective_size, weigh
from tertium_server.tuning.reviewed.work import ReviewTuneOptions, Work
from tests.policies import plain_data, plain_policy
from tests.rpc.builders import batched, frames_of, opening
from tests.rpc.live import Call, serving
from tests.scenes import Scene, scene

Table = dict[str, Any]


def line(number: int = 1, answer: str = "yes", weight: float = 1.0, probability: float = 0.5, **changes: Any) -> Table:
    """A line of an export."""
    return {
        "case_id": f"{number:032x}",
        "stream_id": "gate",
        "epoch": 7,
        "class_name": "person",
        "answer": answer,
        "weight": weight,
        "stratum": "maybe" if weight == 1.0 else "auto_yes",
        "probability": probability,
        "policy_version": plain_policy().version,
        "frames": [],
    } | changes


def made(seed: int, count: int) -> list[Table]:
    """Answers whose scores say something of them, some of which stand for many tracks."""
    random = np.random.default_rng(seed)
    scores = np.round(random.uniform(0.25, 0.99, count), 2)
    real = random.random(count) < scores**2
    weights = np.where(random.random(count) < 0.4, 1.0, random.integers(2, 30, count))
    return [
        line(number, "yes" if is_real else "no", float(weight), float(score))
        for number, (score, is_real, weight) in enumerate(zip(scores, real, weights, strict=True))
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_pair_is_the_best_of_all_pairs_when_each_answer_counts_as_often_as_it_stands_for(seed: int) -> None:
    lines = made(seed, 60)
    tracks = tracks_of(lines)
    scores = np.array([track.probability for track in tracks], np.float32)
    weights = np.array([track.weight for track in tracks])
    question = Question(
        objective=parse_objective("targets:precision=.8,recall=.9"), limits=Limits(), hours=0.0, floor=0.2
    )
    pair, _ = choose_pair(tracks, scores, weights, question)
    assert pair is not None

    def seen(no: float, yes: float) -> float | None:
        """How many tracks people see; None: a target is missed. Counted answer by answer."""
        accepted = sum(one["weight"] for one in lines if one["probability"] >= yes)
        right = sum(one["weight"] for one in lines if one["probability"] >= yes and one["answer"] == "yes")
        kept = sum(one["weight"] for one in lines if one["probability"] >= no and one["answer"] == "yes")
        wanted = sum(one["weight"] for one in lines if one["answer"] == "yes")
        if (accepted and right < 0.8 * accepted) or kept < 0.9 * wanted:
            return None
        return float(sum(one["weight"] for one in lines if no <= one["probability"] < yes))

    places = [*sorted({one["probability"] for one in lines}), 1.01]
    counts = [seen(*both) for both in combinations_with_replacement(places, 2)]
    assert seen(pair.no, pair.yes) == min(count for count in counts if count is not None)


def test_weights_change_what_is_chosen() -> None:
    # Among the reviewed, half of what scores .6 is wrong; each right one stands for thirty.
    lines = [line(k, "yes", 30.0, 0.6) for k in range(10)] + [line(10 + k, "no", 1.0, 0.6) for k in range(10)]
    lines += [line(20 + k, "yes", 1.0, 0.9) for k in range(10)] + [line(30 + k, "no", 30.0, 0.3) for k in range(10)]
    question = Question(objective=parse_objective("targets:precision=.95"), limits=Limits(), hours=0.0, floor=0.2)
    tracks = tracks_of(lines)
    scores = np.array([track.probability for track in tracks], np.float32)
    weighted, _ = choose_pair(tracks, scores, np.array([track.weight for track in tracks]), question)
    counted, _ = choose_pair(tracks, scores, np.ones(len(tracks)), question)
    assert weighted is not None
    assert counted is not None
    assert weighted.yes < 0.6 < counted.yes


def test_calibration_is_the_weighted_logistic_regression() -> None:
    random = np.random.default_rng(3)
    values = random.normal(0.5, 2.0, 400)
    real = random.random(400) < 1 / (1 + np.exp(-(0.6 * values - 1.0)))
    weights = np.where(np.abs(values) < 1, 1.0, 20.0)
    scores = TrackScores(np.zeros(400, np.float32), values, np.arange(400))
    found = calibrate(scores, np.ones(400, np.bool_), real, weights, np.arange(400) % 5)
    spread = values.std()
    share = weights / weights.sum()
    pull = TRACKS_OF_PRIOR / effective_size(weights)

    def loss(coefficients: NDArray[np.float64]) -> float:
        total = coefficients[0] + coefficients[1] * values
        likelihood = share @ (np.logaddexp(0.0, total) - real * total)
        return float(likelihood + 0.5 * pull * ((coefficients[1] - 1.0) * spread) ** 2)

    expected = minimize(loss, np.array([0.0, 1.0]), tol=1e-12).x
    assert (found.shift.offset, found.shift.gain) == pytest.approx(tuple(expected), abs=1e-4)
    assert found.losses is not None
    assert found.losses[1] < found.losses[0]


def test_a_read_out_that_is_right_stays_as_it_is() -> None:
    random = np.random.default_rng(4)
    values = random.normal(0.0, 2.0, 300)
    real = random.random(300) < 1 / (1 + np.exp(-values))
    scores = TrackScores(np.zeros(300, np.float32), values, np.arange(300))
    found = calibrate(scores, np.ones(300, np.bool_), real, np.ones(300), np.arange(300) % 5)
    assert found.losses is not None
    assert found.losses[1] >= found.losses[0] or abs(found.shift.gain - 1.0) < 0.2


def test_answers_stand_for_all_decided_tracks_of_their_stratum_and_silent_strata_are_named() -> None:
    lines = [line(k, weight=1.0) for k in range(4)] + [line(9, weight=10.0)]
    population = {
        Cell("gate", 7, "person", "maybe", "v"): 16,  # three of four are still unanswered
        Cell("gate", 7, "person", "auto_yes", "v"): 25,
        Cell("gate", 7, "person", "auto_no", "v"): 300,
    }
    weighted = weigh(tracks_of(lines), population)
    assert weighted.weights.tolist() == [4.0] * 4 + [25.0]
    assert [text for text in weighted.warnings if "auto_no" in text and "300" in text] == list(weighted.warnings)
    assert weigh(tracks_of(lines), None).weights.tolist() == [1.0] * 4 + [10.0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weight": 0.5}, "weight is"),
        ({"answer": "cannot_tell"}, "answer is"),
        ({"probability": 1.5}, "probability is"),
        ({"stratum": "other"}, "stratum is"),
        ({"epoch": float("inf")}, "cannot convert float infinity to integer; write"),
    ],
)
def test_a_line_that_is_wrong_is_named_with_its_field(tmp_path: Path, change: Table, told: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps(line()) + "\n" + json.dumps(line() | change) + "\n")
    with pytest.raises(ReviewsError, match=rf"line 2: {told}"):
        read_answers(str(file))


def test_answers_on_another_policys_tracks_are_no_answers_without_recordings() -> None:
    reviews = Reviews(tracks=tracks_of([line(policy_version="3-0123456789ab")]), source="here")
    with pytest.raises(ReviewsError, match="3-0123456789ab"):
        tune_on_reviews(reviews, plain_policy())
    with pytest.raises(ReviewsError, match="confidence"):
        tune_on_reviews(reviews, plain_policy(), options=_asked("targets:precision=.9,confidence=.9"))


def test_a_handful_of_answers_changes_nothing() -> None:
    lines = [line(k, "yes" if k < 9 else "no", 1.0, 0.5) for k in range(13)]
    tuning = tune_on_reviews(Reviews(tracks=tracks_of(lines), source="here"), plain_policy())
    assert tuning.policy.judgement("person") == plain_policy().judgement("person")
    assert "9 answers yes and 4 no" in tuning.summary["warnings"][0]


def _asked(objective: str) -> Any:
    return ReviewTuneOptions(objective=parse_objective(objective))


@pytest.mark.parametrize("replayed", [True, False])
def test_thresholds_under_the_old_no_need_answers_on_tracks_that_never_left_it(replayed: bool) -> None:  # noqa: FBT001
    lines = [line(k, "yes", 10.0, 0.1, stratum="auto_no") for k in range(6)] + [
        line(10 + k, "yes" if k < 20 else "no", 1.0, 0.6) for k in range(25)
    ]
    tracks = tracks_of(lines)
    scores = scores_as_decided(tracks)
    work = Work(plain_policy(), tracks, weigh(tracks, None), scores, (lambda _: scores) if replayed else None, 1.0, ())
    tuned = work.finish(_asked("targets:recall=1"), lambda _what, _done, _all: None)
    no = tuned.policy.judgement("person").track.thresholds.no
    found = tuned.summary["classes"]["person"]["calibration"]
    old = 1 / (1 + np.exp(-(found["offset"] + found["gain"] * np.log(0.2 / 0.8))))  # where the old NO is now
    assert no <= np.float32(0.1) if replayed else no == pytest.approx(old, rel=1e-6)
    assert any("lowest that answers tell of" in text for text in tuned.summary["warnings"]) is not replayed


# ---------------------------------------------------------------------- with a server's store and recordings


def asking() -> Policy:
    """Every other confident track is audited."""
    rules = {"open_after": 0.5, "audit_yes": 0.5, "audit_no": 0.5}
    return Policy.model_validate(plain_data() | {"review": rules})


def truth_of(track: int) -> bool:
    return track % 3 != 0


@pytest.fixture(name="site", scope="module")
def reviewed_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's data and recordings: two cameras, whose cases are all answered."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "policy.yaml").write_text(dump_policy(asking()))
    asyncio.run(_filmed(folder))
    store = open_store(sqlite_url(folder / "data"), synchronous="OFF")
    office = ReviewOffice(store)
    for reviewer in ("anna", "ben", "carl"):
        while leases := office.lease(reviewer, 16):
            for lease in leases:
                answer = Answer.YES if truth_of(lease.case.track_id & 0xFFFFFF) else Answer.NO
                office.vote(lease.case.id, reviewer, lease.token, answer)
    store.close()
    return folder


def uneven(recording: Scene) -> Scene:
    """With boxes that are not round in hundredths of a pixel, as detectors give them; evidence is kept to those."""
    return replace(recording, rows=[(row[0], row[1] + 1 / 3, row[2] + 1 / 7, *row[3:]) for row in recording.rows])


async def _filmed(folder: Path) -> None:
    async with serving(folder / "data", policy=folder / "policy.yaml", record=folder / "recordings") as live:
        for seed, stream in ((1, "gate"), (2, "yard")):
            call = Call(live.channel)
            await call.send(opening(stream_id=stream).SerializeToString())
            await call.receive()
            await call.play(list(batched(frames_of(uneven(scene(seed, length=300, objects=60))), 10)))
            await call.close()


def highest_of_each(site: Path, policy: Policy, lines: list[Table]) -> list[float]:
    """The highest probability of each answered track's life, as replay says it: 0 if no track holds half of the boxes of its evidence, or more.

    Of two tracks that hold as many, it is the older.
    """
    judged = {}
    for sequence in read_detections(site / "recordings", "tertium"):
        decisions = replay(sequence, policy)
        frames = sequence.frame_indices()[sequence.frames].tolist()
        boxes = np.round(sequence.boxes.astype(np.float64), 2).tolist()
        keys = zip(frames, map(tuple, boxes), strict=True)
        tracks = decisions.track_ids.tolist()
        judged[sequence.name] = dict(zip(keys, tracks, strict=True)), decisions
    found = []
    for one in lines:
        by_box, decisions = judged[one["stream_id"]]
        counts = Counter(by_box[frame["index"], tuple(frame["box"])] for frame in one["frames"])
        track, count = min(counts.items(), key=lambda each: (-each[1], each[0]))
        if policy == asking():
            assert track == one["track_id"] & 0xFFFFFF
        highest = float(decisions.track_probabilities[decisions.track_ids == track].max())
        found.append(highest if 2 * count >= counts.total() else 0.0)
    return found


def tuned(site: Path, out: Path, *more: str) -> tuple[Policy, Table]:
    words = ["tune", str(site / "recordings"), "--format", "tertium", "--reviews", str(site / "data")]
    words += ["--policy", str(site / "policy.yaml"), "--out", str(out / "p.yaml"), "--summary", str(out / "s.json")]
    assert run([*words, "--objective", "targets:precision=.6,recall=.9", *more]) == 0
    return load_policy(out / "p.yaml"), json.loads((out / "s.json").read_text())


def test_what_is_said_of_thresholds_is_a_weighted_count_of_what_replay_says(site: Path, tmp_path: Path) -> None:
    policy, summary = tuned(site, tmp_path)
    answers = read_answers(str(site / "data"))
    lines = _exported(site, tmp_path)
    assert summary["answers"] == len(lines) > 20
    assert summary["replayed"]
    # Maybes, audits, and audits of tracks that never left NO, the less likely the rarer.
    assert {1.0, 2.0} < {one["weight"] for one in lines}
    assert answers.population is not None
    [name] = summary["classes"]
    for which, judge in (("as_it_was", asking()), ("all_data", policy)):
        pair = judge.judgement(name).track.thresholds
        weights = _stretched(lines, answers)
        yes = [score >= np.float32(pair.yes) for score in highest_of_each(site, judge, lines)]
        right = sum(w for w, one, said in zip(weights, lines, yes, strict=True) if said and one["answer"] == "yes")
        said = sum(w for w, is_yes in zip(weights, yes, strict=True) if is_yes)
        real = sum(w for w, one in zip(weights, lines, strict=True) if one["answer"] == "yes")
        told = summary["classes"][name][which]
        assert told["precision_of_yes"]["value"] == pytest.approx(right / said)
        assert told["recall_of_yes"]["value"] == pytest.approx(right / real)
        low, high = told["recall_of_yes"]["interval"]
        assert low <= right / real <= high
    assert sum(_stretched(lines, answers)) == pytest.approx(sum(answers.population.values()))


def test_boxes_are_judged_as_before_and_the_policy_says_where_it_comes_from(site: Path, tmp_path: Path) -> None:
    policy, summary = tuned(site, tmp_path)
    [name] = summary["classes"]
    assert policy.judgement(name).box == asking().judgement(name).box
    assert policy.review == asking().review
    assert policy.provenance["started_from"] == asking().version
    chosen = policy.judgement(name).track.thresholds
    assert {"yes": chosen.yes, "no": chosen.no} == summary["classes"][name]["thresholds"]
    assert (chosen.margin, chosen.hold) == (0.05, 0.5)


def test_an_export_says_the_same_as_the_store_but_for_how_many_were_decided(site: Path, tmp_path: Path) -> None:
    _exported(site, tmp_path)
    one, other = read_answers(str(site / "data")), read_answers(str(tmp_path / "answers.jsonl"))
    assert other.population is None

    def key(track: Any) -> tuple[Any, ...]:
        return (
            track.case_id,
            track.weight,
            track.is_real,
            len(track.frames),
        )

    assert [key(track) for track in one.tracks] == [key(track) for track in other.tracks]
    words = ["tune", "--reviews", str(tmp_path / "answers.jsonl"), "--policy", str(site / "policy.yaml")]
    assert run([*words, "--out", str(tmp_path / "p.yaml")]) == 0
    assert load_policy(tmp_path / "p.yaml").provenance["replayed"] is False


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a", "b", "--format", "mot", "--reviews", "c"], "TRUTH"),
        (["a", "--format", "mot", "--reviews", "c"], "--format"),
        (["a", "--format", "mot"], "TRUTH"),
        (["a", "b", "--format", "mot", "--policy", "p"], "--policy"),
        (["--reviews", "."], "there is no store"),
        (["--reviews", "c", "--folds", "3", "--jobs", "1", "--no-cache"], "--folds, --jobs: not with --reviews"),
        (["a", "--format", "tertium", "--reviews", "c", "--fps", "9"], "--fps: not with --reviews"),
        (["a", "b", "--format", "coco", "--class-name", "person"], "--class-name: only with --format mot"),
        (["a", "b", "--format", "mot", "--truth-field", "x"], "--truth-field: only with --format fiftyone"),
        (["a", "b", "--format", "mot", "--summary", "s", "--report", "s"], "s: is to hold two results"),
    ],
)
def test_options_that_make_no_sense_together_are_named(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["tune", *words, "--out", "p.yaml"]) == 2
    assert told in capsys.readouterr().err


def _exported(site: Path, out: Path) -> list[Table]:
    file = out / "answers.jsonl"
    assert run(["review", "export", "--data-dir", str(site / "data"), "--out", str(file)]) == 0
    return [json.loads(text) for text in file.read_text().splitlines()]


def _stretched(lines: list[Table], answers: Reviews) -> list[float]:
    """Weights that add up, by stratum, to the decided tracks."""
    assert answers.population is not None
    stretch = {}
    for stratum in {one["stratum"] for one in lines}:
        decided = sum(count for cell, count in answers.population.items() if cell.stratum == stratum)
        stretch[stratum] = decided / sum(one["weight"] for one in lines if one["stratum"] == stratum)
    return [one["weight"] * stretch[one["stratum"]] for one in lines]
