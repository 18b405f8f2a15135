"""Data that trip others up: right answers, or a clear "cannot be determined"."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.cli.application import run
from tertium_server.policy import default_policy
from tertium_server.tuning.cache import ReplayCache
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.evaluate import EvaluateOptions, evaluate
from tertium_server.tuning.figures import Matching
from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.judged import judge
from tertium_server.tuning.matching import Label, match
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tests.tuning.labelled import sequence, truth

QUICK = TuneOptions(effort=Effort(0))
FRAMES = 60


def recording(seed: int, scores: tuple[float, float], *, every: int = 1, clutter: float = 0.5) -> Labelled:
    """Two objects that stand still, one detected with a score about the first, the other about the second, in every so many frames; and clutter."""
    random = np.random.default_rng(seed)
    homes = np.array([[10.0, 10, 60, 110], [200, 50, 260, 170]])
    rows: list[NDArray[np.float64]] = []
    said, frames, real, real_frames = [], [], [], []
    for frame in range(1, FRAMES + 1):
        for home, score in zip(homes, scores, strict=True):
            real.append(home)
            real_frames.append(frame)
            if frame % every == 0:
                rows.append(home + random.normal(0, 1.5, 4))
                said.append(float(np.clip(score + random.normal(0, 0.04), 0.01, 0.99)))
                frames.append(frame)
        if frame % every == 0 and random.random() < clutter:
            corner = random.uniform((300, 0), (500, 200))
            rows.append(np.concatenate([corner, corner + 40]))
            said.append(float(random.uniform(0.02, 0.6 * max(scores))))
            frames.append(frame)
    name = f"scene-{seed}"
    ids = np.tile([0, 1], FRAMES)
    names = {0: "car"}
    return Labelled(
        sequence(rows, said, frames, name=name, length=FRAMES, class_names=names),
        truth(real, real_frames, name=name, length=FRAMES, class_names=names, track_ids=ids),
    )


def brute_best_f1(labelled: list[Labelled]) -> float:
    """The best F1 of every threshold, tried one by one: each matches anew what it accepts."""
    objects, best = sum(len(one.truth) for one in labelled), 0.0
    for threshold in np.unique(np.concatenate([one.sequence.scores for one in labelled])):
        labels = np.concatenate([match(one, one.sequence.scores, least=threshold).labels for one in labelled])
        true, false = (int((labels == label).sum()) for label in (Label.TRUE, Label.FALSE))
        best = max(best, 2 * true / (objects + true + false))
    return best


def tuned(labelled: list[Labelled]) -> Tuning:
    made = tune(labelled, QUICK)
    json.dumps(made.summary, allow_nan=False)  # no figure is NaN
    return made


@pytest.mark.parametrize(
    ("scores", "every"),
    [((0.8, 0.7), 6), ((0.9, 0.25), 1), ((0.2, 0.15), 1)],
    ids=["sparse", "bimodal", "all scores under a quarter"],
)
def test_the_best_f1_is_that_of_every_threshold_tried(scores: tuple[float, float], every: int) -> None:
    labelled = [recording(seed, scores, every=every) for seed in range(2)]
    found = tuned(labelled).summary
    assert found["all_data"]["raw"]["overall"]["best_f1"] == pytest.approx(brute_best_f1(labelled))
    assert found["all_data"]["raw"]["overall"]["objects"] == 2 * 2 * FRAMES  # frames without detections count
    chosen = found["thresholds"]["overall"]["box"]
    assert 0.0 <= chosen["no"] <= chosen["yes"] <= 1.0


def test_sparse_detections_do_not_hide_the_objects_they_miss() -> None:
    labelled = [recording(0, (0.8, 0.7), every=6), recording(1, (0.8, 0.7), every=6)]
    best = tuned(labelled).summary["all_data"]["raw"]["overall"]
    assert best["recall"] <= 1 / 6 + 1e-9
    assert best["misses"] >= 2 * 2 * FRAMES * 5 / 6


def test_equal_scores_stand_or_fall_together() -> None:
    labelled = []
    for seed in range(2):
        one = recording(seed, (0.5, 0.5))
        labelled.append(Labelled(replace(one.sequence, scores=np.full(len(one.sequence), 0.5)), one.truth))
    found = tuned(labelled).summary["all_data"]["raw"]["overall"]
    assert found["best_f1"] == pytest.approx(brute_best_f1(labelled))
    assert found["true_positives"] == found["true_detections"]
    assert found["threshold"] < 0.5


@pytest.mark.parametrize("factor", [0.25, 0.0], ids=["all scores under a quarter", "all scores alike"])
def test_a_detector_on_a_scale_of_its_own_is_not_judged_by_scenes_told_on_the_usual_one(factor: float) -> None:
    labelled = []
    for seed in range(2):
        one = recording(seed, (0.8, 0.5))
        scores = one.sequence.scores * factor if factor else np.ones(len(one.sequence))
        labelled.append(Labelled(replace(one.sequence, scores=scores), one.truth))
    found = tuned(labelled).summary
    for unit in ("box", "track"):
        served = found["at_thresholds"]["units"][unit]["overall"]
        assert served["yes"]["f1"] > served["best_f1"] - 0.02, unit
    assert not any("YES begins at" in text for text in found["warnings"])


def without(one: Labelled, *, detections: bool = False, truths: bool = False) -> Labelled:
    here, there = one.sequence, one.truth
    if detections:
        here = sequence([], [], name=here.name, length=here.length, class_names=here.class_names)
    if truths:
        there = truth([], name=there.name, length=there.length, class_names=there.class_names)
    return Labelled(here, there)


@pytest.mark.parametrize(
    ("detections", "truths", "reason"),
    [(True, False, "no detection"), (False, True, "no object"), (True, True, "no object")],
)
def test_without_detections_or_truth_nothing_can_be_determined(detections: bool, truths: bool, reason: str) -> None:  # noqa: FBT001  # a table's cells
    labelled = [without(recording(seed, (0.8, 0.7)), detections=detections, truths=truths) for seed in range(2)]
    with pytest.raises(UndeterminedError, match=f"cannot be determined: there is {reason}"):
        tune(labelled, QUICK)
    policy = default_policy()
    judged = [judge(one, replay(one.sequence, policy), policy, Matching()) for one in labelled]
    figures = evaluate(judged, EvaluateOptions()).describe()
    assert json.dumps(figures, allow_nan=False)
    assert reason in figures["units"]["box"]["overall"]["undetermined"]


def test_a_sequence_without_detections_counts_among_others_that_have_some() -> None:
    labelled = [recording(0, (0.8, 0.7)), recording(1, (0.8, 0.7)), without(recording(2, (0.8, 0.7)), detections=True)]
    found = tuned(labelled).summary
    assert found["all_data"]["raw"]["overall"]["objects"] == 3 * 2 * FRAMES
    assert found["all_data"]["raw"]["overall"]["best_f1"] == pytest.approx(brute_best_f1(labelled))


def late(one: Labelled) -> Labelled:
    """The same, and then nothing for long: no block but the first has anything to learn from."""
    length = 10 * FRAMES
    return Labelled(replace(one.sequence, length=length), replace(one.truth, length=length))


@pytest.mark.parametrize("alone", [True, False], ids=["in one block of one sequence", "in one of two sequences"])
def test_where_all_detections_lie_in_one_fold_it_is_judged_by_a_policy_that_learned_nothing(alone: bool) -> None:  # noqa: FBT001  # a table's cell
    one = recording(0, (0.8, 0.7))
    found = tuned([late(one)] if alone else [one, without(recording(1, (0.8, 0.7)), detections=True)]).summary
    objects = 2 * FRAMES * (1 if alone else 2)
    held = found["held_out"]
    assert [held[which]["overall"]["objects"] for which in ("raw", "calibrated", "fused")] == [objects] * 3
    # Without data a calibration keeps the order of the scores.
    assert held["calibrated"]["overall"]["best_f1"] == held["raw"]["overall"]["best_f1"]
    assert found["at_thresholds"]["units"]["box"]["overall"]["objects"] == objects


def test_a_class_that_is_missing_takes_the_thresholds_of_all_and_says_so() -> None:
    names = {0: "car", 1: "person"}
    labelled = [
        Labelled(replace(one.sequence, class_names=names), replace(one.truth, class_names=names))
        for one in (recording(seed, (0.8, 0.6)) for seed in range(2))
    ]
    made = tuned(labelled)
    chosen = made.summary["thresholds"]
    assert chosen["classes"]["person"]["box"]["yes"] == chosen["overall"]["box"]["yes"]
    assert any(text.startswith("box, person: cannot be determined") for text in made.summary["warnings"])
    assert made.summary["all_data"]["raw"]["classes"]["person"]["best_f1"] is None
    assert made.policy.judgement("person").box.thresholds.yes == chosen["overall"]["box"]["yes"]


def write(one: Labelled, folder: Path, score: str) -> None:
    """As MOTChallenge, with the same text for each score."""
    place = folder / one.name
    (place / "det").mkdir(parents=True)
    (place / "gt").mkdir()
    here, there = one.sequence, one.truth
    (place / "det/det.txt").write_text(
        "".join(
            f"{frame},-1,{x:.2f},{y:.2f},{w:.2f},{h:.2f}{score}\n"
            for frame, (x, y, w, h) in zip(here.frames.tolist(), here.xywh.tolist(), strict=True)
        )
    )
    (place / "gt/gt.txt").write_text(
        "".join(
            f"{frame},{track + 1},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1\n"
            for frame, track, (x1, y1, x2, y2) in zip(
                there.frames.tolist(), there.track_ids.tolist(), there.boxes.tolist(), strict=True
            )
        )
    )
    (place / "seqinfo.ini").write_text(
        f"[Sequence]\nname={one.name}\nframeRate=25\nseqLength={FRAMES}\nimWidth=640\nimHeight=360\n"
    )


def test_a_missing_confidence_is_one_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        write(recording(seed, (0.8, 0.7)), tmp_path, "")
    words = ["tune", str(tmp_path), str(tmp_path), "--format", "mot", "--out", str(tmp_path / "p.yaml"), "--jobs", "1"]
    assert run([*words, "--no-cache", "--summary", str(tmp_path / "s.json")]) == 0
    summary = json.loads((tmp_path / "s.json").read_text())
    assert sum("det.txt" in text and "score" in text for text in summary["warnings"]) == 2
    assert "warning" in capsys.readouterr().err
    raw = summary["all_data"]["raw"]["overall"]
    assert raw["true_positives"] + raw["false_positives"] == raw["detections"]  # all of one score: all or nothing


def test_a_score_that_is_no_number_is_refused_with_file_and_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(recording(0, (0.8, 0.7)), tmp_path, ",nan")
    words = ["tune", str(tmp_path), str(tmp_path), "--format", "mot", "--out", str(tmp_path / "p.yaml")]
    assert run([*words, "--no-cache"]) == 1
    error = capsys.readouterr().err
    assert "det.txt, row 1, column 7" in error
    assert not (tmp_path / "p.yaml").exists()


def test_what_was_kept_of_answers_at_once_is_not_taken_for_answers_that_wait(tmp_path: Path) -> None:
    labelled = [recording(seed, (0.8, 0.4)) for seed in range(2)]
    kept = replace(QUICK, cache=ReplayCache(tmp_path))
    assert default_policy().version  # asked for before: its hash is made
    at_once, waiting = (tune(labelled, replace(kept, decision_lag=lag)).held_out for lag in (0, 4))
    anew = tune(labelled, replace(QUICK, decision_lag=4)).held_out
    for before, found, expected in zip(at_once, waiting, anew, strict=True):
        assert found.probabilities.tobytes() == expected.probabilities.tobytes()
        assert found.probabilities.tobytes() != before.probabilities.tobytes()
