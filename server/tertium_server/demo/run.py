"""The demo from start to end."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from types import FrameType

from rich.console import Console
from rich.live import Live

import tertium_client
from tertium_client import Client
from tertium_server.errors import TertiumError

from .board import Board, CameraBoard
from .cameras import load_cameras
from .feed import Pace, play
from .gauges import Gauges
from .server import DemoServer
from .summary import summarize
from .view import Screen, describe, is_minor

_REFRESH = 8
"""Pictures a second."""

_PROGRESS_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal."""


class DemoError(TertiumError):
    """The demo can't go on."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    speed: float | None
    """Times real time; None: as fast as it goes."""

    frames: int | None
    """Frames of each camera; None: all."""


def run_demo(options: DemoOptions, console: Console) -> bool:
    """Runs the demo; whether it came to its end (else Ctrl-C ended it).

    Raises:
        StartError: the server did not start.
        DemoError: the play broke off.
    """
    cameras = load_cameras(options.frames)
    stop = threading.Event()
    board = Board(cameras)
    console.print(
        f"Starting a Tertium server for {len(cameras)} recorded cameras "
        "(the first start compiles the engine, which takes a minute) …"
    )
    server = DemoServer([camera.group for camera in cameras], [camera.class_name for camera in cameras])
    finished = True
    with _terminable(), server:
        console.print(f"It serves on {server.listen}. Metrics: http://{server.metrics}/metrics")
        console.print(f"Tracks in doubt wait for you, as long as this runs: {server.review}", soft_wrap=True)
        with Client(server.listen) as client, Gauges(server.metrics) as gauges:
            players = _Players(client, board, Pace(options.speed, stop))
            try:
                _watch(console, players, board, gauges, options)
            except KeyboardInterrupt:
                finished = False
                stop.set()
            players.end(server)
            counted = gauges.read()
    console.print(summarize(board))
    console.print(
        f"The server's own metrics counted {counted.frames:,} frames, {counted.milliseconds:.2f} ms a message."
    )
    console.print(
        "The server drained and stopped." if server.drained else "[red]The server did not stop in order.[/red]"
    )
    return finished


class _Players:
    """A thread for each camera."""

    def __init__(self, client: Client, board: Board, pace: Pace) -> None:
        self._client = client
        self._board = board
        self._pace = pace
        self._errors: list[tuple[str, Exception]] = []
        self._threads = [
            threading.Thread(target=self._play, args=(camera,), name=camera.camera.name, daemon=True)
            for camera in board.cameras
        ]
        for thread in self._threads:
            thread.start()

    def _play(self, camera: CameraBoard) -> None:
        try:
            play(self._client, self._board, camera, self._pace)
        except Exception as error:  # noqa: BLE001 - kept for end(): in a thread, nobody else would hear of it
            self._errors.append((camera.camera.name, error))
            self._pace.stop.set()

    @property
    def playing(self) -> bool:
        """Whether any camera still plays."""
        return any(thread.is_alive() for thread in self._threads)

    def end(self, server: DemoServer) -> None:
        """Waits for the end and raises what went wrong."""
        for thread in self._threads:
            thread.join()
        if self._errors:
            name, error = self._errors[0]
            if not isinstance(error, tertium_client.TertiumError):
                raise error  # no refusal: an error of ours
            raise DemoError(f"camera {name}: {error}\nthe server's last words: {server.log()}")


def _watch(console: Console, players: _Players, board: Board, gauges: Gauges, options: DemoOptions) -> None:
    if console.is_terminal and not console.is_dumb_terminal:
        pace = "full speed" if options.speed is None else f"{options.speed:g}× real time"
        with Live(Screen(board, gauges, pace), console=console, screen=True, refresh_per_second=_REFRESH):
            while players.playing:
                time.sleep(1 / _REFRESH)
        return
    _print_plainly(console, players, board)


def _print_plainly(console: Console, players: _Players, board: Board) -> None:
    """Lines for logs: verdicts that changed, and now and then how far it is."""
    told = 0
    due = time.monotonic() + _PROGRESS_EVERY
    playing = True
    while playing:
        playing = players.playing
        with board.lock:
            new = list(board.happenings)[-(board.happened - told) :] if board.happened > told else []
            missed = board.happened - told - len(new)
            told = board.happened
            progress = ", ".join(f"{camera.camera.name} {camera.frames:,}" for camera in board.cameras)
        if missed:
            console.print(f"… {missed:,} events more …")
        for happening in new:
            if not is_minor(happening):
                console.print(describe(happening, wide=True), soft_wrap=True)
        if time.monotonic() > due or not playing:
            due += _PROGRESS_EVERY
            console.print(f"frames judged: {progress}", soft_wrap=True)
        if playing:
            time.sleep(0.2)


@contextlib.contextmanager
def _terminable() -> Generator[None]:
    """SIGTERM ends the demo as Ctrl-C does: its server must not outlive it."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
