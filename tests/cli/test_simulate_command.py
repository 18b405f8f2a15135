"""`tertium simulate`: files that tune, evaluate and replay read, and what it says of worlds that can't be."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium_server.cli.application import run
from tertium_server.simulation import film, load_world, preset
from tertium_server.simulation.tally import tally
from tertium_server.tuning.readers import Kind, read_labelled
from tertium_server.tuning.replay import replay
from tertium_server.tuning.tune import tune

SIZE = ["--cameras", "2", "--frames", "60"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "street"
    words = ["simulate", "busy-street", *SIZE, "--set", "detector.sure=0.5", "--set", "seed=4", "--out", str(out)]
    assert run([*words, "--json", str(out.parent / "f.json")]) == 0
    return out


def test_the_files_hold_the_footage(folder: Path) -> None:
    world = load_world(folder / "world.yaml")
    assert world == preset("busy-street", cameras=2, frames=60, seed=4, detector={"sure": 0.5})
    recorded = read_labelled(folder / "recordings", folder / "recordings", "tertium")
    facts = json.loads((folder.parent / "f.json").read_text())["footage"]
    for camera, one in enumerate(recorded):
        footage = film(world, camera)
        assert (one.name, one.warnings, one.sequence.length) == (footage.name, (), 60)
        np.testing.assert_array_equal(one.sequence.boxes, footage.detections.boxes)
        np.testing.assert_array_equal(one.sequence.scores.astype(np.float32), footage.detections.scores)
        assert {(one.sequence.class_names[a], world.class_names[b]) for a, b in zip(
            one.sequence.class_ids.tolist(), footage.detections.class_ids.tolist(), strict=True
        )} == {("person", "person"), ("car", "car")}  # fmt: skip
        assert len(one.truth) == len(footage.scene.frames) == facts[camera]["object_boxes"]
        assert int((one.truth.kinds == Kind.IGNORE).sum()) == int((footage.scene.cover > 0.75).sum())
        assert facts[camera]["right"] == int(footage.right().sum())
    by_class = {name: read_labelled(folder / "mot" / name, folder / "mot" / name, "mot") for name in ("person", "car")}
    for camera, one in enumerate(recorded):
        assert sum(len(parts[camera].sequence) for parts in by_class.values()) == len(one.sequence)
        assert sum(len(parts[camera].truth) for parts in by_class.values()) == len(one.truth)


def test_the_same_world_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert run(["simulate", str(folder / "world.yaml"), "--out", str(tmp_path / "again")]) == 0
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(files) == 1 + 2 * (2 + 2 * 3)
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes()


def test_a_world_of_one_class_has_one_folder_of_mot(tmp_path: Path) -> None:
    assert run(["simulate", "erring-reviewers", *SIZE, "--out", str(tmp_path / "w")]) == 0
    assert len(read_labelled(tmp_path / "w/mot", tmp_path / "w/mot", "mot")) == 2


def test_a_policy_tuned_on_one_world_beats_the_raw_score_on_another_of_its_kind() -> None:
    def f1(right: Any, wrong: Any, missed: Any) -> Any:
        return 2 * right / (2 * right + wrong + missed)

    kind: dict[str, Any] = {"cameras": 2, "frames": 150}
    tuned = tune([film(preset("busy-street", **kind), camera).labelled() for camera in range(2)])
    fresh = [film(preset("busy-street", seed=9, **kind), camera) for camera in range(2)]
    found = tally((one.labelled(), replay(one.labelled().sequence, tuned.policy)) for one in fresh).boxes.values()
    yes = f1(*(sum(getattr(one, key) for one in found) for key in ("yes_right", "yes_wrong", "missed")))
    scores = np.concatenate([one.detections.scores for one in fresh])
    right = np.concatenate([one.right() for one in fresh])
    objects = sum(len(one.scene.frames) for one in fresh)
    best = max(
        f1((right & (scores >= at)).sum(), (~right & (scores >= at)).sum(), objects - (right & (scores >= at)).sum())
        for at in np.linspace(0.02, 0.98, 97)
    )
    assert yes > best + 0.03


def test_show_writes_the_world_to_be_changed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["simulate", "drift", "--show", "--seed", "5"]) == 0
    (tmp_path / "mine.yaml").write_text(capsys.readouterr().out)
    assert load_world(tmp_path / "mine.yaml") == preset("drift", seed=5)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["atlantis", "--show"], 1, "give a YAML file, or one of busy-street"),
        (["drift"], 2, "give --out FOLDER, --server HOST:PORT, or both"),
        (["drift", "--show", "--set", "detector.sure=high"], 1, "detector.sure: has to be a number, not 'high'"),
        (["drift", "--show", "--set", "rain=3"], 1, "rain: there is no such field; there are: cameras, "),
        (
            ["drift", "--show", "--set", "detector.sur=3"],
            1,
            'detector.sur: there is no such field; did you mean "sure"?',
        ),
        (["drift", "--show", "--set", "rain"], 2, "write it as FIELD=VALUE"),
        (["drift", "--show", "--set", "name=a/b"], 1, "name: has to match"),
        (["drift", "--show", "--seed", "1", "--set", "seed=2"], 2, "--seed, --set seed: give one of the two"),
        (
            ["drift", "--show", "--set", "detector=3", "--set", "detector.sure=1"],
            2,
            "detector was set as a whole before",
        ),
        (["drift", "--show", "--set", f"frames={'1' * 5000}"], 2, "is no value"),
        (["drift", "--show", "--set", f"frames={'[' * 1500}"], 2, "is no value"),
        (["drift", "--server", "here"], 2, "names no port"),
        (["drift", "--server", "127.0.0.1:1", "--review", "nowhere"], 1, "--review nowhere: can't be read"),
        (["drift", "--server", "127.0.0.1:1", "--truth"], 2, "--truth: the server takes it from the role admin only"),
        (["drift", "--server", "127.0.0.1:1", "--speed", "0"], 2, "--speed 0: give a number above 0"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TERTIUM_TOKEN", raising=False)
    assert run(["simulate", *words]) == code
    assert said in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "drift", *SIZE, "--out", str(folder)]) == 1
    assert "is not empty; give a folder that is" in capsys.readouterr().err
