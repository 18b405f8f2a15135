"""A small Label Studio over real HTTP, with the traps of the real one (1.23.2): see the numbers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "head.body.tail"
FIRST_PERSON = 7

Json = dict[str, Any]


class FakeLabelStudio:
    """Projects and tasks in memory. Its clock is its own, and ticks with every change."""

    def __init__(self) -> None:
        self.takes_legacy = True
        self.projects: dict[int, Json] = {}
        self.tasks: dict[int, Json] = {}
        self.imports = 0
        self.away = False
        self.loses_answers = 0
        """So many imports are done, and their answers never arrive."""
        self.after_page: Callable[[], object] = int
        """Called when a page of tasks was listed: people go on in the meantime."""
        self.access = ""
        self.requests: list[tuple[str, str]] = []
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._ids = 100
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                fake.requests.append((self.command, url.path))
                status, content = fake.respond(self.command, url.path, query, body, self.headers["authorization"] or "")
                if status == 0:
                    self.close_connection = True
                    return
                data = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # ------------------------------------------------------------------ what people do there

    def annotate(self, task: int, answer: str, person: int = FIRST_PERSON, *, skipped: bool = False) -> int:
        """Somebody answers; the annotation's id. No webhook tells of it (trap 2: they are sent once, and lost)."""
        number = self._new_id()
        chosen = {"from_name": "answer", "to_name": "picture", "type": "choices", "value": {"choices": [answer]}}
        box = self.tasks[task]["predictions"][0]["result"]
        annotation = {
            "id": number, "completed_by": person, "result": [*box, chosen], "was_cancelled": skipped,
        }  # fmt: skip
        self.tasks[task]["annotations"].append(annotation)
        self._touch(task)
        return number

    def change(self, task: int, annotation: int, answer: str) -> None:
        """Somebody changes an answer."""
        for one in self.tasks[task]["annotations"]:
            if one["id"] == annotation:
                one["result"][-1]["value"]["choices"] = [answer]
        self._touch(task)

    def delete(self, task: int, annotation: int) -> None:
        """Somebody deletes an answer."""
        kept = [one for one in self.tasks[task]["annotations"] if one["id"] != annotation]
        self.tasks[task]["annotations"] = kept
        self._touch(task)

    # ------------------------------------------------------------------ HTTP

    def respond(  # noqa: C901, PLR0911 - a table of addresses
        self, method: str, path: str, query: dict[str, str], body: Any, token: str
    ) -> tuple[int, Any]:
        if self.away:
            return 503, {"detail": "away"}
        if path == "/api/token/refresh":
            self.access = f"access-{self._new_id()}"
            return (200, {"access": self.access}) if body["refresh"] == PERSONAL else (401, {"detail": "invalid"})
        refused = self._refuse(token)
        if refused:
            return 401, {"detail": refused}
        parts = path.strip("/").split("/")[1:]
        match method, parts:
            case "GET", ["projects"]:
                found = [each for each in self.projects.values() if query.get("title", "") in each["title"]]
                return 200, {"results": found}
            case "POST", ["projects"]:
                number = self._new_id()
                self.projects[number] = body | {"id": number}
                return 201, self.projects[number]
            case "POST", ["projects", number, "import"]:
                return self._import(int(number), body)
            case "GET", ["tasks"]:
                return self._list(query)
            case _, ["tasks", number] if int(number) not in self.tasks:
                return 404, {"detail": "Not found."}
            case "GET", ["tasks", number]:
                return 200, self.tasks[int(number)]
            case "DELETE", ["tasks", number]:
                del self.tasks[int(number)]
                return 204, None
            case _:
                return 404, {"detail": "Not found."}

    def _refuse(self, token: str) -> str:
        if token == f"Token {LEGACY}":  # trap 5
            off = "Authentication token no longer valid: legacy token authentication has been disabled for this organization"
            return "" if self.takes_legacy else off
        return "" if token == f"Bearer {self.access}" and self.access else "Invalid token."

    def _import(self, project: int, tasks: list[Json]) -> tuple[int, Any]:
        """Trap 3: what is there already is imported once more."""
        ids = []
        for task in tasks:
            number = self._new_id()
            self.tasks[number] = task | {"id": number, "project": project, "annotations": []}
            self._touch(number)
            ids.append(number)
        self.imports += 1
        if self.loses_answers:
            self.loses_answers -= 1
            return 0, None
        return 201, {"task_count": len(ids), "task_ids": ids}

    def _list(self, query: dict[str, str]) -> tuple[int, Any]:
        asked = json.loads(query["query"])
        found = [task for task in self.tasks.values() if task["project"] == int(query["project"])]
        for item in asked.get("filters", {}).get("items", ()):
            match item["filter"], item["operator"]:
                case "filter:tasks:updated_at", "greater":
                    try:
                        after = datetime.strptime(item["value"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
                    except ValueError:
                        return 500, {"detail": "time data does not match format"}  # trap 2
                    found = [task for task in found if datetime.fromisoformat(task["updated_at"]) > after]
                case "filter:tasks:data.case_id", "equal":
                    found = [task for task in found if task["data"]["case_id"] == item["value"]]
                case other:
                    return 400, {"detail": f"no filter {other}"}
        (column,) = asked["ordering"]
        found.sort(key=lambda task: task[column.removeprefix("tasks:")])
        page, size = int(query["page"]), int(query["page_size"])
        listed = {"tasks": found[(page - 1) * size : page * size], "total": len(found)}
        self.after_page()
        return 200, listed

    def _touch(self, task: int) -> None:
        self._now += timedelta(seconds=5)
        self.tasks[task]["updated_at"] = self._now.isoformat().replace("+00:00", "Z")

    def _new_id(self) -> int:
        self._ids += 1
        return self._ids
