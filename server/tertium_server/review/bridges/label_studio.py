"""Label Studio over HTTP (tested with 1.23): push, find, poll, withdraw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

import httpx

from tertium_server.errors import ConfigurationError
from tertium_server.review.bridges.label_studio_task import TITLE, answer_of, project_body, task_body
from tertium_server.review.bridges.tool import Changes, Task, TaskAnswers, ToolError

NAME = "label-studio"
_TIMEOUT_SECONDS = 30.0
_PAGE = 100
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
"""Datetimes in filters: any other form of the zone, +00:00 say, is answered with 500."""
_OVERLAP = timedelta(seconds=2)
"""Changes are asked for from a little before the last one: others of that moment may have been under way. A repeat changes nothing."""
_JWT_DOTS = 2
_UNAUTHORIZED, _NOT_FOUND = 401, 404
_MOST_PAGES = 10_000
_TOKENS = (
    "take a personal access token, or have Label Studio take legacy tokens (--enable-legacy-api-token, "
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN=true)"
)


@dataclass(frozen=True, slots=True)
class LabelStudioSettings:
    """Which project of which server."""

    url: str
    token: str
    """A personal access token, or a legacy one."""
    project: int | None = None
    """None: the one that is named for Tertium, made where there is none."""


class LabelStudio:
    """A project as a labelling tool. Used by one thread."""

    name = NAME

    def __init__(self, settings: LabelStudioSettings) -> None:
        try:
            url = httpx.URL(settings.url)
        except httpx.InvalidURL as error:
            raise ConfigurationError("--label-studio", settings.url, str(error), "write https://HOST") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise ConfigurationError("--label-studio", settings.url, "is no address of HTTP", "write https://HOST")
        self._token = settings.token
        self._project = settings.project
        # Redirects are not followed: the token is for this address.
        self._client = httpx.Client(
            base_url=settings.url.rstrip("/") + "/", timeout=_TIMEOUT_SECONDS, follow_redirects=False
        )
        self._access = "" if _is_personal(settings.token) else f"Token {settings.token}"

    def push(self, task: Task) -> str:
        """Imports one task."""
        answer = self._call(
            "POST",
            f"api/projects/{self._project_id()}/import",
            params={"return_task_ids": "true"},
            content=json.dumps([task_body(task)]),
        )
        ids = answer.get("task_ids") if isinstance(answer, dict) else None
        if not _is_list(ids) or len(ids) != 1:
            raise ToolError("Label Studio did not say which task it made; it is looked for the next time")
        return str(ids[0])

    def find(self, case_id: str) -> str | None:
        """The task whose data name the case; of several the first."""
        tasks = list(self._tasks(_filter("filter:tasks:data.case_id", "equal", "String", case_id)))
        return str(min(task["id"] for task in tasks)) if tasks else None

    def changes(self, since: str) -> Changes:
        """Tasks that were changed after a moment, with all that stands on them."""
        query = _filter("filter:tasks:updated_at", "greater", "Datetime", since) if since else None
        tasks, newest = [], since
        for task in self._tasks(query):
            tasks.append(_answers(task))
            newest = max(newest, _cursor(task["updated_at"]))
        return Changes([task for task in tasks if task is not None], newest)

    def answers(self, external_id: str) -> TaskAnswers | None:
        """What stands on one task."""
        try:
            return _answers(self._call("GET", f"api/tasks/{int(external_id)}"))
        except _GoneError:
            return None

    def withdraw(self, external_id: str) -> None:
        """Deletes a task."""
        try:
            self._call("DELETE", f"api/tasks/{int(external_id)}")
        except _GoneError:
            return

    def close(self) -> None:
        """Closes connections."""
        self._client.close()

    # ------------------------------------------------------------------ the project

    def _project_id(self) -> int:
        """The project, found or made."""
        if self._project is None:
            self._project = self._find_project() or int(self._call("POST", "api/projects", json=project_body())["id"])
        return self._project

    def _find_project(self) -> int | None:
        page = self._call("GET", "api/projects", params={"title": TITLE, "page_size": str(_PAGE)})
        found = [project["id"] for project in page["results"] if project["title"] == TITLE]
        return min(found, default=None)

    # ------------------------------------------------------------------ HTTP

    def _tasks(self, query: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """Tasks page by page, in an order that no answer changes: one moved behind the others while pages are read would hide another."""
        asked = {"ordering": ["tasks:id"]} | ({} if query is None else query)
        for number in range(1, _MOST_PAGES):
            parameters = {
                "project": str(self._project_id()), "page": str(number), "page_size": str(_PAGE), "fields": "all",
                "query": json.dumps(asked),
            }  # fmt: skip
            page = self._call("GET", "api/tasks", params=parameters)
            yield from page["tasks"]
            if number * _PAGE >= page["total"]:
                return

    def _call(self, method: str, path: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """An answer's JSON.

        Raises:
            ToolError: Label Studio is away, or refused it.
        """
        if not self._access:
            self._refresh()
        response = self._send(method, path, **arguments)
        if response.status_code == _UNAUTHORIZED and _is_personal(self._token):
            self._refresh()  # access tokens live for minutes
            response = self._send(method, path, **arguments)
        return _read(response, f"{method} /{path}")

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        headers = {"authorization": self._access, "content-type": "application/json"}
        try:
            return self._client.request(method, path, headers=headers, **arguments)
        except httpx.HTTPError as error:
            raise ToolError(f"Label Studio can't be reached: {type(error).__name__}: {error}") from error

    def _refresh(self) -> None:
        """Gets a fresh access token for the personal one."""
        try:
            response = self._client.post("api/token/refresh", json={"refresh": self._token})
        except httpx.HTTPError as error:
            raise ToolError(f"Label Studio can't be reached: {type(error).__name__}: {error}") from error
        self._access = f"Bearer {_read(response, 'POST /api/token/refresh')['access']}"


class _GoneError(ToolError):
    """There is no such thing any more."""


def _read(response: httpx.Response, what: str) -> Any:  # noqa: ANN401 - JSON
    if response.is_success:
        try:
            return response.json() if response.content else None
        except ValueError as error:
            raise ToolError(f"Label Studio: {what} was answered with no JSON; is it the right address?") from error
    told = " ".join(response.text.split())[:300]
    if response.status_code == _UNAUTHORIZED:
        raise ToolError(f"Label Studio refused the token ({told}); {_TOKENS}")
    if response.status_code == _NOT_FOUND:
        raise _GoneError(f"Label Studio: {what}: there is no such thing")
    raise ToolError(f"Label Studio: {what} was answered {response.status_code}: {told}")


def _is_personal(token: str) -> bool:
    """Whether it is a personal access token (a JWT), not a legacy one (40 hexadecimal digits)."""
    return token.count(".") == _JWT_DOTS


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _filter(name: str, operator: str, kind: str, value: str) -> dict[str, Any]:
    item = {"filter": name, "operator": operator, "type": kind, "value": value}
    return {"filters": {"conjunction": "and", "items": [item]}}


def _cursor(updated_at: str) -> str:
    """A little before a moment, in the form that filters take."""
    moment = datetime.fromisoformat(updated_at).astimezone(UTC)
    return (moment - _OVERLAP).strftime(_TIME)


def _answers(task: dict[str, Any]) -> TaskAnswers | None:
    """What stands on a task; None: it is none of ours. Of one person's annotations the newest counts."""
    case = task.get("data", {}).get("case_id")
    if not isinstance(case, str):
        return None
    found = {}
    for annotation in sorted(task.get("annotations") or (), key=lambda one: one["id"]):
        answer = answer_of(annotation)
        if answer is not None:
            by: Any = annotation["completed_by"]
            found[str(by["id"] if not isinstance(by, int) else by)] = answer
    return TaskAnswers(str(task["id"]), case, found)
