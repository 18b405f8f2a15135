"""Groups of sequences: figures and thresholds of their own, in the policy where streams of the group find them."""

import json
from pathlib import Path

import pytest

from tertium_server.cli.application import run
from tertium_server.policy import load_policy
from tertium_server.tuning.assigning import GroupError, members_of, parse_groups
from tertium_server.tuning.choosing import choose_thresholds
from tertium_server.tuning.figures import Matching, Scored
from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.objectives import F1
from tertium_server.tuning.readers import Labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tune import TuneOptions, tune
from tertium_server.tuning.units import Unit
from tests.tuning.test_odd_data import recording, write


@pytest.fixture(scope="module")
def labelled() -> list[Labelled]:
    return [recording(seed, (0.8, 0.7) if seed < 2 else (0.5, 0.3)) for seed in range(4)]


GROUPS = {"near": ("scene-[01]",), "far": ("scene-2", "scene-3")}


def test_groups_have_thresholds_and_figures_of_their_own(labelled: list[Labelled]) -> None:
    anywhere = Limits(bounds=(0.0, 1.0))  # said by somebody: plain scenes then say nothing
    made = tune(labelled, TuneOptions(effort=Effort(0), groups=GROUPS, limits=anywhere))
    for group, members in (("near", labelled[:2]), ("far", labelled[2:])):
        told = made.summary["groups"][group]
        assert told["sequences"] == [one.name for one in members]
        alone = Scored.of(members, [one.sequence.scores for one in members], Matching()).units().curve()
        assert told["all_data"]["raw"]["overall"]["best_f1"] == alone.best().f1
        said = [replay(one.sequence, made.policy).probabilities for one in members]
        expected = choose_thresholds(Scored.of(members, said, Matching()).units(), F1(), limits=anywhere).thresholds
        chosen = made.summary["thresholds"]["groups"][group]["classes"]["car"]["box"]
        assert (chosen["yes"], chosen["no"]) == (expected.yes.threshold, expected.no.threshold)
        values = made.policy.model_dump(mode="json")["groups"][group]["classes"]["car"]
        assert values["box"]["thresholds"]["yes"] == chosen["yes"]
        assert values["track"]["thresholds"].keys() >= {"yes", "no"}


def test_units_that_nobody_asks_for_keep_their_thresholds(labelled: list[Labelled]) -> None:
    made = tune(labelled, TuneOptions(effort=Effort(0), units=(Unit.FRAME, Unit.BOX)))
    assert made.summary["thresholds"]["overall"].keys() == {"frame", "box"}
    assert made.policy.judgement("car").track.thresholds.yes == 0.6  # the built-in's


def test_groups_are_read_and_patterns_of_one_name_come_together() -> None:
    assert parse_groups(["yard=cam-0*", "gate=g?", "yard=old"]) == {"yard": ("cam-0*", "old"), "gate": ("g?",)}


@pytest.mark.parametrize("text", ["yard", "=cam", "yard="])
def test_a_group_without_name_or_pattern_is_quoted(text: str) -> None:
    with pytest.raises(GroupError, match=f"--group {text}: write it as NAME=PATTERN"):
        parse_groups([text])


def test_a_group_of_nothing_is_refused(labelled: list[Labelled]) -> None:
    with pytest.raises(GroupError, match="--group yard: no sequence has a name that matches cam-"):
        members_of({"yard": ("cam-*",)}, labelled)


def test_the_command_takes_all_of_these_options(
    labelled: list[Labelled], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for one in labelled[1:3]:
        write(one, tmp_path, ",0.5")
    words = ["tune", str(tmp_path), str(tmp_path), "--format", "mot", "--out", str(tmp_path / "p.yaml")]
    more = ["--grid", "0:1:0.25", "--bounds", "0.1,0.9", "--iou-grid", "0.5,0.75", "--group", "far=scene-2"]
    rest = ["--matching", "iou", "--unit", "box", "--backend", "threading", "--no-cache", "--jobs", "2", "--fps", "25"]
    assert run([*words, *more, *rest, "--summary", str(tmp_path / "s.json")]) == 0, capsys.readouterr().err
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["matching"] == {"rule": "iou", "iou": 0.5}
    assert summary["limits"] == {"bounds": [0.1, 0.9], "grid": [0.0, 0.25, 0.5, 0.75, 1.0]}
    assert [row["threshold"] for row in summary["grid"]["raw"]["overall"]] == [0.25, 0.5, 0.75]
    assert [row["iou"] for row in summary["iou_grid"]] == [0.5, 0.75]
    tight, loose = (summary["iou_grid"][place]["raw"]["overall"]["best_f1"] for place in (1, 0))
    assert tight <= loose
    chosen = summary["thresholds"]["overall"]["box"]
    assert chosen["yes"] in (0.25, 0.5, 0.75, 1.0)
    policy = load_policy(tmp_path / "p.yaml")
    assert policy.judgement("object").box.thresholds.yes in (0.25, 0.5, 0.75, 1.0)
    assert policy.provenance["matching"] == {"rule": "iou", "iou": 0.5}
