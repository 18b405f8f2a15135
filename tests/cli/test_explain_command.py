"""tertium explain, as it is called."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tertium_server.cli.application import run
from tertium_server.cli.failure import MISUSED
from tests.scenes import scene, write_mot


@pytest.fixture(scope="module", name="recording")
def write_recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_mot(scene(4, objects=6), tmp_path_factory.mktemp("explain")))


def explain(recording: str, *options: str) -> int:
    return run(["explain", recording, "--format", "mot", *options])


def as_json(capsys: pytest.CaptureFixture[str], recording: str, *options: str) -> Any:
    assert explain(recording, "--json", *options) == 0
    return json.loads(capsys.readouterr().out)


def most_eventful(capsys: pytest.CaptureFixture[str], recording: str) -> str:
    return str(as_json(capsys, recording)["tracks"][0]["track"])


def test_without_a_track_they_are_listed(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(recording, "--most", "3") == 0
    out = capsys.readouterr().out
    assert "scene-4: " in out
    assert "more; --most" in out
    assert len(as_json(capsys, recording)["tracks"]) > 3


def test_a_life_tells_every_verdict_that_changed_and_why(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    track = most_eventful(capsys, recording)
    frames = as_json(capsys, recording, "--track", track)["frames"]
    assert explain(recording, "--track", track) == 0
    out = capsys.readouterr().out
    happenings = [each for one in frames for each in one["happenings"] if each["type"] != "ENDED"]
    assert happenings
    for each in happenings:
        assert f"{each['before']} → {each['after']}" in out
    assert "detections (slow)" in out


def test_the_json_of_every_frame_adds_up(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    frames = as_json(capsys, recording, "--track", most_eventful(capsys, recording))["frames"]
    for one in frames:
        whys = [(one["why"], one["probability"])]
        whys += [(one["box"]["why"], one["box"]["probability"])] if one["box"] else []
        for why, served in whys:
            total = math.fsum(part["log_odds"] for part in why["parts"])
            assert total == pytest.approx(why["log_odds"], abs=1e-9)
            assert 1 / (1 + math.exp(-total)) == pytest.approx(served, rel=1e-6)
            for part in why["parts"]:
                if part["shares"]:
                    assert math.fsum(part["shares"].values()) == pytest.approx(part["log_odds"], abs=1e-9)


def test_a_frame_is_told_in_all_its_parts(recording: str, capsys: pytest.CaptureFixture[str]) -> None:
    track = most_eventful(capsys, recording)
    one = next(each for each in as_json(capsys, recording, "--track", track)["frames"] if each["box"])
    assert explain(recording, "--track", track, "--frame", str(one["frame"])) == 0
    out = capsys.readouterr().out
    for part in (*one["why"]["parts"], *one["box"]["why"]["parts"]):
        assert part["name"] in out
        assert f"{part['log_odds']:+.4f}" in out
    assert f"{one['box']['probability']:.4f}" in out


def test_a_plot_is_written_and_the_same_each_time(
    recording: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    track, names = most_eventful(capsys, recording), ("one.svg", "two.svg")
    for name in names:
        assert explain(recording, "--track", track, "--plot", str(tmp_path / name)) == 0
    one, two = ((tmp_path / name).read_bytes() for name in names)
    assert b"<svg" in one
    assert one == two


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--frame", "3"], "--frame needs --track"),
        (["--plot", "life.svg"], "--plot needs --track"),
        (["--track", "1", "--plot", "life.pdf"], "end the name in .png or .svg"),
        (["--track", "99999"], "there is no track 99999"),
        (["--track", "1", "--frame", "4000"], "track 1 has no frame 4000: it lived from"),
        (["--track", "1", "--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["--track", "1", "--plot", "nowhere/life.svg"], "nowhere/life.svg: can't be written"),
        (["--detections-field", "predictions"], "--detections-field: only with --format fiftyone"),
    ],
)
def test_what_can_t_be_answered_is_said_in_a_line(
    recording: str, capsys: pytest.CaptureFixture[str], options: list[str], problem: str
) -> None:
    assert explain(recording, *options) != 0
    assert problem in capsys.readouterr().err


def test_of_several_sequences_one_has_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        write_mot(scene(seed, length=20), tmp_path)
    assert run(["explain", str(tmp_path), "--format", "mot", "--track", "1"]) == MISUSED
    assert "name one with --sequences" in capsys.readouterr().err
    assert run(["explain", str(tmp_path), "--format", "mot", "--json"]) == 0
    assert [one["sequence"] for one in json.loads(capsys.readouterr().out)] == ["scene-1", "scene-2"]
    assert run(["explain", str(tmp_path), "--format", "mot", "--track", "1", "--sequences", "scene-2"]) == 0
