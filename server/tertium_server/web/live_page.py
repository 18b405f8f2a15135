"""The live page: streams, verdicts, queue, and precision and recall with their intervals, for whoever may review."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tertium_server.review.access import Role
from tertium_server.web.door import SHARED_FILES, Door, as_json, static_file
from tertium_server.web.live_figures import LiveFigures

_FILES = {"": "live.html", **{name: name for name in ("live.js", "live.css", *SHARED_FILES)}}


class LivePages:
    """The page's routes."""

    def __init__(self, figures: LiveFigures, door: Door) -> None:
        self._figures = figures
        self._door = door

    def routes(self) -> list[Route]:
        """All routes of the page, for a Starlette application."""
        return [
            Route("/live", self._file, methods=["GET"]),
            Route("/live/api/figures", self._show, methods=["POST"]),
            Route("/live/{file}", self._file, methods=["GET"]),
        ]

    async def _show(self, request: Request) -> Response:
        try:
            self._door.identify(request).require(Role.REVIEW)
            return as_json(await run_in_threadpool(self._figures.to_json))
        except Exception as error:  # noqa: BLE001 - one table says what the page is told
            return self._door.refuse(error)

    async def _file(self, request: Request) -> Response:
        found = _FILES.get(request.path_params.get("file", ""))
        if found is None:
            return as_json({"error": "there is no such page"}, 404)
        return static_file(found)
