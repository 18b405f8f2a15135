"""One tuning on made recordings of two classes, whose names are as bad as they come, and its report."""

import json
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest

from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.objectives import Budget
from tertium_server.tuning.readers import Labelled, read_labelled
from tertium_server.tuning.report import Views, look, write_report
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tests.scenes import Scene, scene, write_kitti

HOSTILE = ("</script><img src=x onerror=alert(1)>", "\"'><svg/onload=alert(2)>&amp;\u2028{{ 7 * 7 }}")
"""Names of classes."""

HOSTILE_SEQUENCE = "<!--<script>alert(3)</script>"


def write_labels(made: Scene, folder: Path, without: int = -1) -> None:
    """The objects' own boxes as truth in KITTI's form; one of them left out, so that somebody is mistaken about it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{frame} {number} {name} 0 0 -10 {left} {top} {left + width:.2f} {top + height:.2f} -1 -1 -1 -1 -1 -1 -10\n"
        for frame, left, top, width, height, _, name, number in made.rows
        if number >= 0 and number != without
    ]
    (folder / f"{made.name}.txt").write_text("".join(rows))


def make_labelled(root: Path, sequences: int = 3) -> tuple[Labelled, ...]:
    for seed in range(sequences):
        made = scene(seed, length=100, objects=6, classes=("Car", "Van"))
        write_kitti(made, root / "detections")
        write_labels(made, root / "labels", without=seed)
    return read_labelled(root / "detections", root / "labels", "kitti")


def renamed(labelled: tuple[Labelled, ...], names: dict[int, str], sequence: str) -> tuple[Labelled, ...]:
    """The same with other names of classes, and of the first sequence."""
    changed = []
    for place, one in enumerate(labelled):
        fields: dict[str, Any] = {"class_names": names, "name": one.name if place else sequence}
        changed.append(Labelled(replace(one.sequence, **fields), replace(one.truth, **fields)))
    return tuple(changed)


@pytest.fixture(scope="session")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    labelled = make_labelled(tmp_path_factory.mktemp("report"))
    hostile = renamed(labelled, dict(enumerate(HOSTILE)), HOSTILE_SEQUENCE)
    return tune(hostile, TuneOptions(effort=Effort(0), objective=Budget(share=0.02)))


@pytest.fixture(scope="session")
def views(tuned: Tuning) -> Views:
    return look(tuned)


@pytest.fixture(scope="session")
def page(tuned: Tuning) -> str:
    file = StringIO()
    write_report(file, tuned)
    return file.getvalue()


class Reader(HTMLParser):
    """The elements of a page, and what is in its scripts and sheets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []

        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside in {"script", "style"}:
            self.texts.append((self.inside, data))


@pytest.fixture(scope="session")
def read() -> Callable[[str], Reader]:
    def parsed(text: str) -> Reader:
        reader = Reader()
        reader.feed(text)
        return reader

    return parsed


@pytest.fixture(scope="session")
def embedded(page: str) -> dict[str, Any]:
    """The page's data, as its scripts find them."""
    start = page.index(">", page.index('id="data"')) + 1
    return cast("dict[str, Any]", json.loads(page[start : page.index("</script>", start)]))
