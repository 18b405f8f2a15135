"""The demo as people run it: the real command, the real server, the real client."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil
import pytest

from tertium_server.cli.application import run
from tertium_server.demo.cameras import load_cameras
from tertium_server.demo.server import DemoServer
from tertium_server.errors import StartError
from tertium_server.policy import default_policy
from tertium_server.tuning.replay import replay
from tertium_server.tuning.summary import summarize
from tests.servers import PATIENCE, wait_until

DEMO = [sys.executable, "-m", "tertium_server.cli", "demo"]


def row(output: str, name: str) -> list[int]:
    """The two figures of a row of the summary."""
    [found] = re.findall(rf"^ *{re.escape(name)} +([\d,]+) +([\d,]+) *$", output, re.MULTILINE)
    return [int(figure.replace(",", "")) for figure in found]


def test_the_recordings_are_those_of_the_readme_and_carry_their_attribution() -> None:
    entrance, car_park = (camera.sequence for camera in load_cameras())
    assert (entrance.length, entrance.fps, entrance.frame_size, len(entrance)) == (1394, 12.0, (768, 432), 13575)
    assert (car_park.length, car_park.fps, car_park.frame_size, len(car_park)) == (377, 12.0, (768, 432), 11979)
    folder = Path(sys.modules[load_cameras.__module__].__file__ or "").parent
    attribution = (folder / "recordings/ATTRIBUTION.md").read_text()
    assert "Intel Corporation" in attribution
    assert "Creative Commons Attribution 4.0" in attribution
    assert "Apache-2.0" in attribution


def test_without_a_terminal_it_tells_what_happens_and_ends_with_figures_that_replay_confirms() -> None:
    done = subprocess.run(
        [*DEMO, "--frames", "250", "--speed", "max"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "COLUMNS": "120", "TERTIUM_LISTEN": "nonsense that is not meant for the demo's server"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    assert re.search(r"Metrics: http://127\.0\.0\.1:\d+/metrics", done.stdout)
    assert re.search(
        r"^ *\d+\.\d s  person \d+: NO → \w+  [\d.]+ % real is over [\d.]+ % after ", done.stdout, re.MULTILINE
    )
    assert "The server's own metrics counted 500 frames, " in done.stdout
    assert "The server drained and stopped." in done.stdout
    cameras = load_cameras(250)
    decided = [replay(camera.sequence, default_policy()) for camera in cameras]
    figures = [summarize(decisions, 1.0) for decisions in decided]
    assert row(done.stdout, "frames") == [250, 250]
    assert row(done.stdout, "boxes the detector drew") == [one.detections for one in figures]
    for verdict in ("YES", "MAYBE", "NO"):
        assert row(done.stdout, f"Tertium says {verdict}") == [one.verdicts[verdict] for one in figures]
    assert row(done.stdout, "tracks, candidates included") == [one.tracks for one in figures]
    strong = [int((camera.sequence.scores >= 0.5).sum()) for camera in cameras]
    assert row(done.stdout, "a threshold of 0.5 keeps") == strong
    ever = [set(one.track_ids[one.track_verdicts == 3].tolist()) for one in decided]
    assert row(done.stdout, "… that were ever YES") == [len(tracks) for tracks in ever]
    boxes = [
        sum(number in tracks for number in one.track_ids.tolist()) for one, tracks in zip(decided, ever, strict=True)
    ]
    assert row(done.stdout, "boxes of the YES tracks") == boxes


class Terminal:
    """A terminal in which the demo runs, and what it has drawn there."""

    def __init__(self, columns: int, lines: int, *arguments: str) -> None:
        self.process, self._file = pty.fork()
        if self.process == 0:  # the child: becomes the demo
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background, where tests may run, ignores it
            # A terminal's size is its own: pytest has loaded readline, which sets COLUMNS and LINES where Python does not see it, and other tests
            # may have set them where it does.
            environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
            os.execve(sys.executable, [*DEMO, *arguments], environment)
        os.set_blocking(self._file, False)
        self.text = ""
        self._raw = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves nothing behind, however the test went."""
        with contextlib.suppress(psutil.NoSuchProcess):
            demo = psutil.Process(self.process)
            for process in (demo, *demo.children(recursive=True)):
                process.kill()
            os.waitpid(self.process, 0)

    def press(self, key: bytes) -> None:
        os.write(self._file, key)

    def read(self) -> bool:
        """Takes in what has been drawn; False: nothing more will be."""
        select.select([self._file], [], [], 1.0)
        try:
            self._raw += os.read(self._file, 65536)
        except BlockingIOError:
            return True
        except OSError:  # how Linux says that the other side has closed a terminal
            return False
        self.text = self._raw.decode(errors="replace")
        return True

    def pictures(self) -> list[list[str]]:
        """What has been on the screen, whole pictures only, line by line."""
        drawn = self.text.partition("\x1b[?1049h")[2].split("\x1b[?1049l")[0].split("\x1b[H")[1:-1]
        return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", each).replace("\r", "").split("\n") for each in drawn]

    def wait_for_picture(self, *words: str) -> list[str]:
        """The first picture that shows all these words."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            assert self.read(), self.text
            for picture in self.pictures()[-5:]:
                if all(word in "\n".join(picture) for word in words):
                    return picture
        raise AssertionError(f"no picture shows {words}:\n{self.text}")

    def wait_for_the_end(self) -> int:
        """The exit code."""
        while self.read():
            pass
        _, status = os.waitpid(self.process, 0)
        os.close(self._file)
        return os.waitstatus_to_exitcode(status)


def _press_ctrl_c(terminal: Terminal) -> None:
    terminal.press(b"\x03")


def _terminate(terminal: Terminal) -> None:
    os.kill(terminal.process, signal.SIGTERM)


@pytest.mark.parametrize(("columns", "lines", "end"), [(80, 24, _press_ctrl_c), (120, 40, _terminate)])
def test_on_a_terminal_it_draws_a_screen_that_fits_and_can_be_ended_at_any_time_with_its_server(
    columns: int, lines: int, end: Callable[[Terminal], None]
) -> None:
    with Terminal(columns, lines, "--speed", "4") as terminal:
        words = ("Tertium judges", "Entrance", "Car park", "What happened, and why", "MAYBE", "/metrics", "evidence")
        picture = terminal.wait_for_picture(*words, " MAYBE → ")
        assert len(picture) <= lines
        assert max(len(line) for line in picture) == columns
        servers = psutil.Process(terminal.process).children()
        end(terminal)
        assert terminal.wait_for_the_end() == 130, terminal.text
        # What is left is an ordinary screen, with the figures so far.
        after = terminal.text.split("\x1b[?1049l")[1]
        assert "a threshold of 0.5 keeps" in after
        assert "The server drained and stopped." in after
        assert 0 < row(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", after).replace("\r", ""), "frames")[0] < 1394
        assert len(servers) == 1
        assert not any(server.is_running() for server in servers)


def is_gone(process: psutil.Process) -> bool:
    """Whether it runs no more; where nobody asks for the exit code of orphans, something of them stays."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def test_a_demo_that_is_killed_leaves_neither_its_server_nor_its_folder_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*DEMO, "--speed", "1"], stdout=subprocess.PIPE, text=True, env=environment) as demo:
        try:
            assert any("It serves on" in line for line in demo.stdout or ())
            [server] = psutil.Process(demo.pid).children()
            [folder] = tmp_path.iterdir()
        finally:
            demo.kill()
    try:
        wait_until(lambda: is_gone(server), "the end of a server whose demo was killed")
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.kill()
    assert not folder.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("words", [["--version"], ["demo", "--frames", "1"]], ids=["at the end", "on the way"])
def test_an_output_that_is_full_is_told_in_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "tertium_server.cli", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "tertium: No space left on device: not all was written; make room, or write elsewhere\n"


def test_an_output_that_is_closed_takes_what_is_written() -> None:
    command = ["sh", "-c", '"$0" -m tertium_server.cli --version >&-', sys.executable]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_server_that_says_nothing_is_told_with_where_it_was_to_write(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "true")
    with pytest.raises(StartError, match=rf"nothing. Its folder {tmp_path}/\S+ has room for [\d,]+ bytes; TMPDIR"):
        DemoServer([], []).__enter__()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(StartError, match="no place for its server's data: No such file or directory; name one"):
        DemoServer([], [])


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "1e9"])
def test_a_speed_that_is_none_is_told_in_one_line(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    assert run(["demo", f"--speed={speed}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"tertium: --speed {speed}: give a number above 0 and up to 1000, or max"
