"""The web server, in a thread with a loop of its own: a slow page or scrape must not hold up frames."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import uvicorn
from starlette.applications import Starlette

from tertium_server.errors import StartError

_STOP_SECONDS = 5.0


class WebServer:
    """Serves an application from ``start`` to ``stop``."""

    def __init__(self, application: Starlette, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            server_header=False,
        )
        self._server = uvicorn.Server(config)
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="tertium-web", daemon=True)

    def start(self) -> str:
        """Listens and serves; returns HOST:PORT.

        Raises:
            StartError: The address can't be listened on.
        """
        try:
            self._socket = socket.create_server((self._host, self._port), family=_family(self._host))
        except OSError as error:
            raise StartError(
                f"--metrics-port {self._port} (on {self._host}): can't listen there: {_reason(error)}; name another port, or 0 for any"
            ) from error
        self._thread.start()
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._socket.getsockname()[1]}"

    def stop(self) -> None:
        """Ends the thread; open requests get a moment to finish."""
        if self._thread.is_alive():
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
        if self._socket is not None:
            self._socket.close()

    def _run(self) -> None:
        if self._socket is None:  # start() has made it
            raise RuntimeError("the web server's thread was started without a socket")
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _reason(error: OSError) -> str:
    """What the system says. Python adds the address, which is named already."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
