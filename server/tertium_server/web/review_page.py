"""The review page and what it asks for: JSON over HTTP, for one reviewer at a time who shows who they are with each request."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tertium_server.errors import InvalidRequestError, RequestError
from tertium_server.review.access import Caller, Gate, Role
from tertium_server.review.department import ReviewDepartment
from tertium_server.review.errors import CaseNotFoundError
from tertium_server.review.gold import disguised, shown_times
from tertium_server.review.reading import has_voted, queue_state, votes_of
from tertium_server.review.values import MICROS, Answer, Case, Lease, Source, now_micros
from tertium_server.web.door import HEADERS, SHARED_FILES, Door, as_json, static_file

_HOUR = 3600 * MICROS
_MOST_BODY = 4096
_MOST_LEASES = 4
_FILES = {"": "review.html", **{name: name for name in ("review.js", "review.css", "icon.svg", *SHARED_FILES)}}

Action = Callable[[Caller, dict[str, Any]], Any]


class ReviewPages:
    """The page's routes. ``proxy_header``: what a trusted proxy names the reviewer in; None: there is none."""

    def __init__(self, department: ReviewDepartment, gate: Gate, proxy_header: str | None) -> None:
        self._department = department
        self._office = department.office
        self._door = Door(gate, proxy_header)

    def routes(self) -> list[Route]:
        """All routes of the page, for a Starlette application."""
        actions: dict[str, Action] = {
            "state": self._state,
            "lease": self._lease,
            "renew": self._renew,
            "release": self._release,
            "vote": self._vote,
            "undo": self._undo,
            "look": self._look,
        }
        routes = [
            Route(f"/review/api/{name}", self._endpoint(action), methods=["POST"]) for name, action in actions.items()
        ]
        routes.append(Route("/review/api/cases/{case}/pictures/{frame:int}", self._picture, methods=["GET"]))
        routes.append(Route("/review/nudge/{tool}", self._nudge, methods=["POST"]))
        routes.append(Route("/review", self._file, methods=["GET"]))
        routes.append(Route("/review/{file}", self._file, methods=["GET"]))
        return routes

    # ------------------------------------------------------------------ HTTP

    def _endpoint(self, action: Action) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                caller = self._door.identify(request)
                body = await _read_body(request)
                return as_json(await run_in_threadpool(action, caller, body))
            except Exception as error:  # noqa: BLE001 - one table says what the page is told
                return self._door.refuse(error)

        return endpoint

    async def _picture(self, request: Request) -> Response:
        try:
            caller = self._door.identify(request)
            caller.require(Role.REVIEW)
            name, frame = request.path_params["case"], request.path_params["frame"]
            data = await run_in_threadpool(self._bytes_of, name, frame)
        except Exception as error:  # noqa: BLE001 - as above
            return self._door.refuse(error)
        return Response(data, media_type="image/jpeg", headers=HEADERS)

    async def _nudge(self, request: Request) -> Response:
        """A labelling tool's webhook: something has changed there. What, the bridge finds out by itself, for webhooks get lost."""
        try:
            self._door.identify_token(request).require(Role.REVIEW)
        except RequestError as error:
            return self._door.refuse(error)
        bridges = [each for each in self._department.bridges if each.name == request.path_params["tool"]]
        for bridge in bridges:
            bridge.nudge()
        return Response(status_code=204 if bridges else 404, headers=HEADERS)

    async def _file(self, request: Request) -> Response:
        found = _FILES.get(request.path_params.get("file", ""))
        if found is None:
            return as_json({"error": "there is no such page"}, 404)
        return static_file(found)

    # ------------------------------------------------------------------ actions

    def _state(self, caller: Caller, _: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        now = now_micros()
        with self._department.store.read() as connection:
            queue = queue_state(connection, now)
            hour, day = (votes_of(connection, caller.name, now - span) for span in (_HOUR, 24 * _HOUR))
        return {"name": caller.name, "waiting": queue.waiting, "leased": queue.leased, "hour": hour, "day": day}

    def _lease(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        count = min(max(_number(body, "count") or 1, 1), _MOST_LEASES)
        return {"leases": [self._leased(lease) for lease in self._office.lease(caller.name, count)]}

    def _renew(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        return {"expires": self._office.renew(_text(body, "case"), caller.name, _text(body, "token"))}

    def _release(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        return {"released": self._office.release(_text(body, "case"), caller.name, _text(body, "token"))}

    def _vote(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        answers = {answer.value: answer for answer in Answer}
        answer = answers.get(_text(body, "answer"))
        if answer is None:
            raise InvalidRequestError.of("answer", f"has to be one of {', '.join(answers)}")
        name, missed = _text(body, "case"), _number(body, "missed")
        outcome = self._office.vote(name, caller.name, _text(body, "token"), answer, origin="page", missed=missed)
        seen = disguised(outcome.case, answer)
        return {"fenced": outcome.fenced, "late": outcome.late, "revealed": self._revealed(seen, caller)}

    def _undo(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        lease = self._office.undo(_text(body, "case"), caller.name)
        return {"lease": None if lease is None else self._leased(lease)}

    def _look(self, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
        caller.require(Role.REVIEW)
        return {"pictures": self._pictures_of(_text(body, "case"))}

    def _pictures_of(self, name: str) -> list[dict[str, Any]]:
        return [
            {"frame": each.frame_index, "width": each.width, "height": each.height, "crop": list(each.crop)}
            for each in self._department.gallery.pictures(name)
        ]

    def _leased(self, lease: Lease) -> dict[str, Any]:
        """A case as it may be seen before the vote: boxes and pictures, and nothing of what the machine thinks."""
        case = lease.case
        footage = self._department.gallery.footage(case.id)
        return {
            "case": case.id,
            "token": lease.token,
            "expires": lease.expires_at,
            "class_name": case.class_name,
            "stream_id": case.stream_id,
            "deadline": shown_times(case, now_micros())[1],
            "whole_frame": case.source is Source.FRAME_AUDIT,
            "frame_width": footage.frame_width,
            "frame_height": footage.frame_height,
            "frames": [[frame.index, *frame.box] for frame in footage.frames],
            "pictures": self._pictures_of(case.id),
        }

    def _revealed(self, case: Case, caller: Caller) -> dict[str, Any]:
        """What was hidden before the vote. Nothing as long as the vote does not stand."""
        with self._department.store.read() as connection:
            if not has_voted(connection, case.id, caller.name):
                return {}
        footage = self._department.gallery.footage(case.id)
        if case.source is Source.FRAME_AUDIT:
            return {"source": case.source.value, "state": case.state.value}
        return {
            "source": case.source.value,
            "machine": case.machine_verdict.value,
            "probability": case.probability,
            "state": case.state.value,
            "yes": footage.yes,
            "no": footage.no,
            "curve": [[frame.index, frame.probability] for frame in footage.frames],
            "levels": [[level.index, level.fast, level.slow, level.probability] for level in footage.levels],
        }

    def _bytes_of(self, name: str, frame: int) -> bytes:
        gallery = self._department.gallery
        picture = next((each for each in gallery.pictures(name) if each.frame_index == frame), None)
        data = None if picture is None else gallery.bytes_of(picture)
        if data is None:
            raise CaseNotFoundError(f"{name}/{frame}")
        return data


async def _read_body(request: Request) -> dict[str, Any]:
    """The JSON object that a request holds.

    Raises:
        InvalidRequestError: It holds none, or too large a one.
    """
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > _MOST_BODY:
            raise InvalidRequestError.of("", f"a request has at most {_MOST_BODY} bytes")
    try:
        body = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError.of("", "the request is no JSON") from error
    if not isinstance(body, dict):
        raise InvalidRequestError.of("", "the request is no JSON object")
    return body


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidRequestError.of(name, "is missing")
    if not (value.isascii() and value.isprintable()):  # half a character, or none: no store takes it
        raise InvalidRequestError.of(name, "is none of those that were given out")
    return value


def _number(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidRequestError.of(name, "has to be a whole number")
    return value
