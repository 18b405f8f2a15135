import csv
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tertium_server.cli.application import run
from tertium_server.cli.recording_options import Format
from tertium_server.policy import default_policy
from tertium_server.tuning.readers import FORMATS, read_detections
from tertium_server.tuning.replay import replay
from tertium_server.tuning.rows import write_header, write_rows
from tests.scenes import scene, write_kitti, write_mot


@pytest.fixture(name="recordings")
def write_recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    for seed in (2, 1):
        write_mot(scene(seed), folder)
    return folder


def expected_csv(path: Path, form: str) -> str:
    file = io.StringIO()
    write_header(file)
    for sequence in read_detections(path, form):
        write_rows(file, replay(sequence, default_policy()))
    return file.getvalue()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_formats_of_the_command_are_those_of_the_readers() -> None:
    assert {form.value for form in Format} == set(FORMATS)


@pytest.mark.parametrize("batch", ["1", "16", "1000"])
def test_the_csv_holds_every_detection_whatever_the_batch(recordings: Path, tmp_path: Path, batch: str) -> None:
    out = tmp_path / "out.csv"
    assert run(["replay", str(recordings), "--format", "mot", "--out", str(out), "--batch", batch]) == 0
    assert out.read_text() == expected_csv(recordings, "mot")
    assert names_in(tmp_path) == ["out.csv", "recordings"]


def test_standard_output_gets_the_csv_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_kitti(scene(3, classes=("person", "car")), tmp_path)
    assert run(["replay", str(file), "--format", "kitti", "--out", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.out == expected_csv(file, "kitti")
    assert "scene-3" in captured.err


def test_a_pattern_chooses_sequences_and_a_class_name_is_written(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    command = ["replay", str(recordings), "--format", "mot", "--out", str(out)]
    assert run([*command, "--sequences", "*-2", "--class-name", "a, b"]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert {(row["sequence"], row["class"]) for row in rows} == {("scene-2", "a, b")}


def test_the_summary_is_given_as_json_too(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert run(["replay", str(recordings), "--format", "mot", "--out", str(out), "--json", "-"]) == 0
    summary = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert summary["policy_version"] == default_policy().version
    assert summary["total"]["detections"] == len(rows)
    assert summary["total"]["frames"] == 160
    assert [figures["sequence"] for figures in summary["sequences"]] == ["scene-1", "scene-2"]
    for verdict, count in summary["total"]["verdicts"].items():
        assert count == sum(row["verdict"] == verdict for row in rows)
    assert summary["total"]["tracks"] == len({(row["sequence"], row["track"]) for row in rows})


def test_the_recordings_own_tracks_are_kept_on_request(tmp_path: Path) -> None:
    file, out = write_kitti(scene(1), tmp_path, ids=True), tmp_path / "out.csv"
    command = ["replay", str(file), "--format", "kitti", "--out", str(out)]
    assert run([*command, "--client-tracks"]) == 0
    tracks = [row["track"] for row in csv.DictReader(io.StringIO(out.read_text()))]
    assert tracks == [line.split()[1] for line in file.read_text().splitlines()]


def test_a_recording_without_tracks_has_none_to_keep(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert run(["replay", str(recordings), "--format", "mot", "--out", str(out), "--client-tracks"]) == 1
    assert "holds no track ids; leave out --client-tracks" in capsys.readouterr().err
    assert not out.exists()


def test_each_broken_sequence_is_told_in_a_line_and_nothing_is_written(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("what was there before")
    for name in ("scene-1", "scene-2"):
        file = recordings / name / "det/det.txt"
        file.write_text(file.read_text().replace(",", ";", 1) if name == "scene-1" else "1,-1,0,0,nan,1,0.5\n")
    assert run(["replay", str(recordings), "--format", "mot", "--out", str(out)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(
        f"tertium: sequence scene-1: {recordings}/scene-1/det/det.txt, row 1, column 1 (frame): has "
    )
    assert second.endswith(
        "det.txt, row 1, column 5 (width): is nan, which is no finite number; correct the row or leave the detection out"
    )
    assert out.read_text() == "what was there before"


def test_a_missing_score_column_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_mot(scene(1), tmp_path)
    (path / "det/det.txt").write_text("1,-1,10,20,30,40\n")
    assert run(["replay", str(path), "--format", "mot", "--out", "-"]) == 0
    captured = capsys.readouterr()
    assert "warning" in captured.err
    assert "has no score column; every detection counts with score 1.0" in captured.err
    assert captured.out.splitlines()[1].startswith("scene-1,1,0,object,10,20,30,40,1,1,")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["replay"], 2, "tertium replay: Missing argument 'DETECTIONS' (see tertium replay --help)"),
        (
            ["replay", ".", "--out", "x"],
            2,
            "tertium replay: Missing option '--format'. Choose from: mot, kitti",
        ),
        (["replay", ".", "--format", "tiff", "--out", "x"], 2, "'tiff' is not one of 'mot', 'kitti'"),
        (["replay", ".", "--format", "mot", "--out", "-", "--batch", "0"], 2, "--batch"),
        (["replay", ".", "--format", "mot", "--out", "-", "--json", "-"], 2, "can't both be standard output"),
        (
            ["replay", ".", "--format", "mot", "--out", "-", "--server", "a:1", "--policy", "p"],
            2,
            "no effect with --server",
        ),
        (["replay", "gone", "--format", "mot", "--out", "-"], 1, "gone: does not exist; check the path"),
        (["repay"], 2, "tertium: No such command 'repay'"),
    ],
)
def test_misuse_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert not captured.out
    [line] = captured.err.splitlines()
    assert message in line


def test_a_server_that_is_not_there_is_told_in_one_line_with_what_happened_and_the_remedy(
    recordings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tertium_server.cli.remote.CONNECT_WITHIN", 0.2)
    with socket.socket() as bound:  # and does not listen: nobody else gets the port
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        assert run(["replay", str(recordings), "--format", "mot", "--out", "-", "--server", address]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"nothing listens at {address}: start one there, or give another address; gave up at attempt " in line
    assert run(["replay", str(recordings), "--format", "mot", "--out", "-", "--server", f"http://{address}"]) == 2
    assert f"--server http://{address}: is a URL: give HOST:PORT" in capsys.readouterr().err


def test_a_policy_that_is_none_is_told_in_one_line(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("[1, 2]")
    command = ["replay", str(recordings), "--format", "mot", "--out", str(tmp_path / "out.csv")]
    assert run([*command, "--policy", str(policy)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tertium: {policy}: holds no policy")
    assert names_in(tmp_path) == ["policy.yaml", "recordings"]


def test_a_folder_that_can_not_be_written_is_told_in_one_line(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "no such folder/out.csv"
    assert run(["replay", str(recordings), "--format", "mot", "--out", str(out)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"tertium: {out}: can't be written (No such file or directory); choose another file"


def test_a_link_and_a_device_are_written_through(recordings: Path, tmp_path: Path) -> None:
    target, link = tmp_path / "target.csv", tmp_path / "link.csv"
    target.write_text("old")
    link.symlink_to(target)
    command = ["replay", str(recordings), "--format", "mot", "--out"]
    assert run([*command, str(link)]) == 0
    assert link.is_symlink()
    assert target.read_text() == expected_csv(recordings, "mot")
    assert run([*command, os.devnull]) == 0
    assert not Path(os.devnull).is_file()


def test_version_and_help_load_neither_numba_nor_grpc() -> None:
    program = (
        "import sys; from tertium_server.cli import main; arguments, code = sys.argv[1:], 0\n"
        "for each in arguments: sys.argv = ['tertium', *each.split()]; code = code or main()\n"
        "sys.exit(code or bool({'numba', 'grpc', 'numpy', 'scipy', 'uvicorn'} & set(sys.modules)))"
    )
    commands = ["--version", "--help", "replay --help", "serve --help", "demo --help"]
    done = subprocess.run([sys.executable, "-c", program, *commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: tertium") == 4
    assert done.stdout.startswith("tertium ")


def test_a_reader_of_standard_output_that_goes_away_leaves_no_traceback(recordings: Path) -> None:
    command = [sys.executable, "-m", "tertium_server.cli", "replay", str(recordings), "--format", "mot", "--out", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as replay:
        assert replay.stdout is not None
        assert replay.stderr is not None
        replay.stdout.close()
        assert not replay.stderr.read()
        assert replay.wait() == 1


def test_the_command_runs_as_a_module_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tertium_server.cli", "replay", "gone", "--format", "mot", "--out", "-"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("gone: does not exist; check the path\n")
