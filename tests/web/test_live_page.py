"""The live page: its figures by themselves, and the page in a real browser."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import Metric

from tertium_server.engine import Verdict
from tertium_server.metrics import Metrics, PolicyLabels, StreamCounts
from tertium_server.quality.book import Book
from tertium_server.quality.instruments import QualityMetrics
from tertium_server.quality.values import MICROS, Estimate, Estimates, Method, Window
from tertium_server.review.access import Gate, Role, entry_for
from tertium_server.review.department import ReviewDepartment, ReviewSettings
from tertium_server.review.values import Stratum
from tertium_server.storage import sqlite_url
from tertium_server.web.door import Door
from tertium_server.web.live_figures import LiveFigures
from tertium_server.web.live_page import LivePages
from tertium_server.web.pages import make_pages
from tertium_server.web.readiness import Readiness
from tertium_server.web.server import WebServer
from tests.review.builders import booking

HOSTILE = "<img src=x onerror=document.title='owned'>"


class Camera:
    """A stream that has counted what a test says."""

    def __init__(self, group: str, frames: int, yes: int, maybe: int, no: int) -> None:
        self.group = group
        decided = [0] * 4
        decided[Verdict.YES], decided[Verdict.MAYBE], decided[Verdict.NO] = yes, maybe, no
        self.now = StreamCounts(frames, tracks=7, decided={"person": decided})

    def counts(self) -> StreamCounts:
        return self.now


class Page:
    """A server's web pages without the server: its metrics are the test's."""

    def __init__(self, folder: Path) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(
            self.registry,
            version="1.2.3",
            revision="abc",
            policy=PolicyLabels("yard", "7-0123456789ab", "0" * 64, 1_700_000_000.0),
            groups=("north", HOSTILE),
            classes=("person",),
            codes=("OK",),
        )
        self.department = ReviewDepartment(
            ReviewSettings(
                store_url=sqlite_url(folder), spool_folder=folder / "spool", evidence_url=str(folder / "blobs")
            )
        )
        self.department.start()
        self.registry.register(self.department.metrics)
        self.quality = QualityMetrics(("person",))
        self.registry.register(self.quality)
        tokens = folder / "tokens.toml"
        names = {"anna": [Role.REVIEW], "camera": [Role.INGEST], "chief": [Role.ADMIN]}
        tokens.write_text("".join(entry_for(f"{name} token", name, roles) for name, roles in names.items()))
        self.seconds = time.time()  # old decisions have no rows of their own
        figures = LiveFigures(self.registry, self.department.store, ("north", HOSTILE), self._clock)
        pages = LivePages(figures, Door(Gate.of_file(tokens), None))
        ready = Readiness(kernels=True, draining=False, streams=0)
        self._server = WebServer(make_pages(self.registry, lambda: ready, pages.routes()), "127.0.0.1", 0)
        self.address = f"http://{self._server.start()}"
        self._client = httpx.Client(base_url=self.address, timeout=60)

    def _clock(self) -> float:
        """Two seconds later every time somebody looks."""
        self.seconds += 2.0
        return self.seconds

    def estimate(self, **changes: Estimates) -> None:
        estimates = {
            (name, window, method): Estimates()
            for name in ("all", "person", "other")
            for window in Window
            for method in Method
        }
        for method, made in changes.items():
            for name in ("all", "person"):
                estimates[name, Window.DAY, Method(method)] = made
        self.quality.book = Book(made_at=round(self.seconds * MICROS), estimates=estimates)

    def ask(self, name: str = "anna", **headers: str) -> httpx.Response:
        given = {"authorization": f"Bearer {name} token", "x-tertium": "1"} | headers
        return self._client.post("/live/api/figures", headers=given)

    def figures(self) -> dict[str, Any]:
        response = self.ask()
        assert response.status_code == 200
        return dict(response.json())

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def close(self) -> None:
        self._client.close()
        self._server.stop()
        self.department.stop(60)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path)
    yield made
    made.close()


class TestFigures:
    def test_they_are_those_of_the_metrics(self, page: Page) -> None:
        camera = Camera("north", 100, yes=30, maybe=20, no=10)
        page.metrics.streams.enter(camera)
        figures = page.figures()
        assert (figures["streams"], figures["frames"], figures["tracks"]) == (1, 100, 7)
        assert figures["verdicts"] == {"yes": 30, "maybe": 20, "no": 10}
        assert figures["policy"] == {"name": "yard", "version": "7-0123456789ab", "loaded": 1_700_000_000.0}
        north = figures["groups"][0]
        assert (north["group"], north["streams"], north["frames"]) == ("north", 1, 100)
        camera.now = StreamCounts(150)
        assert page.figures()["frames"] == 150

    def test_estimates_come_with_their_intervals_and_what_is_thin_is_null(self, page: Page) -> None:
        page.estimate(audit=Estimates(Estimate(0.9, 0.8, 0.95, 112.0), Estimate(effective_samples=12.0)))
        found = {(each["class"], each["window"], each["method"]): each for each in page.figures()["estimates"]}
        assert len(found) == 3 * len(Window) * len(Method)
        audit = found["person", "1d", "audit"]
        assert audit["precision"] == {"value": 0.9, "lower": 0.8, "upper": 0.95, "samples": 112.0}
        assert audit["recall"] == {"value": None, "lower": None, "upper": None, "samples": 12.0}

    def test_no_estimates_are_no_error(self, page: Page) -> None:
        figures = page.figures()
        assert (figures["estimates"], figures["estimated"]) == ([], None)

    def test_tracks_of_the_last_hour_are_told_by_group(self, page: Page) -> None:
        now = round(page.seconds * MICROS)
        page.department.office.book([
            *(booking(k, Stratum.AUTO_YES, group="north", decided_at=now) for k in range(3)),
            booking(10, Stratum.MAYBE, group="somewhere", decided_at=now),
            booking(11, Stratum.AUTO_NO, group="north", decided_at=now - 3700 * MICROS),
        ])  # fmt: skip
        decided = {each["group"]: each["decided"] for each in page.figures()["groups"]}
        assert decided["north"] == {"yes": 3, "maybe": 0, "no": 0}
        assert decided["other"] == {"yes": 0, "maybe": 1, "no": 0}

    def test_gold_cases_which_are_never_done_do_not_wait(self, page: Page) -> None:
        registry = CollectorRegistry()
        cases = Gauge("tertium_review_cases", "Cases.", ["source", "state"], registry=registry)
        oldest = Gauge("tertium_review_oldest_open_timestamp_seconds", "Oldest.", ["source"], registry=registry)
        for source, count, opened in (("gold", 30, 5.0), ("maybe", 2, 900.0), ("audit_yes", 0, 0.0)):
            cases.labels(source, "open").set(count)
            oldest.labels(source).set(opened)
        queue = LiveFigures(registry, page.department.store, ()).to_json()["queue"]
        assert (queue["waiting"], queue["states"]) == ({"maybe": 2, "audit_yes": 0}, {"open": 2})
        assert queue["oldest"] == 900.0

    def test_all_of_it_is_json_that_browsers_read(self, page: Page) -> None:
        page.estimate(calibrated=Estimates(Estimate(math.nan, math.nan, math.nan, math.nan)))
        json.loads(page.ask().text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    def test_they_are_for_those_who_may_review(self, page: Page) -> None:
        assert page.ask("nobody").status_code == 401
        assert page.ask("camera").status_code == 403
        assert page.ask(**{"x-tertium": "0"}).status_code == 401
        assert page.ask("chief").status_code == 200

    def test_many_who_look_make_one_who_counts(self, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[float] = []
        collect = page.registry.collect

        def counted() -> Iterator[Metric]:
            asked.append(page.seconds)
            return iter(collect())

        monkeypatch.setattr(page.registry, "collect", counted)
        figures = LiveFigures(page.registry, page.department.store, ("north",), lambda: 5.0)
        assert figures.to_json() is figures.to_json()
        assert len(asked) == 1

    def test_pages_can_not_be_framed_sniffed_kept_or_scripted(self, page: Page) -> None:
        for response in (page.get("/live"), page.get("/live/live.js"), page.get("/live/session.js"), page.ask()):
            assert response.status_code == 200
            policy = response.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
            assert "unsafe" not in policy
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["cache-control"] == "no-store"
        assert page.get("/live/..%2Fdoor.py").status_code == 404


def filled(page: Page) -> None:
    """A server in the middle of a day."""
    page.metrics.streams.enter(Camera("north", 1200, yes=610, maybe=90, no=300))
    page.metrics.streams.enter(Camera(HOSTILE, 800, yes=100, maybe=20, no=80))
    now = round(page.seconds * MICROS)
    page.department.office.book([
        *(booking(k, Stratum.AUTO_YES, group="north", decided_at=now) for k in range(60)),
        *(booking(100 + k, Stratum.MAYBE, group="north", decided_at=now) for k in range(9)),
        *(booking(200 + k, Stratum.AUTO_NO, group=HOSTILE, decided_at=now) for k in range(40)),
    ])  # fmt: skip
    page.estimate(
        audit=Estimates(Estimate(0.91, 0.86, 0.95, 112.0), Estimate(0.78, 0.69, 0.86, 65.0)),
        calibrated=Estimates(Estimate(0.97, 0.965, 0.975, 900.0), Estimate(0.8, 0.79, 0.81, 900.0)),
        truth=Estimates(Estimate(0.9, 0.88, 0.92, 800.0), Estimate(0.7, 0.67, 0.73, 800.0)),
    )


@pytest.mark.parametrize(
    ("size", "scheme"),
    [({"width": 1280, "height": 900}, "light"), ({"width": 390, "height": 844}, "dark")],
    ids=["desktop", "phone"],
)
def test_somebody_signs_in_and_sees_how_it_goes(
    page: Page, browser: Any, tmp_path: Path, size: dict[str, int], scheme: str
) -> None:
    filled(page)
    tab = browser.new_page(viewport=size, color_scheme=scheme)
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if "Security" in message.text else None)
    tab.goto(f"{page.address}/live")
    tab.wait_for_selector("#door:not([hidden])")
    assert "review-token in its data folder" in tab.locator("#door").inner_text()
    tab.fill("#token", "nobody's token")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#alarm:text-is('This server does not know that token.')")
    tab.fill("#token", "anna token")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#board:not([hidden])")
    assert tab.locator("#streams").inner_text() == "2"
    tab.wait_for_selector("#waiting:text-is('109')")  # all are audited here; the clerk counts now and then
    tab.wait_for_selector("#frames:text-is('0')")  # nothing came between two looks
    assert "policy yard 7-0123456789ab" in tab.locator("#policy").inner_text()
    assert "yes\n59 % (710)" in tab.locator("#mix_words").inner_text()
    assert "91 % (86 – 95), n 112" in tab.locator("#estimates").inner_text()
    band = tab.locator("#estimates .audit .scale i").first
    scale = tab.locator("#estimates .audit .scale").first.bounding_box()
    assert band.bounding_box()["width"] == pytest.approx(0.09 * scale["width"], abs=1.0)
    # What a caller names a group is text, and nothing else.
    assert HOSTILE in tab.locator("#groups").inner_text()
    assert tab.title() == "Live · Tertium"
    tab.click("#windows button[data-window='7d']")
    assert "too few yet" in tab.locator("#estimates").inner_text()
    tab.click("#windows button[data-window='1d']")
    # Nothing sticks out to the side.
    assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
    ends = "[...document.querySelectorAll('#board *')].map((each) => each.getBoundingClientRect().right)"
    assert max(tab.evaluate(ends)) <= size["width"]
    north = tab.get_by_role("row").filter(has_text="north").get_by_role("cell")
    assert [north.nth(place).inner_text() for place in range(4)] == ["north", "1", "0", "69"]
    tab.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    assert complaints == []


def test_a_server_that_goes_away_is_missed(page: Page, browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(f"{page.address}/live#token=anna%20token")
    tab.wait_for_selector("#board:not([hidden])")
    assert "token" not in tab.url
    tab.route("**/live/api/figures", lambda route: route.abort())
    tab.wait_for_selector("#alarm:has-text('reached; trying again')")
    tab.unroute("**/live/api/figures")
    tab.wait_for_selector("#alarm", state="hidden")
