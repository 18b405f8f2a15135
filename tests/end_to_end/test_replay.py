"""`tertium replay --server` against the real server: what comes out is what comes out in process, whatever happens."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tertium_server.cli.application import run
from tests.scenes import scene, write_kitti, write_mot
from tests.servers import PATIENCE, ServerProcess, wait_until

FRAMES = "tertium_frames_received_total"


@pytest.fixture(name="server", scope="module")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(name="recordings")
def write_recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    for seed in (1, 2, 3):
        write_mot(scene(seed, length=700, objects=12), folder)
    return folder


def replay_in_process(path: Path, out: Path, *options: str) -> bytes:
    assert run(["replay", str(path), "--out", str(out), *options]) == 0
    return out.read_bytes()


@contextlib.contextmanager
def replay_by_server(server: ServerProcess, path: Path, out: Path, *options: str) -> Generator[subprocess.Popen[str]]:
    """The command as a process; at the end it has to be done."""
    command = [sys.executable, "-m", "tertium_server.cli", "replay", str(path), "--out", str(out)]
    with subprocess.Popen(
        [*command, "--server", server.address, *options], stderr=subprocess.PIPE, text=True
    ) as replay:
        try:
            yield replay
            _, errors = replay.communicate(timeout=PATIENCE)
            assert replay.returncode == 0, errors
        finally:
            replay.kill()


def test_decisions_are_the_same_in_process_and_by_server_for_any_batch(tmp_path: Path, server: ServerProcess) -> None:
    kitti, mot = tmp_path / "kitti", tmp_path / "mot"
    for seed in (4, 5):
        write_kitti(scene(seed, length=120, classes=("person", "car", "bus")), kitti, ids=True)
        write_mot(scene(seed, length=120), mot, fps=29.97)
    (kitti / "empty.txt").write_text("")
    for path, form, more in ((mot, "mot", []), (kitti, "kitti", []), (kitti, "kitti", ["--client-tracks"])):
        expected = replay_in_process(path, tmp_path / "expected.csv", "--format", form, *more)
        assert expected.count(b"\n") > 500
        for batch in ("1", "2", "13", "5000"):
            options = ["--format", form, "--batch", batch, *more]
            assert replay_in_process(path, tmp_path / "again.csv", *options) == expected
            arguments = ["replay", str(path), "--out", str(tmp_path / "served.csv"), "--server", server.address]
            assert run([*arguments, *options]) == 0
            assert (tmp_path / "served.csv").read_bytes() == expected


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_goes_and_comes_back_changes_nothing(
    tmp_path: Path, recordings: Path, server: ServerProcess, number: signal.Signals
) -> None:
    expected = replay_in_process(recordings, tmp_path / "expected.csv", "--format", "mot")
    options = ["--format", "mot", "--batch", "1"]
    before = server.read(FRAMES)
    with replay_by_server(server, recordings, tmp_path / "served.csv", *options) as replay:
        # In the middle of the second of three sequences, between two checkpoints. From then on it stands still: it might be done otherwise
        # before a busy machine has got round to looking.
        wait_until(lambda: server.read(FRAMES) > before + 850, "frames to arrive")
        replay.send_signal(signal.SIGSTOP)
        seen = server.read(FRAMES) - before
        assert seen < 2100
        server.end(number)
        replay.send_signal(signal.SIGCONT)
        assert replay.poll() is None
        assert not (tmp_path / "served.csv").exists()
        server.start()
    assert (tmp_path / "served.csv").read_bytes() == expected
    # The new server has seen the rest and nothing that it need not have seen.
    assert 0 < server.read(FRAMES) < 2100 - seen + 200


def test_two_replays_on_one_server_do_not_meet(tmp_path: Path, recordings: Path, server: ServerProcess) -> None:
    expected = replay_in_process(recordings, tmp_path / "expected.csv", "--format", "mot")
    outs = [tmp_path / f"served-{number}.csv" for number in range(2)]
    options = ["--format", "mot", "--batch", "4"]
    with (
        replay_by_server(server, recordings, outs[0], *options),
        replay_by_server(server, recordings, outs[1], *options),
    ):
        pass
    assert [out.read_bytes() for out in outs] == [expected, expected]


def test_a_server_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mot(scene(1), tmp_path)
    command = ["replay", str(path), "--format", "mot", "--out", str(tmp_path / "out.csv")]
    monkeypatch.setattr("tertium_server.cli.remote.CONNECT_WITHIN", 0.5)
    assert run([*command, "--server", "127.0.0.1:1"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("tertium: sequence scene-1: nothing listens at 127.0.0.1:1: start one there, ")
    assert not (tmp_path / "out.csv").exists()


def test_what_the_server_refuses_is_told_in_one_line(
    tmp_path: Path, server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_mot(scene(1), tmp_path)
    file = path / "det/det.txt"
    file.write_text("2,-1,10,20,30,40,0.5\n" * 1001)
    command = ["replay", str(path), "--format", "mot", "--out", str(tmp_path / "out.csv")]
    assert run([*command, "--server", server.address]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"tertium: sequence scene-1: server {server.address}: boxes: 1001 detections")
    assert not (tmp_path / "out.csv").exists()
