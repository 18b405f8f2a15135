"""The page is one file that fetches nothing, runs nothing but its own scripts, and takes names for text."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tertium_server.cli.application import run
from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.readers import Labelled, read_labelled
from tertium_server.tuning.report import evidence, write_report
from tertium_server.tuning.report.document import bounded
from tertium_server.tuning.report.phrases import difference
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tests.scenes import scene, write_kitti
from tests.tuning.report.conftest import HOSTILE, HOSTILE_SEQUENCE, Reader, make_labelled, write_labels

Json = dict[str, Any]


def test_no_address_is_in_the_page(page: str, read: Callable[[str], Reader]) -> None:
    assert re.findall(r"(?i)\b(?:https?|wss?|ftp):", page) == []
    assert [re.findall(r"(?i)@import|url\(", text) for name, text in read(page).texts if name == "style"] == [[]]
    for name, attributes in read(page).elements:
        assert name not in {"link", "img", "iframe", "object", "embed", "base", "form", "svg"}
        assert "src" not in attributes
        if "href" in attributes:
            assert (attributes["href"] or "").startswith("#")


def test_the_browser_is_told_to_run_these_scripts_and_load_nothing(page: str, read: Callable[[str], Reader]) -> None:
    reader = read(page)
    (policy,) = [
        attributes["content"] or ""
        for _, attributes in reader.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for name, text in reader.texts:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        is_data = text.startswith('{"summary"')
        assert (f"'sha256-{digest}'" in policy) == (not is_data), name


def test_hostile_names_are_text_and_nothing_else(page: str, embedded: Json, read: Callable[[str], Reader]) -> None:
    assert embedded["classes"] == list(HOSTILE)
    assert embedded["sequences"][0]["name"] == HOSTILE_SEQUENCE
    scripts = [attributes for name, attributes in read(page).elements if name == "script"]
    assert [one.get("type") for one in scripts] == ["application/json", None, None]
    assert not [name for name, attributes in read(page).elements for key in attributes if key.startswith("on")]
    for name in (*HOSTILE, HOSTILE_SEQUENCE):
        assert name not in page
    assert "7 * 7" in page


def test_no_inline_style_or_handler_needs_an_exception(page: str, read: Callable[[str], Reader]) -> None:
    assert not [attributes for _, attributes in read(page).elements if "style" in attributes]


def test_the_licence_of_the_plots_goes_with_them(page: str) -> None:
    assert "Copyright (c) 2022 Leon Sorokin" in page
    assert "Permission is hereby granted, free of charge" in page


def test_the_same_tuning_gives_the_same_bytes(page: str, tuned: Tuning) -> None:
    again = StringIO()
    write_report(again, tuned)
    assert again.getvalue() == page


def test_what_does_not_fit_is_left_out_and_said_so(tuned: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_TRACKS", 12)
    monkeypatch.setattr(evidence, "MOST_MOMENTS", 60)
    monkeypatch.setattr(evidence, "LONGEST", 10)
    file = StringIO()
    write_report(file, tuned)
    page = file.getvalue()
    start = page.index(">", page.index('id="data"')) + 1
    tracks = json.loads(page[start : page.index("</script>", start)])["tracks"]
    assert tracks["shown"] == len(tracks["columns"]["ids"]) == 12 < tracks["total"]
    assert 0 < tracks["with_evidence"] == len(tracks["evidence"]) <= 12
    assert sum(len(one["frames"]) for one in tracks["evidence"]) <= 60
    assert f"The table holds 12 of {tracks['total']} tracks" in page


def written(labelled: tuple[Labelled, ...]) -> str:
    file = StringIO()
    write_report(file, tune(labelled, TuneOptions(effort=Effort(0))))
    return file.getvalue()


def test_a_class_that_is_never_there_and_truth_without_tracks_have_their_report(tmp_path: Path) -> None:
    labelled = make_labelled(tmp_path, 1)
    made = scene(7, length=60, objects=3, classes=("Tram",))
    write_kitti(made, tmp_path / "detections")
    (tmp_path / "labels" / f"{made.name}.txt").write_text("")
    labelled = read_labelled(tmp_path / "detections", tmp_path / "labels", "kitti")
    for one in labelled:
        one.truth.track_ids[:] = -1
    page = written(labelled)
    assert "Tram" in page
    assert 'value="track"' not in page
    assert "does not say which object this is" in page


def test_what_was_asked_for_besides_is_told_too(tuned: Tuning) -> None:
    groups = {"<yard>": (tuned.labelled[1].name,), "gate": (tuned.labelled[2].name,)}
    options = replace(tuned.options, groups=groups, iou_grid=(0.5, 0.75), limits=Limits(grid=(0.2, 0.4)))
    again = tune(tuned.labelled, options)
    file = StringIO()
    write_report(file, again)
    page = file.getvalue()
    strict = again.summary["iou_grid"][1]["held_out"]["overall"]["best_f1"]
    assert f'<td class="number">{strict:.3f}</td>' in page[page.index("By IoU from which a box is right") :]
    assert "&lt;yard&gt;" in page[page.index("By group of sequences") :]
    (first, _) = again.summary["grid"]["fused"]["overall"]
    table = page[page.index("At the thresholds of the grid, fused probability") :]
    assert (
        f'<td class="number">{first["true_positives"]:,}</td>' in table[: table.index("</tr>", table.index("<tbody>"))]
    )


def test_long_grids_stay_out_of_the_page_and_it_says_so(tuned: Tuning) -> None:
    rows, classes = [{"threshold": 0.5}] * 1500, tuned.summary["thresholds"]["classes"]
    grid = {side: {"overall": rows, "classes": dict.fromkeys(classes, rows)} for side in ("raw", "fused")}
    figures = {"overall": {"best_f1": 0.5}, "classes": {key: {"best_f1": 0.5} for key in classes}}
    ious = [{"iou": 0.5, "raw": figures, "held_out": figures}] * 900
    summary, left_out = bounded({**tuned.summary, "grid": grid, "iou_grid": ious})
    assert summary["grid"] == {}
    assert summary["iou_grid"][899] == {
        "iou": 0.5,
        **{key: {"overall": {"best_f1": 0.5}} for key in ("raw", "held_out")},
    }
    assert len(left_out) == 2
    assert "9,000 thresholds" in left_out[0]
    assert bounded(tuned.summary) == (tuned.summary, [])


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.00049, "0.000"), (-0.00049, "0.000"), (0.0021, "+0.002"), (-0.0306, "\u22120.031"), (None, "\u2013")],
)
def test_differences_have_their_sign_unless_they_are_nothing(value: float | None, said: str) -> None:
    assert difference(value) == said


def test_one_class_alone_is_not_offered_for_choice(tmp_path: Path) -> None:
    made = scene(1, length=80)
    write_kitti(made, tmp_path / "detections")
    write_labels(made, tmp_path / "labels")
    page = written(read_labelled(tmp_path / "detections", tmp_path / "labels", "kitti"))
    assert 'id="class"' not in page


def test_the_command_writes_it(tmp_path: Path) -> None:
    make_labelled(tmp_path, 2)
    words = ["tune", str(tmp_path / "detections"), str(tmp_path / "labels"), "--format", "kitti", "--no-cache"]
    words += ["--jobs", "1"]
    out, report, summary = (tmp_path / name for name in ("policy.yaml", "report.html", "summary.json"))
    assert run([*words, "--out", str(out), "--report", str(report), "--summary", str(summary)]) == 0
    page = report.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    start = page.index(">", page.index('id="data"')) + 1
    assert json.loads(page[start : page.index("</script>", start)])["summary"] == json.loads(summary.read_text())
