"""The runbook: what to do when an alert goes off. For whoever can reach the server; it says nothing about it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tertium_server.web.door import as_json, static_file

_FILES = {"": "runbook.html", **{name: name for name in ("runbook.css", "page.css", "icon.svg")}}


def runbook_routes() -> list[Route]:
    """The page's routes, for a Starlette application."""
    return [Route("/runbook", _show, methods=["GET"]), Route("/runbook/{file}", _show, methods=["GET"])]


async def _show(request: Request) -> Response:
    found = _FILES.get(request.path_params.get("file", ""))
    return as_json({"error": "there is no such page"}, 404) if found is None else static_file(found)
