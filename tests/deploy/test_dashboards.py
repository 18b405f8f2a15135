"""Dashboards: what is committed is what the generator writes, as Grafana types it, and is found where it is looked for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.world import ROOT, missing

GRAFANA = ROOT / "deploy/grafana"
INDEX_AWAY = 75
"""What the script ends with where nothing can be installed."""
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))


def dashboards() -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in FILES]


def test_what_is_committed_is_what_the_generator_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, GRAFANA / "generate.py", tmp_path], check=True)
    written = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_text() for file in FILES}, "run: python deploy/grafana/generate.py"


def test_dashboards_lead_to_one_another_and_ask_which_prometheus() -> None:
    uids = {each["uid"] for each in dashboards()}
    assert uids == {"tertium-service", "tertium-quality", "tertium-review"}
    for each in dashboards():
        assert {link["url"] for link in each["links"]} == {f"/d/{uid}" for uid in uids - {each["uid"]}}
        (datasource,) = [variable for variable in each["templating"]["list"] if variable["type"] == "datasource"]
        assert datasource["name"] == "datasource"
        for panel in each["panels"]:
            for target in panel.get("targets", ()):
                assert target["datasource"]["uid"] == panel["datasource"]["uid"] == "${datasource}"


def test_every_panel_says_why_it_is_there_and_none_lies_on_another() -> None:
    for each in dashboards():
        taken = set[tuple[int, int]]()
        for panel in each["panels"]:
            assert panel["title"]
            assert panel["type"] == "row" or panel["description"].endswith("."), panel["title"]
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_intervals_are_bands() -> None:
    (quality,) = [each for each in dashboards() if each["uid"] == "tertium-quality"]
    bands = [panel for panel in quality["panels"] if panel.get("repeat") == "class"]
    assert [panel["title"] for panel in bands] == ["Precision of $class", "Recall of $class"]
    for panel in bands:
        overrides = {each["matcher"]["options"]: each["properties"] for each in panel["fieldConfig"]["overrides"]}
        assert {"id": "custom.fillBelowTo", "value": "lower"} in overrides["upper"]
        assert {"upper", "lower", "target"} <= {target["legendFormat"] for target in panel["targets"]}


def test_provisioning_finds_dashboards_and_prometheus() -> None:
    yaml = YAML(typ="safe", pure=True)
    compose = yaml.load(ROOT / "deploy/compose.yaml")
    (provider,) = yaml.load(GRAFANA / "provisioning/dashboards/tertium.yaml")["providers"]
    (source,) = yaml.load(GRAFANA / "provisioning/datasources/prometheus.yaml")["datasources"]
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"])
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["url"] == "http://prometheus:9090"
    assert (
        source["jsonData"]["timeInterval"]
        == yaml.load(ROOT / "deploy/prometheus/prometheus.yaml")["global"]["scrape_interval"]
    )


@pytest.mark.skipif(bool(missing(["node", "npm"])), reason="node and npm are not here")
def test_grafana_s_own_types_take_them() -> None:
    done = subprocess.run([GRAFANA / "check_types.sh"], capture_output=True, text=True, check=False)
    if done.returncode == INDEX_AWAY:
        pytest.skip("no index of npm packages can be reached")
    assert done.returncode == 0, done.stdout + done.stderr
