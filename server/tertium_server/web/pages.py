"""/metrics, /healthz, /readyz and /runbook; and /, which leads to the page for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tertium_server.web.exposition import Exposition
from tertium_server.web.readiness import Readiness
from tertium_server.web.runbook_page import runbook_routes

_OK = 200
_UNAVAILABLE = 503
_NOT_FOUND = 404
_OVERSIGHT = ("/review", "/live")
"""Pages that a server has unless it was started without review."""
_NO_REVIEW = """\
This server was started with --no-review (TERTIUM_REVIEW=false): it puts no cases before people and estimates nothing.
For {page}, start it without that, or open the page of a server that has it.
"""


def make_pages(
    registry: CollectorRegistry, readiness: Callable[[], Readiness], others: Sequence[Route] = ()
) -> Starlette:
    """The application. ``readiness`` is asked anew for each request, from the web server's thread. ``others``: routes of further pages."""
    exposition = Exposition(registry)

    def metrics(request: Request) -> Response:
        text, content_type = exposition.write(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_: Request) -> Response:
        state = readiness()
        return JSONResponse(state.to_json(), _OK if state.ready else _UNAVAILABLE)

    paths = {route.path for route in others}

    def root(_: Request) -> Response:
        return RedirectResponse("/live" if "/live" in paths else "/runbook")

    # Plain functions run in a thread pool: a scrape of many streams keeps no health check waiting.
    own = [Route("/", root), Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]
    absent = [route for page in _OVERSIGHT if page not in paths for route in _absent(page)]
    return Starlette(routes=[*own, *runbook_routes(paths), *others, *absent])


def _absent(page: str) -> list[Route]:
    """In place of a page that this server does without: why it does, and what to do."""

    def explain(_: Request) -> Response:
        return PlainTextResponse(_NO_REVIEW.format(page=page), _NOT_FOUND)

    return [Route(path, explain, methods=["GET", "POST"]) for path in (page, f"{page}/{{rest:path}}")]
