"""The bridge against Label Studio itself: `TERTIUM_TEST_LABEL_STUDIO=/path/to/label-studio pytest -m labelstudio`. It boots in a minute or so."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tertium_server.review.bridges.bridge import Bridge, BridgeRules
from tertium_server.review.bridges.label_studio import LabelStudio, LabelStudioSettings
from tertium_server.review.values import Answer
from tests.review.fake_label_studio import LEGACY
from tests.review.test_label_studio import Set, shown
from tests.stores import sqlite_store

BOOTS_WITHIN = 900.0
"""Seconds: it makes its database first, on a machine that may be busy."""
VARIABLE = "TERTIUM_TEST_LABEL_STUDIO"
pytestmark = [
    pytest.mark.labelstudio,
    pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no label-studio to boot"),
]
_QUIET = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}


@pytest.fixture(name="address", scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real one, on a data folder and a port of its own."""
    folder = tmp_path_factory.mktemp("label-studio")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [os.environ[VARIABLE], "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)]
    command += ["--username", "a@example.com", "--password", "testtest99", "--user-token", LEGACY]
    environment = os.environ | _QUIET | {"LABEL_STUDIO_BASE_DATA_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--enable-legacy-api-token"], stdout=log, stderr=log, env=environment, cwd=folder
        )
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + BOOTS_WITHIN
        while process.poll() is None and not _is_up(address):
            assert time.monotonic() < until, "Label Studio does not come up"
            time.sleep(1.0)
        assert process.poll() is None, (folder / "log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _is_up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/projects", headers={"authorization": f"Token {LEGACY}"}).is_success
    except httpx.HTTPError:
        return False


class Person:
    """Somebody who answers in Label Studio."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, headers={"authorization": f"Token {LEGACY}"}, timeout=30)

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        response = self._client.request(method, path, **arguments)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def tasks(self) -> list[dict[str, Any]]:
        (project,) = self.call("GET", "/api/projects")["results"]
        page = self.call("GET", "/api/tasks", params={"project": project["id"], "fields": "all"})
        return list(page["tasks"])

    def answer(self, task: int, answer: str) -> int:
        chosen = {"from_name": "answer", "to_name": "picture", "type": "choices", "value": {"choices": [answer]}}
        return int(self.call("POST", f"/api/tasks/{task}/annotations", json={"result": [chosen]})["id"])


def test_cases_go_out_answers_come_in_and_closed_cases_leave(address: str, tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    site = Set(store, tmp_path)
    tool = LabelStudio(LabelStudioSettings(address, LEGACY))
    rules = BridgeRules(poll_seconds=15.0, sweep_seconds=600.0, picture_seconds=30.0)
    site.bridge.stop(1.0)
    site.bridge = Bridge(site.office, site.gallery, tool, site.sync, rules, clock=lambda: site.clock.now / 1e6)
    person = Person(address)
    cases = site.open(shown(1), shown(2), shown(3))
    by_case = {task["data"]["case_id"]: task for task in person.tasks()}
    assert set(by_case) == set(cases)
    first, second, _ = cases
    answered = person.answer(by_case[first]["id"], "no")
    site.work(16.0)
    assert site.office.find(first).answer is Answer.NO
    site.work(1.0)
    assert {task["data"]["case_id"] for task in person.tasks()} == set(cases) - {first}
    assert answered
    # Changed, then deleted.
    number = person.answer(by_case[second]["id"], "cannot tell")
    site.work(16.0)
    assert site.votes()[-1][1] == "cannot_tell"
    person.call("DELETE", f"/api/annotations/{number}")
    site.work(16.0)
    assert len(site.votes()) == 1
    # A prediction with the box, and no answer in it, is what the form begins with.
    (prediction,) = by_case[second]["predictions"]
    assert "choices" not in json.dumps(prediction)
    assert site.failures("push") == site.failures("pull") == site.failures("withdraw") == 0
    person.close()
    site.close()
    store.close()
