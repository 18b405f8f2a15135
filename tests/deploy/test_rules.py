"""Rules and alerts: valid, tested, with one place for their numbers and a runbook for each."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.world import PROMETHEUS, ROOT, missing

RULES = sorted((PROMETHEUS / "rules").glob("*.yaml"))
TESTS = sorted((PROMETHEUS / "tests").glob("*.yaml"))
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
        assert alert["annotations"]["runbook_url"] == f"docs/monitoring.md#{alert['alert'].lower()}"


def test_numbers_stand_in_one_place() -> None:
    recorded = {rule["record"] for rule in rules("thresholds.yaml")}
    used = {name for rule in rules("alerts.yaml") for name in re.findall(r"tertium_threshold:\w+", rule["expr"])}
    assert used == recorded
    for rule in rules("alerts.yaml"):
        # Beside thresholds, expressions compare with nothing but 0 (something happened) and 1 (a whole, or one process).
        compared = re.findall(r"[<>=]=?\s*(\d[\d.]*)", re.sub(r'"[^"]*"', "", rule["expr"]))
        assert set(compared) <= {"0", "1"}, rule["alert"]
