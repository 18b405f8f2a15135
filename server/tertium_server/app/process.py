"""The process of a server: its signals, and the code it exits with."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

import uvloop

from tertium_server.app.scheduling import hand_over_soon, schedule_threads
from tertium_server.app.service import Service
from tertium_server.config import Settings, load_settings
from tertium_server.errors import StartError
from tertium_server.logs import configure_logs, get_logger

EXIT_OK = 0
EXIT_BAD_START = 2
_YOUNG_OBJECTS = 20_000
"""New objects before the garbage collector looks at them. By Python's 700 it looks every few dozen messages, and finds nothing: that took a twentieth
of the time that a message's way through the service takes."""


def main() -> int:
    """The server with the settings of environment and file."""
    try:
        settings = load_settings()
    except StartError as error:
        return _complain(error)
    return run(settings)


def run(settings: Settings) -> int:
    """Runs the server until SIGTERM or SIGINT; returns the exit code. A second signal ends it at once."""
    configure_logs(settings.log_level, settings.log_format)
    schedule_threads(settings.scheduling)
    hand_over_soon()
    try:
        return uvloop.run(_run(settings))
    except StartError as error:
        return _complain(error)


def _complain(error: StartError) -> int:
    print(f"tertium: {error}", file=sys.stderr)  # noqa: T201 - for the person who typed the command; no log line
    return EXIT_BAD_START


async def _run(settings: Settings) -> int:
    service = Service(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stopping.is_set():
            get_logger("server").warning("second signal: stopping at once", signal=signal.Signals(number).name)
            os._exit(128 + number)
        stopping.set()

    tasks: set[asyncio.Task[None]] = set()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)

    def on_hangup() -> None:
        task = loop.create_task(service.look_for_policies())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    starting = asyncio.create_task(service.start())
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
    # Kernels that compile can't be interrupted; whoever is in a hurry signals twice.
    await starting
    # What exists now stays for good: the garbage collector need not look at it ever again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
    await stop
    await service.stop()
    return EXIT_OK
