"""The page in a browser, as people use it: Debian's chromium, driven by playwright. Skipped where there is none."""

import csv
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tertium_server.tuning.report.packing import unpack
from tests.tuning.report.conftest import HOSTILE, HOSTILE_SEQUENCE

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright (the extra dev)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the browser tests need chromium (apt-get install chromium)")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(page: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page, encoding="utf-8")
    return file.as_uri()


class Visit:
    """An open page, with all that it asked for and complained of."""

    def __init__(self, browser: Any, address: str, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.context.set_default_timeout(120_000)  # of a busy machine
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self.dismiss)
        self.page.goto(address)
        self.page.wait_for_function("document.querySelectorAll('.chart canvas').length >= 10")

    def dismiss(self, dialog: Any) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def close(self) -> None:
        self.context.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop, light", "phone, dark"])
def visit(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Visit]:
    made = Visit(browser, address, *request.param)
    yield made
    made.close()


PAINTED = """canvas => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3] > 200) seen.add(`${pixels[at]},${pixels[at + 1]},${pixels[at + 2]}`);
  return seen.size;
}"""


def wait_until_painted(page: Any, selector: str) -> None:
    """Canvases are there a moment before they are drawn on."""
    page.wait_for_function(f"[...document.querySelectorAll({selector!r})].every(canvas => ({PAINTED})(canvas) > 2)")


def test_it_asks_for_nothing_complains_of_nothing_and_fits(visit: Visit, address: str) -> None:
    wait_until_painted(visit.page, ".chart canvas")
    visit.page.wait_for_load_state("networkidle")
    assert visit.asked == [address]
    assert visit.said == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_charts_that_were_out_of_sight_are_there_again(visit: Visit) -> None:
    shown = "[...document.querySelectorAll('#scores .chart canvas')].length"
    before = visit.page.evaluate(shown)
    visit.page.evaluate("document.querySelector('#scores').hidden = true")
    visit.page.evaluate("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    visit.page.evaluate("document.querySelector('#scores').hidden = false")
    assert before > 0
    visit.page.wait_for_function(f"{shown} === {before}")
    visit.page.evaluate("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    wait_until_painted(visit.page, "#scores .chart canvas")


def test_hostile_names_are_shown_and_do_nothing(visit: Visit) -> None:
    shown = visit.page.locator("#slices").inner_text()
    assert HOSTILE_SEQUENCE in shown
    # A browser shows the line separator as a space.
    assert all(name.replace("\u2028", " ") in shown.replace("\u2028", " ") for name in HOSTILE)
    assert visit.page.locator("img, svg").count() == 0
    assert visit.said == []


def test_a_cell_opens_its_rows_and_a_row_its_track(visit: Visit, embedded: Json) -> None:
    page, counts = visit.page, embedded["confusion"]["counts"]
    page.locator('[data-cell="0,0"]').click()
    page.wait_for_selector("#cell-dialog[open]")
    rows = page.locator("#cell-dialog tbody tr")
    assert rows.count() == min(counts[0][0], embedded["confusion"]["most"])
    track = rows.first.locator("button.link")
    number = track.inner_text()
    track.click()
    page.wait_for_selector("#track-dialog[open] canvas")
    assert page.locator("#track-dialog h2").inner_text().startswith(f"Track {number} of ")
    assert page.locator("#track-dialog .chart canvas").count() == 3
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert visit.said == []


def test_tracks_are_filtered_sorted_and_opened_from_the_keyboard(visit: Visit, embedded: Json) -> None:
    page, columns = visit.page, embedded["tracks"]["columns"]
    page.select_option("#track-kind", "mistakes")
    assert page.locator("#track-count").inner_text().startswith(f"{sum(columns['mistaken'])} of ")
    page.locator("#track-outcomes button").first.click()
    assert page.locator("#track-label").input_value() == "1"
    assert page.locator("#track-verdict").input_value() == "3"
    shown = f"{embedded['tracks']['outcomes']['all']['1'][0]} of "
    assert page.locator("#track-count").inner_text().startswith(shown)
    for one in ("#track-label", "#track-verdict"):
        page.select_option(one, "")
    page.locator('[data-key="boxes"]').focus()
    page.keyboard.press("Enter")
    assert page.locator('th[aria-sort="descending"]').inner_text().startswith("boxes")
    place = [heading.inner_text() for heading in page.locator("#track-table thead th").all()]
    cells = page.locator(f"#track-table tbody tr td:nth-child({1 + place.index('boxes')})").all_inner_texts()
    assert [int(text) for text in cells] == sorted(columns["boxes"], reverse=True)[: len(cells)]
    page.locator("#track-table button.link").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#track-dialog[open] canvas")
    page.locator("#track-dialog summary").click()
    longest = max(columns["boxes"])
    assert page.locator("#track-dialog tbody tr").count() == longest
    page.locator("#track-dialog .close").click()
    assert page.locator("dialog[open]").count() == 0


def test_another_class_unit_and_view_change_the_curves_and_their_table(visit: Visit, embedded: Json) -> None:
    page = visit.page
    page.select_option("#class", "1")
    page.locator("input[name=unit][value=track]").check()
    page.locator("input[name=view][value=fused]").check()
    yes = embedded["curves"]["track"]["fused"]["1"]["yes"]
    row = page.locator("#curve-table tr", has_text="YES of the policy").locator("td").all_inner_texts()
    assert row[2:5] == [str(yes[key]) for key in ("tp", "fp", "fn")]
    assert visit.said == []


def test_downloads_hold_every_point(visit: Visit, embedded: Json, tmp_path: Path) -> None:
    page, curve = visit.page, embedded["curves"]["box"]["held_out"]["all"]
    with page.expect_download() as started:
        page.locator("#curve-fused-csv").click()
    started.value.save_as(tmp_path / "curve.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "curve.csv").read_text(encoding="utf-8"))))
    assert [float(row["threshold"]) for row in rows] == unpack(curve["thresholds"]).tolist()
    assert [int(row["true_positives"]) for row in rows] == unpack(curve["tp"]).tolist()
    assert max(float(row["f1"]) for row in rows) == pytest.approx(curve["best"]["f1"], abs=1e-15)
    with page.expect_download() as started:
        page.locator("#curves-json").click()
    started.value.save_as(tmp_path / "curves.json")
    every = json.loads((tmp_path / "curves.json").read_text(encoding="utf-8"))
    assert {(one["unit"], one["view"], one["class"]) for one in every} == {
        (unit, view, name)
        for unit in ("box", "track", "frame")
        for view in ("raw", "fused", "held_out")
        for name in (None, *HOSTILE)
    }


def test_light_turns_dark_by_the_button_and_charts_follow(browser: Any, address: str) -> None:
    visit = Visit(browser, address, 1280, "light")
    colour = "getComputedStyle(document.body).backgroundColor"
    before, canvas = visit.page.evaluate(colour), visit.page.locator(".chart canvas").first
    drawn = canvas.evaluate("canvas => canvas.toDataURL()")
    visit.page.locator("#theme").click()
    visit.page.wait_for_function(f"before => {colour} !== before", arg=before)
    visit.page.wait_for_function("document.querySelectorAll('.chart canvas').length >= 10")
    visit.page.wait_for_function("drawn => document.querySelector('.chart canvas').toDataURL() !== drawn", arg=drawn)
    visit.close()
