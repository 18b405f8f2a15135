"""Rules and alerts: valid, tested, with one place for their numbers and a runbook for each."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.deploy.world import PROMETHEUS, ROOT, missing
from tests.rpc.live import serving

RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
RUNBOOK = '{{ or $externalLabels.tertium_runbook "http://127.0.0.1:9413/runbook" }}'
"""Where alerts lead: to what prometheus.yaml names, or to the server on this machine."""
PAGE = ROOT / "server/tertium_server/web/static/runbook.html"
NEEDS_PROMTOOL = pytest.mark.skipif(
    bool(missing(["promtool"])), reason="promtool is not here: apt-get install prometheus"
)


def read(path: Any) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def rules(file: str) -> list[dict[str, Any]]:
    return [rule for group in read(PROMETHEUS / "rules" / file)["groups"] for rule in group["rules"]]


def promtool(*arguments: object) -> None:
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMTOOL
def test_promtool_takes_configuration_and_rules() -> None:
    promtool("check", "config", PROMETHEUS / "prometheus.yaml")
    promtool("check", "rules", *RULES)


@NEEDS_PROMTOOL
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_the_rules_do_what_their_tests_say(file: Any) -> None:
    promtool("test", "rules", file)


def test_every_alert_is_shown_to_fire_and_not_to_fire() -> None:
    fired, checked = set[str](), 0
    for file in TESTS:
        for test in read(file)["tests"]:
            for asked in test["promql_expr_test"]:
                if "ALERTS" in asked["expr"]:
                    # Exactly the alerts that are named fire, and no others.
                    assert asked["expr"].startswith("group by (alertname")
                    checked += not asked.get("exp_samples")
                    fired |= {
                        re.findall(r'alertname="(\w+)"', each["labels"])[0] for each in asked.get("exp_samples", [])
                    }
    assert fired == {rule["alert"] for rule in rules("alerts.yaml")}
    assert checked >= 5


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    sections = set(re.findall(r"^### (\w+)$", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE))
    alerts = rules("alerts.yaml")
    assert sections == {alert["alert"] for alert in alerts}
    for alert in alerts:
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
        assert alert["annotations"]["runbook_url"] == f"{RUNBOOK}#{alert['alert'].lower()}"


def test_the_page_that_alerts_lead_to_is_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "deploy/runbook.py", tmp_path / "runbook.html"], check=True)
    assert (tmp_path / "runbook.html").read_text() == PAGE.read_text(), "run: python deploy/runbook.py"


async def test_every_alert_leads_to_an_anchor_of_a_page_that_the_server_shows(tmp_path: Path) -> None:
    async with serving(tmp_path) as live, httpx.AsyncClient(base_url=f"http://{live.service.metrics}") as client:
        page = await client.get("/runbook")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        anchors = re.findall(r'<h3 id="(\w+)">(\w+)</h3>\n<p>', page.text)
        assert dict(anchors) == {alert["alert"].lower(): alert["alert"] for alert in rules("alerts.yaml")}
        # Its links, and the files it is made of, are there too, and none leads into the repository.
        links = set(re.findall(r'(?:href|src)="([^"]*)"', page.text))
        assert {"/runbook/page.css", "/runbook/runbook.css", "/live", "/review"} <= links
        for link in links:
            assert (await client.get(link)).status_code == 200, link
        assert (await client.get("/runbook/review.js")).status_code == 404


def test_numbers_stand_in_one_place() -> None:
    recorded = {rule["record"] for rule in rules("thresholds.yaml")}
    used = {name for rule in rules("alerts.yaml") for name in re.findall(r"tertium_threshold:\w+", rule["expr"])}
    assert used == recorded
    for rule in rules("alerts.yaml"):
        # Beside thresholds, expressions compare with nothing but 0 (something happened) and 1 (a whole, or one process).
        compared = re.findall(r"[<>=]=?\s*(\d[\d.]*)", re.sub(r'"[^"]*"', "", rule["expr"]))
        assert set(compared) <= {"0", "1"}, rule["alert"]
