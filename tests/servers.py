"""The real server as a process of its own, for tests that kill it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import urlopen

PATIENCE = 300.0
"""Seconds for anything that has to happen sooner or later, kernels that compile on a busy machine among it."""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Waits for something that must happen."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.02)


class ServerProcess:
    """`tertium serve` on a data folder and a free port, which it keeps when it is started again; with more options where they are given."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None
        self.metrics = ""
        """HOST:PORT of the metrics."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self._listen

    def start(self) -> None:
        """Starts it and waits until it serves. Somebody may have been given its port while it was away; then it waits for that, too."""
        log = self._folder / "server.log"
        for _ in range(20):
            said_before = log.stat().st_size if log.exists() else 0
            if self._serves():
                return
            said = log.read_text()[said_before:]
            assert self.metrics, said
            assert "can't listen there" in said, said
        raise AssertionError(f"{self._listen} does not become free")

    def _serves(self) -> bool:
        """Starts it; False: it has ended by itself."""
        addresses = self._folder / "data/server.json"
        addresses.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tertium_server.cli", "serve", "--listen", self._listen, *self._options]
        with (self._folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--metrics-port", "0", "--data-dir", str(self._folder / "data")], stdout=log, stderr=log
            )
        self._process = process
        wait_until(lambda: addresses.exists() or process.poll() is not None, "server.json")
        if process.poll() is not None:
            return False
        written = json.loads(addresses.read_text())
        self._listen, self.metrics = written["listen"], written["metrics"]
        return True

    def end(self, number: signal.Signals) -> int:
        """Sends it a signal and waits for its end; the exit code."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self._process.wait(PATIENCE)

    def read(self, metric: str) -> float:
        """The sum of a metric over its labels."""
        with urlopen(f"http://{self.metrics}/metrics") as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def _kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)
