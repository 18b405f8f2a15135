"""The demo's server as a process: it ends with the demo that started it, in whatever way that ends.

Its standard input is a pipe that the demo holds open and never writes to. When the demo is gone, killed even, the system closes the pipe; the server
then stops as if told to, and takes the folder with it that the demo could not remove. Its settings come as environment variables.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn


def main() -> int:
    """``python -m tertium_server.demo.child FOLDER``: the server, until it is told to stop or the demo is gone."""
    orphaned = threading.Event()
    signal.signal(signal.SIGTERM, _leave)  # the server, once it runs, has a better way to end
    threading.Thread(target=_watch, args=(orphaned,), name="demo-watch", daemon=True).start()
    try:
        from tertium_server import app  # noqa: PLC0415  # slow to load: the demo may be gone before

        return app.main()
    finally:
        if orphaned.is_set():
            shutil.rmtree(sys.argv[1], ignore_errors=True)  # a file that can't be removed is nobody's concern any more


def _watch(orphaned: threading.Event) -> None:
    """Waits for the pipe's end."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    orphaned.set()
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
