"""What all pages for people share: who asks, what a refusal looks like, and headers that keep a page to itself."""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tertium_server.errors import DeniedError, RequestError, UnauthenticatedError
from tertium_server.logs import get_logger
from tertium_server.review.access import Caller, Gate, Role
from tertium_server.review.errors import CaseNotFoundError, NothingToUndoError, VotedAlreadyError
from tertium_server.storage import StoreUnavailableError

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
SHARED_FILES = ("session.js", "page.css")
"""Files that all pages have, each under its own address."""

_MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_STATUS: dict[type[Exception], int] = {
    UnauthenticatedError: 401,
    DeniedError: 403,
    CaseNotFoundError: 404,
    VotedAlreadyError: 409,
    NothingToUndoError: 409,
    RequestError: 400,
    StoreUnavailableError: 503,
    OSError: 503,
}
_INTERNAL = 500


class Door:
    """Lets people in by their token. ``proxy_header``: what a trusted proxy names them in; None: there is none."""

    def __init__(self, gate: Gate, proxy_header: str | None) -> None:
        self._gate = gate
        self._proxy_header = proxy_header
        self._log = get_logger("web")

    def identify(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            UnauthenticatedError: They do not show it.
        """
        # Set by our pages only: no other site's form can send it, nor its script without being asked beforehand.
        if request.method == "POST" and request.headers.get("x-tertium") != "1":
            raise UnauthenticatedError("the header X-Tertium: 1 is missing")
        if self._proxy_header is not None and (name := request.headers.get(self._proxy_header)):
            return Caller(name[:256], frozenset({Role.REVIEW}))
        return self.identify_token(request)

    def identify_token(self, request: Request) -> Caller:
        """Who asks, by their token alone: for programs.

        Raises:
            UnauthenticatedError: It is missing, or nobody's.
        """
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return self._gate.identify(token if kind.lower() == "bearer" else "")

    def refuse(self, error: Exception) -> Response:
        """What the page is told of an error."""
        status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), _INTERNAL)
        if status == _INTERNAL:
            self._log.error("internal error", exc_info=error)
            return as_json({"error": "internal error; the server's log has more"}, status)
        return as_json({"error": str(error)}, status)


def as_json(content: object, status: int = 200) -> JSONResponse:
    """A response."""
    return JSONResponse(content, status, headers=HEADERS)


def read_static(name: str) -> bytes:
    """A file of the package's."""
    return resources.files("tertium_server.web").joinpath("static", name).read_bytes()


def static_file(name: str, content: bytes | None = None) -> Response:
    """A file of the package's; ``name`` is never what somebody asked for, but what the page has for it. ``content``: in place of the file's own."""
    media_type = _MEDIA_TYPES[name[name.rindex(".") :]]
    charset = "" if media_type.startswith("image") else "; charset=utf-8"
    return Response(
        read_static(name) if content is None else content, headers=HEADERS | {"content-type": media_type + charset}
    )
