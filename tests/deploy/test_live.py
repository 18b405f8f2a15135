"""What is shipped for Prometheus and Grafana, against a real Prometheus that scrapes a real server under simulated traffic."""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
from ruamel.yaml import YAML

from tertium_server.quality.drift import LEAST_TRACKS
from tests.deploy.world import CLASSES, PATIENCE, PROMETHEUS, ROOT, World, missing

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))

UNDETERMINED = {"Boxes that the policy in the shadow judges otherwise": "no policy is in the shadow"}
"""Panels that have series, but no numbers in this world."""


NO_DRIFT = 0.1
"""By rule of thumb: a smaller index is none."""

TOO_FEW = {"tertium_review_gold_wrong:ratio_increase7d", "tertium_track_length_frames:mean7d"}
"""Recorded of no fewer cases, or tracks, than there are in this world."""


def queries() -> Iterator[tuple[str, str, str]]:
    """Dashboard, title and expression of every query of every panel, with its variables filled in."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel.get("targets", ()):
                yield file.stem, panel["title"], filled(target["expr"])


def filled(expr: str) -> str:
    """As Grafana would ask: any group, all classes, or one where a panel is for one."""
    values = {"$__rate_interval": "30s", "$group": ".*", "$window": "1d", 'class="$class"': f'class="{CLASSES[0]}"'}
    for name, value in values.items():
        expr = expr.replace(name, value)
    return expr.replace("$class", ".*")


def test_every_query_of_every_panel_is_promql() -> None:
    found = list(queries())
    assert len(found) > 70
    for _, _, expr in found:
        assert "$" not in expr
        promql_parser.parse(expr)


def wants(world: World, title: str, expr: str) -> str:
    """What is wrong with the answer to a query; "": nothing."""
    values = [value for _, value in world.prometheus.ask(expr)]
    if not values:
        return f"{title}: {expr}: no data"
    if title not in UNDETERMINED and all(math.isnan(value) for value in values):
        return f"{title}: {expr}: nothing but NaN"
    return ""


def until_answered(world: World) -> list[str]:
    """What is wrong with the panels, once nothing more is going to become right."""
    open_questions = [(title, expr) for _, title, expr in queries()]
    until = time.monotonic() + PATIENCE
    problems: list[str] = []
    while open_questions and time.monotonic() < until:
        asked = [(title, expr, wants(world, title, expr)) for title, expr in open_questions]
        problems = [problem for _, _, problem in asked if problem]
        open_questions = [(title, expr) for title, expr, problem in asked if problem]
        if open_questions:
            world.answer()
            time.sleep(0.5)
    return problems


def until(condition: Callable[[], Any], what: str) -> Any:
    """What a condition has come to, once it is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.3)
    return found


@pytest.mark.skipif(
    bool(missing(["prometheus", "promtool"])), reason="prometheus is not here: apt-get install prometheus"
)
def test_what_is_shipped_works_with_a_real_prometheus(tmp_path: Path, subtests: Any) -> None:
    with World(tmp_path) as world:
        world.live()
        until(
            lambda: sum(world.scores(CLASSES[0])) >= LEAST_TRACKS and not world.waiting(), "decided tracks, all booked"
        )
        world.tune()
        with subtests.test("scores like those of tuning are no drift"):
            index = partial(world.server.sample, "tertium_score_population_stability_index")
            until(lambda: index(**{"class": CLASSES[0]}) < NO_DRIFT, "scores as they were tuned on")
            assert world.server.sample("tertium_policy_reloads_total", result="applied") == 1
        world.live_on()
        with subtests.test("scores of a detector gone mad are, and their alert says so"):
            drifted = f'ALERTS{{alertname="TertiumScoresDrift", class="{CLASSES[0]}"}}'
            ((alert, _),) = until(lambda: world.prometheus.ask(drifted), "the alert")
            assert alert["alertstate"] == "pending"  # it fires in an hour
            threshold = world.prometheus.ask("tertium_threshold:population_stability_index")[0][1]
            assert index(**{"class": CLASSES[0]}) > threshold > NO_DRIFT
        with subtests.test("every query of every panel returns data"):
            assert until_answered(world) == []
        with subtests.test("every rule is evaluated without an error"):
            groups = world.prometheus.get("rules")["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}
            shipped = [
                rule.get("record") or rule["alert"]
                for file in (PROMETHEUS / "rules").glob("*.yaml")
                for group in YAML(typ="safe", pure=True).load(file)["groups"]
                for rule in group["rules"]
            ]
            assert sorted(rule["name"] for rule in rules) == sorted(shipped)
        with subtests.test("every metric that rules and panels ask for is exported, or recorded"):
            known = set(world.prometheus.get("label/__name__/values"))
            asked = {
                name
                for expr in [*(expr for _, _, expr in queries()), *(rule["query"] for rule in rules)]
                for name in names_in(promql_parser.parse(expr))
            }
            # Alerts ask for nothing that nobody tells, or they would never fire.
            assert asked - known == TOO_FEW
        with subtests.test("promtool finds nothing wrong with the metrics"):
            metrics = httpx.get(f"http://{world.server.metrics}/metrics").text
            checked = subprocess.run(
                ["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True, check=False
            )
            assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
            assert [name for name in metrics.split() if name.endswith("_created")] == []
        with subtests.test("what Prometheus has counted is what the server has"):
            received = world.prometheus.ask("sum(tertium_frames_received_total)")[0][1]
            assert received == 440


def names_in(expr: Any) -> Iterator[str]:
    """The metrics that an expression asks for."""
    if isinstance(expr, promql_parser.VectorSelector) and expr.name is not None:
        yield expr.name
    for field in ("expr", "lhs", "rhs", "vector_selector", "vs"):
        below = getattr(expr, field, None)
        if below is not None:
            yield from names_in(below)
    for below in getattr(expr, "args", ()) or ():
        yield from names_in(below)
