"""Compose file and image, as far as they can be checked without Docker: what they name is there, and means what they think."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML
from starlette.routing import Route

from tertium_server.config import ENVIRONMENT_PREFIX, Settings, load_settings
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tests.deploy.world import ROOT, missing

DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text())
OURS = {"TERTIUM_BUILD_REVISION"}
"""Variables that are no settings."""


def instructions(word: str, text: str = DOCKERFILE) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in text.splitlines() if line.startswith(f"{word} ")]


def environment() -> dict[str, str]:
    """What the image sets."""
    return dict(each.split("=", 1) for line in instructions("ENV") for each in shlex.split(line))


def test_every_variable_of_the_server_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment() | SERVICES["tertium"]["environment"]
    ours = {name: value for name, value in given.items() if name.startswith(ENVIRONMENT_PREFIX) and name not in OURS}
    commented = re.findall(rf"# ({ENVIRONMENT_PREFIX}\w+):", (DEPLOY / "compose.yaml").read_text())
    assert {name.removeprefix(ENVIRONMENT_PREFIX).lower() for name in [*ours, *commented]} <= set(Settings.model_fields)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.listen, settings.metrics_host, settings.metrics_port) == ("0.0.0.0:7413", "0.0.0.0", 9413)  # noqa: S104 - in a container
    assert settings.data_dir == Path("/var/lib/tertium")
    assert settings.drain_seconds < int(SERVICES["tertium"]["stop_grace_period"].removesuffix("s"))


def test_what_is_mounted_is_there_and_volumes_are_declared() -> None:
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), f"{name}: {volume}"


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert sorted(ports) == sorted(f"127.0.0.1:{port}:{port}" for port in (7413, 9413, 9090, 3000))


def test_every_service_is_watched_and_waits_for_those_it_needs() -> None:
    assert instructions("HEALTHCHECK")
    for name, service in SERVICES.items():
        assert "healthcheck" in service or name == "tertium"
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            assert how == {"condition": "service_healthy"}


def test_the_image_watches_itself_where_its_pages_are_and_writes_only_where_it_may() -> None:
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check[check.index("CMD ") + 4 :])
    (address,) = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", command[-1])
    pages = make_pages(CollectorRegistry(), lambda: Readiness(kernels=True, draining=False, streams=0))
    assert address == (environment()["TERTIUM_METRICS_PORT"], "/readyz")
    assert address[1] in {route.path for route in pages.routes if isinstance(route, Route)}
    # The root is read-only; what is not in the volume is lost.
    (volume,) = instructions("VOLUME")
    assert SERVICES["tertium"]["read_only"]
    assert f"data:{volume}" in SERVICES["tertium"]["volumes"]
    for name in ("TERTIUM_DATA_DIR", "NUMBA_CACHE_DIR"):
        assert Path(environment()[name]).is_relative_to(volume)


def test_prometheus_scrapes_the_server_by_its_name() -> None:
    config = YAML(typ="safe", pure=True).load(DEPLOY / "prometheus/prometheus.yaml")
    (scrape,) = config["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"tertium:{environment()['TERTIUM_METRICS_PORT']}"]}]
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
    folder = Path(mounted["./prometheus/prometheus.yaml"]).parent
    assert [str(folder / pattern) for pattern in config["rule_files"]] == [f"{mounted['./prometheus/rules']}/*.yaml"]


@pytest.mark.skipif(bool(missing(["prometheus"])), reason="prometheus is not here: apt-get install prometheus")
def test_prometheus_knows_its_options() -> None:
    told = subprocess.run(["prometheus", "--help"], capture_output=True, text=True, check=False)
    for option in SERVICES["prometheus"]["command"]:
        assert option.split("=")[0] in told.stdout + told.stderr


def test_the_image_is_made_of_what_is_there() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in instructions("COPY"):
        if not line.startswith("--from"):
            for source in shlex.split(line)[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored
    assert "*" in ignored


def test_the_image_runs_the_server_as_nobody_in_particular() -> None:
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    (user,) = instructions("USER", last)
    assert int(user.split(":")[0]) >= 10_000
    assert instructions("EXPOSE", last) == ["7413 9413"]
    assert instructions("ENTRYPOINT", last) == ['["tertium"]']
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert "tertium" in scripts
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (version,) = re.findall(r"^ARG PYTHON=3\.(\d+)$", DOCKERFILE, re.MULTILINE)
    assert int(version) >= int(requires.removeprefix(">=3."))
    # Nothing is installed that is not pinned.
    assert all(
        "--require-hashes" in line or "--no-deps" in line for line in instructions("RUN") if "pip install" in line
    )
