"""The runbook: what to do when an alert goes off. For whoever can reach the server; it says nothing about it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tertium_server.web.door import as_json, read_static, static_file

_FILES = ("runbook.css", "page.css", "icon.svg")
_OTHERS = {"/live": "Live", "/review": "Review"}
_OTHERS_HERE = "<!-- other pages -->"
"""Where the page has its links to those: deploy/runbook.py, which writes it, does not know which there are."""


def runbook_routes(pages: Iterable[str]) -> list[Route]:
    """The page's routes, for a Starlette application. ``pages``: paths of this server's other pages, of which it links to those for people."""
    there = set(pages)
    links = "".join(f'<a href="{path}">{name}</a>' for path, name in _OTHERS.items() if path in there)

    async def show(_: Request) -> Response:
        return static_file("runbook.html", read_static("runbook.html").replace(_OTHERS_HERE.encode(), links.encode()))

    return [Route("/runbook", show, methods=["GET"]), Route("/runbook/{file}", _file, methods=["GET"])]


async def _file(request: Request) -> Response:
    found = request.path_params["file"]
    return static_file(found) if found in _FILES else as_json({"error": "there is no such page"}, 404)
