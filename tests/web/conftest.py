"""A browser for tests of pages, as people use it: Debian's chromium, driven by playwright. Without one they are skipped."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), "/usr/lib/chromium/chromium"
)
PATIENCE_MILLISECONDS = 120_000
"""For anything that a page has to do sooner or later, on a busy machine."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not there")
    if not Path(CHROMIUM).exists():
        pytest.skip("there is no chromium here: apt-get install chromium")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Browser:
    """Opens pages, each for somebody else."""

    def __init__(self, chromium: Any) -> None:
        self._chromium = chromium

    def new_page(self, **options: Any) -> Any:
        page = self._chromium.new_page(**options)
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        return page

    def close(self) -> None:
        for context in self._chromium.contexts:
            context.close()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Browser]:
    """The module's browser, whose pages are closed after each test."""
    made = Browser(chromium)
    yield made
    made.close()
