"""The web pages over HTTP, from the real server."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from tertium_server.errors import StartError
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tests.rpc.builders import recording
from tests.rpc.live import Live, serving


async def get(live: Live, page: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://{live.service.metrics}/{page}", headers=headers)


async def test_metrics_come_as_text(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        response = await get(live, "metrics")
        assert response.headers["content-type"].startswith("text/plain; version=")
        names = {family.name for family in plain(response.text)}
        assert {"tertium_frames_received", "grpc_server_started", "process_resident_memory_bytes"} <= names
        # prometheus_client writes when each counter was created, unless it is told not to; cases are created, too.
        assert {name for name in names if name.endswith("_created")} == {"tertium_review_cases_created"}


async def test_metrics_come_as_openmetrics_to_those_who_ask(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        response = await get(live, "metrics", accept="application/openmetrics-text; version=1.0.0")
        assert response.headers["content-type"].startswith("application/openmetrics-text")
        assert response.text.endswith("# EOF\n")
        families = {family.name: family for family in openmetrics(response.text)}
        assert families["tertium_build"].type == "info"
        assert families["tertium_fusion_latency_seconds"].type == "histogram"


async def test_metrics_follow_what_happens(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        call = await live.open()
        await call.play(recording()[:5])
        text = (await get(live, "metrics")).text
        assert 'tertium_frames_received_total{group="default"} 5.0' in text
        assert 'tertium_streams_active{group="default"} 1.0' in text


async def test_the_server_says_that_it_lives_and_is_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        await live.open()
        health, ready = await get(live, "healthz"), await get(live, "readyz")
        assert (health.status_code, health.text) == (200, "ok\n")
        assert ready.status_code == 200
        state = ready.json()
        assert state.pop("review") == {"store": "up", "waiting": 0, "spooled": 0, "lost": 0}
        assert state == {"ready": True, "kernels": "compiled", "draining": False, "streams": 1}


async def test_a_server_that_drains_lives_but_is_not_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        live.service.stop_taking_calls()
        ready = await get(live, "readyz")
        assert (ready.status_code, ready.json()["draining"]) == (503, True)
        assert (await get(live, "healthz")).status_code == 200


def test_a_server_whose_kernels_are_compiling_is_not_ready() -> None:
    state = Readiness(kernels=False, draining=False, streams=0)
    assert not state.ready
    assert state.to_json()["kernels"] == "compiling"


async def test_an_address_alone_leads_to_a_page_for_people(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        response = await get(live, "")
        assert (response.status_code, response.headers["location"]) == (307, "/live")


async def test_without_review_nothing_leads_to_its_pages() -> None:
    pages = make_pages(CollectorRegistry(), lambda: Readiness(kernels=True, draining=False, streams=0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://server") as client:
        page = await client.get("/", follow_redirects=True)
        assert page.url.path == "/runbook"
        links = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
        assert "/runbook/page.css" in links
        for link in links:
            assert (await client.get(link)).status_code == 200, link
        for absent in (await client.get("/review"), await client.get("/live"), await client.post("/review/api/state")):
            assert absent.status_code == 404
            assert "started with --no-review" in absent.text
            assert absent.request.url.path.split("/")[1] in absent.text


async def test_pages_there_are_none_of_are_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as live:
        assert (await get(live, "nothing")).status_code == 404


SCRAPES = 15


async def test_scrapes_and_frames_go_on_side_by_side(tmp_path: Path) -> None:
    """The pages run in another thread and read counts that change under their hands; no counter may ever fall."""
    async with serving(tmp_path) as live:
        seen: list[float] = []

        async def scrape() -> None:
            while len(seen) < SCRAPES:
                text = (await get(live, "metrics")).text
                (line,) = [
                    line
                    for line in text.splitlines()
                    if line.startswith('tertium_frames_received_total{group="default"}')
                ]
                seen.append(float(line.split()[-1]))

        async def stream(number: int) -> None:
            while len(seen) < SCRAPES:
                call = await live.open(stream_id=f"camera {number}", epoch=0)
                await call.play(recording(length=20))
                await call.close()

        await asyncio.gather(scrape(), *(stream(number) for number in range(3)))
        assert seen == sorted(seen)
        assert seen[-1] > 0


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartError,
            match=rf"--metrics-port {port} \(on 127.0.0.1\): can't listen there: Address already in use; name another port",
        ):
            async with serving(tmp_path, metrics_port=port):
                pass
