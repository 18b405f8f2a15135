"""The demo's server: that of `tertium serve` as a process of its own, with its built-in policy, on free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tertium_server.errors import StartError

_PATIENCE = 300.0
"""Seconds until it serves. Kernels take a minute to compile on a slow machine, the first time."""

_DRAIN = 15.0
"""Seconds for its orderly end."""

_LOG_LINES = 5


class DemoServer:
    """The server while the demo runs: `with DemoServer(...) as server`."""

    def __init__(self, groups: Iterable[str], classes: Iterable[str]) -> None:
        self._names = {"TERTIUM_GROUPS": ",".join(groups), "TERTIUM_CLASSES": ",".join(classes)}
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="tertium-demo-")
        except OSError as error:
            raise StartError(
                f"the demo has no place for its server's data: {error.strerror}; name one with TMPDIR"
            ) from error
        self._process: subprocess.Popen[bytes] | None = None
        self.listen = ""
        """HOST:PORT of gRPC."""
        self.metrics = ""
        """HOST:PORT of the metrics."""
        self.drained = False
        """Whether it ended in order."""

    def __enter__(self) -> Self:
        path = Path(self._folder.name)
        # Whatever the person has set up for a server of their own is not meant for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TERTIUM_")}
        environment |= {"TERTIUM_LISTEN": "127.0.0.1:0", "TERTIUM_METRICS_PORT": "0", **self._names}
        environment["TERTIUM_DATA_DIR"] = str(path / "data")
        try:
            with (path / "log").open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603  # our own command
                    [sys.executable, "-m", "tertium_server.demo.child", str(path)],
                    stdin=subprocess.PIPE,  # closed when this process is gone, however it went: child.py waits for that
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the demo, which then ends the server in order
                )
            self._wait(path / "data/server.json", self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def review(self) -> str:
        """Address of the review page, with the token that signs in."""
        token = (Path(self._folder.name) / "data/review-token").read_text("ascii").strip()
        return f"http://{self.metrics}/review#token={token}"

    def log(self) -> str:
        """The last lines of what it logged."""
        lines = (Path(self._folder.name) / "log").read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])

    def _nothing(self) -> str:
        """Why a server may have said nothing."""
        free = shutil.disk_usage(self._folder.name).free
        return f"nothing. Its folder {self._folder.name} has room for {free:,} bytes; TMPDIR names another place"

    def _wait(self, addresses: Path, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + _PATIENCE
        while not addresses.exists():
            if process.poll() is not None:
                raise StartError(f"the demo's server ended at once; it said:\n{self.log() or self._nothing()}")
            if time.monotonic() > until:
                raise StartError(f"the demo's server did not serve within {_PATIENCE:.0f} s; it said:\n{self.log()}")
            time.sleep(0.05)
        written = json.loads(addresses.read_text("utf-8"))
        self.listen, self.metrics = written["listen"], written["metrics"]

    def _stop(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                self.drained = process.wait(_DRAIN) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process is not None and process.stdin is not None:
            process.stdin.close()
        self._folder.cleanup()
