"""The demo as people run it: the real command, the real server, the real client."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

from tertium_server.cli.application import run
from tertium_server.demo.cameras import load_cameras
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


def _heed_interrupts() -> None:
    """What a shell runs in the background, these tests maybe, ignores SIGINT, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_ended_at_any_time_and_takes_its_server_with_it(tmp_path: Path, number: signal.Signals) -> None:
    output = tmp_path / "output"
    with (
        output.open("wb") as file,
        subprocess.Popen(
            [*DEMO, "--speed", "1"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509  # it runs no Python of ours but that one call
        ) as demo,
    ):
        try:
            wait_until(lambda: "frames judged" in output.read_text() or demo.poll() is not None, "frames")
            servers = psutil.Process(demo.pid).children()
            demo.send_signal(number)
            assert demo.wait(PATIENCE) == 130
        finally:
            demo.kill()
    text = output.read_text()
    assert "The server drained and stopped." in text
    assert 0 < row(text, "frames")[0] < 1394
    assert len(servers) == 1
    assert not any(server.is_running() for server in servers)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 40)])
def test_on_a_terminal_it_draws_a_screen_that_fits(columns: int, lines: int) -> None:
    process, terminal = pty.fork()
    if process == 0:  # the child: becomes the demo
        os.execv(sys.executable, [*DEMO, "--frames", "100", "--speed", "8"])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    os.set_blocking(terminal, False)
    seen = b""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        select.select([terminal], [], [], 1.0)
        try:
            part = os.read(terminal, 65536)
        except BlockingIOError:
            continue
        except OSError:  # how Linux says that the other side has closed a terminal
            break
        seen += part
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    text = seen.decode()
    assert os.waitstatus_to_exitcode(status) == 0, text
    assert "\x1b[?1049h" in text, "the screen is an alternate one"
    pictures = text.split("\x1b[?1049h")[1].split("\x1b[?1049l")[0].split("\x1b[H")
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", pictures[-1]).replace("\r", "").split("\n")
    assert len(last) <= lines
    assert max(len(line) for line in last) <= columns
    shown = "\n".join(last)
    for words in ("Tertium judges", "Entrance", "Car park", "What happened, and why", "MAYBE", "/metrics", "evidence"):
        assert words in shown
    assert "a threshold of 0.5 keeps" in text.split("\x1b[?1049l")[1]


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "1e9"])
def test_a_speed_that_is_none_is_told_in_one_line(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    assert run(["demo", f"--speed={speed}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"tertium: --speed {speed}: give a number above 0 and up to 1000, or max"
