"""Tuning from end to end on made recordings: what it says is what replay says, whoever does the work."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tertium_server.cli.application import run
from tertium_server.policy import dump_policy, load_policy
from tertium_server.tuning.curve import UndeterminedError
from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.matching import Label, match
from tertium_server.tuning.readers import Labelled, read_labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tests.scenes import Scene, scene, write_mot

QUICK = Effort(0)


def write_truth(made: Scene, sequence: Path) -> None:
    """The objects' own boxes as MOTChallenge truth."""
    (sequence / "gt").mkdir()
    rows = [
        f"{frame + 1},{number + 1},{left},{top},{width},{height},1,1,1\n"
        for frame, left, top, width, height, _, _, number in made.rows
        if number >= 0
    ]
    (sequence / "gt/gt.txt").write_text("".join(rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labelled")
    for seed in range(3):
        made = scene(seed, length=120, objects=6)
        write_truth(made, write_mot(made, root))
    return root


@pytest.fixture(scope="module")
def labelled(folder: Path) -> Sequence[Labelled]:
    return read_labelled(folder, folder, "mot")


@pytest.fixture(scope="module")
def tuned(labelled: Sequence[Labelled]) -> Tuning:
    return tune(labelled, TuneOptions(effort=QUICK))


@pytest.fixture(scope="module")
def tuned_to_wait(labelled: Sequence[Labelled]) -> Tuning:
    return tune(labelled, TuneOptions(effort=QUICK, decision_lag=5))


def test_tuned_to_answers_that_wait_a_policy_says_so_and_is_another(tuned: Tuning, tuned_to_wait: Tuning) -> None:
    assert tuned.policy.tracker.decision_lag == 0
    assert tuned_to_wait.policy.tracker.decision_lag == 5
    at_once, waiting = (each.policy.classes["object"].box.weights for each in (tuned, tuned_to_wait))
    assert at_once != waiting


@pytest.mark.parametrize("which", ["tuned", "tuned_to_wait"])
def test_what_tuning_says_of_its_thresholds_is_what_replay_says(
    labelled: Sequence[Labelled], which: str, request: pytest.FixtureRequest
) -> None:
    tuned: Tuning = request.getfixturevalue(which)
    chosen = tuned.summary["thresholds"]["classes"]["object"]["box"]
    right, accepted, reviewed = 0, 0, 0
    for one in labelled:
        decisions = replay(one.sequence, tuned.policy)
        labels = match(one, decisions.probabilities).labels
        judged = labels >= Label.FALSE
        accepted += int((judged & (decisions.verdicts == 3)).sum())
        right += int(((labels == Label.TRUE) & (decisions.verdicts == 3)).sum())
        reviewed += int((judged & (decisions.verdicts == 2)).sum())
    assert accepted > 0
    assert reviewed == chosen["maybe"]
    assert right / accepted == chosen["precision_of_yes"]


def test_the_best_f1_on_all_data_is_that_of_every_threshold_tried(labelled: Sequence[Labelled], tuned: Tuning) -> None:
    figures = tuned.summary["all_data"]["raw"]["overall"]
    objects = sum(len(one.truth) for one in labelled)
    best = 0.0
    for threshold in np.unique(np.concatenate([one.sequence.scores for one in labelled])):
        labels = np.concatenate(
            [match(one, one.sequence.scores).labels[one.sequence.scores >= threshold] for one in labelled]
        )
        true, false = int((labels == Label.TRUE).sum()), int((labels == Label.FALSE).sum())
        best = max(best, 2 * true / (objects + true + false))
    assert figures["objects"] == objects
    assert figures["best_f1"] == pytest.approx(best, abs=1e-12)


def test_as_many_processes_as_one_likes_give_the_same_bytes(labelled: Sequence[Labelled], tuned: Tuning) -> None:
    twice = tune(labelled, TuneOptions(effort=QUICK, jobs=2))
    assert dump_policy(twice.policy) == dump_policy(tuned.policy)
    assert json.dumps(twice.summary) == json.dumps(tuned.summary)


def test_a_class_that_fusion_does_not_help_is_judged_by_its_score_alone(tuned: Tuning) -> None:
    weights = tuned.policy.judgement("object").box.weights
    others = (weights.fast, weights.slow, weights.hits, weights.fit, weights.overlap)
    assert ("object" in tuned.summary["fusion_does_not_help"]) == (not any(others))
    assert weights.score > 0.0


def test_nothing_to_find_is_said_so(tmp_path: Path) -> None:
    made = scene(5, length=60)
    sequence = write_mot(made, tmp_path)
    (sequence / "gt").mkdir()
    (sequence / "gt/gt.txt").write_text("")
    with pytest.raises(UndeterminedError, match="no object to find"):
        tune(read_labelled(tmp_path, tmp_path, "mot"), TuneOptions(effort=QUICK))


def test_the_command_writes_a_policy_that_loads_and_its_figures(folder: Path, tmp_path: Path) -> None:
    out, summary = tmp_path / "policy.yaml", tmp_path / "summary.json"
    words = ["tune", str(folder), str(folder), "--format", "mot", "--name", "yard", "--objective", "budget:share=.1"]
    assert run([*words, "--out", str(out), "--summary", str(summary)]) == 0
    policy, figures = load_policy(out), json.loads(summary.read_text())
    assert policy.name == "yard"
    assert figures["policy"]["version"] == policy.version
    assert figures["objective"] == "budget:share=0.1"
    data = policy.provenance["data"]
    assert isinstance(data, dict)
    assert data.keys() == {"scene-0", "scene-1", "scene-2"}
    for unit in ("box", "track"):
        chosen, judged = figures["thresholds"]["classes"]["object"][unit], getattr(policy.judgement("object"), unit)
        assert (judged.thresholds.yes, judged.thresholds.no) == (chosen["yes"], chosen["no"])


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--objective", "targets:precission=.9"], "precission"),
        (["--name", ""], "--name '': has 0 letters; give 1 to 64"),
        (["--group", f"{'y' * 300}=scene-0"], "has 300 letters; give 1 to 256"),
        (["--summary", "nowhere/s.json"], "nowhere/s.json: can't be written (there is no folder"),
        (["--report", "."], "can't be written (Is a directory)"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_before_anything_is_worked_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], problem: str
) -> None:
    words = ["tune", str(folder), str(folder), "--format", "mot", "--out", str(tmp_path / "p.yaml")]
    assert run([*words, *more]) != 0
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not (tmp_path / "p.yaml").exists()
