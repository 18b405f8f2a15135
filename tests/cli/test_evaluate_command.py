"""`tertium evaluate` from end to end: what tuning says of a policy is what replay and then evaluate say of it, exactly."""

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tertium_server.cli.application import run
from tertium_server.policy import load_policy
from tertium_server.tuning.rows import HEADER
from tests.kernels import keep_kernels
from tests.scenes import scene, write_mot
from tests.tuning.test_tune import write_truth

SEQUENCES = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("labelled")
    for seed in range(SEQUENCES):
        made = scene(seed, length=120, objects=6)
        write_truth(made, write_mot(made, root))
    return root


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        keep_kernels(patch)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tuned(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("tuned")
    words = ["tune", str(folder), str(folder), "--format", "mot", "--out", str(out / "p.yaml"), "--jobs", "1"]
    assert run([*words, "--summary", str(out / "s.json")]) == 0
    return out / "p.yaml", json.loads((out / "s.json").read_text())


def evaluate(folder: Path, out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    words = ["evaluate", str(folder), str(folder), "--format", "mot", "--json", str(out), "--jobs", "1"]
    code = run([*words, *more])
    return code, json.loads(out.read_text()) if out.exists() else {}


def test_what_tuning_says_is_what_evaluate_says_bit_for_bit(
    folder: Path, tuned: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    policy, summary = tuned
    code, found = evaluate(folder, tmp_path / "e.json", "--policy", str(policy))
    assert code == 0
    said = summary["at_thresholds"]
    assert said.keys() == {"frames", "hours", "units", "delay", "confusion"}
    assert {key: found[key] for key in said} == said
    assert found["policy"]["version"] == summary["policy"]["version"]


def test_matrix_curve_headline_and_evaluate_are_equal_at_the_thresholds(
    folder: Path, tuned: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    policy, summary = tuned
    _, found = evaluate(folder, tmp_path / "e.json", "--policy", str(policy))
    box = found["units"]["box"]["classes"]["object"]
    chosen = summary["thresholds"]["classes"]["object"]["box"]  # read off the curve, where it was chosen
    assert box["yes"]["precision"] == chosen["precision_of_yes"]
    assert box["yes"]["recall"] == chosen["recall_of_yes"]
    assert box["yes"]["f1"] == chosen["f1_of_yes"]
    assert box["yes_and_maybe"]["recall"] == chosen["recall_of_yes_and_maybe"]
    assert (box["maybe"], box["maybe_share"]) == (chosen["maybe"], chosen["maybe_share"])
    assert box["f1_with_people"] == chosen["f1_with_people"]
    headline = summary["all_data"]["fused"]["classes"]["object"]
    for key in ("best_f1", "threshold", "average_precision", "log_loss", "calibration_error"):
        assert box[key] == headline[key], key
    (right, helped, missed), (false, doubted, _) = found["confusion"]["counts"]
    assert (right, false) == (box["yes"]["true_positives"], box["yes"]["false_positives"])
    assert right + helped == box["yes_and_maybe"]["true_positives"]
    assert helped + doubted == box["maybe"]
    assert missed == box["yes_and_maybe"]["misses"]
    track, of_track = found["units"]["track"]["overall"], summary["thresholds"]["overall"]["track"]
    assert track["yes"]["precision"] == of_track["precision_of_yes"]
    assert track["yes"]["recall"] == of_track["recall_of_yes"]
    assert track["maybe"] == of_track["maybe"]


def test_the_file_that_replay_wrote_gives_the_same_bytes(
    folder: Path, tuned: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, decisions = str(tuned[0]), tmp_path / "d.csv"
    assert run(["replay", str(folder), "--format", "mot", "--policy", policy, "--out", str(decisions)]) == 0
    evaluate(folder, tmp_path / "one.json", "--policy", policy)
    code, _ = evaluate(folder, tmp_path / "two.json", "--policy", policy, "--decisions", str(decisions))
    assert code == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    rows = decisions.read_text().splitlines()
    cells = rows[2].split(",")
    cells[HEADER.index("probability")] = "1.5"
    decisions.write_text("\n".join([*rows[:2], ",".join(cells), *rows[3:]]))
    assert evaluate(folder, tmp_path / "no.json", "--policy", policy, "--decisions", str(decisions)) == (1, {})
    assert "d.csv, row 3, probability: is 1.5, no probability" in capsys.readouterr().err


def test_neither_processes_nor_the_cache_change_a_byte(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, more in (("a", ["--no-cache"]), ("b", ["--jobs", "2"]), ("c", []), ("d", ["--backend", "threading"])):
        assert evaluate(folder, tmp_path / f"{name}.json", *more)[0] == 0
        kept = len(list((tmp_path / "cache").rglob("*.npz")))
        assert kept == (0 if name == "a" else SEQUENCES)
    assert len({(tmp_path / f"{name}.json").read_bytes() for name in "abcd"}) == 1


def test_two_policies_are_compared_with_the_interval_of_the_difference(
    folder: Path, tuned: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, _ = tuned
    code, found = evaluate(folder, tmp_path / "e.json", "--against", str(policy))
    assert code == 0
    one = found["difference"]["units"]["box"]["overall"]["yes.recall"]
    ours, theirs = (side["units"]["box"]["overall"]["yes"]["recall"] for side in (found, found["against"]))
    assert one["difference"] == ours - theirs
    low, high = one["interval"]
    assert low <= one["difference"] <= high
    assert "first less second" in capsys.readouterr().err


def test_a_sequence_that_cannot_be_read_is_named_and_the_rest_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("scene-0", "scene-1", "scene-2"):
        (tmp_path / name).symlink_to(folder / name)
    bad = write_mot(scene(7, length=30), tmp_path)
    (bad / "gt").mkdir()
    (bad / "gt/gt.txt").write_text("1,1,10,10,nan,50,1,1,1\n")
    code, found = evaluate(tmp_path, tmp_path / "e.json")
    error = capsys.readouterr().err
    assert code == 1
    assert found["sequences"] == ["scene-0", "scene-1", "scene-2"]
    assert found["failed_sequences"].keys() == {"scene-7"}
    assert "gt.txt, row 1, column 5 (w)" in error.replace("\n", " ") or "row 1, column 5" in error
    words = ["tune", str(tmp_path), str(tmp_path), "--format", "mot", "--out", str(tmp_path / "p.yaml"), "--jobs", "1"]
    assert run([*words, "--summary", str(tmp_path / "s.json")]) == 1
    error = capsys.readouterr().err
    assert "sequence scene-7 was left out" in error
    assert (tmp_path / "p.yaml").exists()
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["failed_sequences"].keys() == {"scene-7"}
    assert any("scene-7" in text for text in summary["warnings"])


def test_brackets_in_names_are_no_styles_and_what_readers_say_is_in_the_figures_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("[red]gate", "yard [b]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "seqinfo.ini").symlink_to(folder / f"scene-{number}/seqinfo.ini")
        (tmp_path / name / "gt").symlink_to(folder / f"scene-{number}/gt")
        (tmp_path / name / "det").mkdir()
        rows = (folder / f"scene-{number}/det/det.txt").read_text().splitlines()[:40]
        rows = [",".join(row.split(",")[:6]) for row in rows]  # without a score
        (tmp_path / name / "det/det.txt").write_text("\n".join(rows))
    code, found = evaluate(tmp_path, tmp_path / "e.json", "--class-name", "[/b]person")
    assert code == 0
    told = capsys.readouterr().err
    for words in ("[red]gate", "yard [b]", "[/b]person", "[red]gate/det/det.txt: has no score column"):
        assert words in told
    assert sum("has no score column" in text for text in found["warnings"]) == 2


def test_a_sequence_that_the_engine_refuses_is_named_and_the_rest_goes_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scene-0").symlink_to(folder / "scene-0")
    crowded = write_mot(scene(8, length=30), tmp_path)
    rows = "".join(f"1,-1,{place % 600},{place // 600},20,20,0.5,-1,-1,-1\n" for place in range(1200))
    (crowded / "det/det.txt").write_text(rows)
    write_truth(scene(8, length=30), crowded)
    code, found = evaluate(tmp_path, tmp_path / "e.json")
    assert code == 1
    assert found["sequences"] == ["scene-0"]
    assert "more detections than the engine takes" in found["failed_sequences"]["scene-8"]
    assert "scene-8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--metric", "nowhere:f"], "--metric nowhere:f"),
        (["--policy", "nowhere.yaml"], "nowhere.yaml"),
        (["--decisions", "d.csv", "--against", "p.yaml"], "leave one out"),
        (["--decisions", "nowhere.csv"], "nowhere.csv"),
        (["--backend", "nobody"], "--backend nobody"),
        (["--iou", "0"], "--iou"),
        (["--class-name", " "], "--class-name: is ' '; name classes"),
        (["--truth-field", "x"], "--truth-field: only with --format fiftyone"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], problem: str
) -> None:
    code, found = evaluate(folder, tmp_path / "e.json", "--no-cache", *more)
    error = capsys.readouterr().err
    assert code != 0
    assert found == {}
    assert problem in error
    assert len(error.strip().splitlines()) == 1


def test_recordings_policy_and_results_may_be_named_by_url(
    folder: Path, tuned: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = fsspec.filesystem("memory")
    for file in folder.rglob("*.*"):
        store.pipe_file(f"/site/{file.relative_to(folder).as_posix()}", file.read_bytes())
    store.pipe_file("/policies/p.yaml", tuned[0].read_bytes())
    words = [
        "evaluate",
        "memory://site",
        folder.as_uri(),
        "--format",
        "mot",
        "--jobs",
        "1",
        "--policy",
        "memory://policies/p.yaml",
    ]
    assert run([*words, "--json", "memory://out/e.json", "--tables", "memory://out/tables"]) == 0
    evaluate(folder, tmp_path / "e.json", "--policy", str(tuned[0]))
    assert store.cat_file("/out/e.json") == (tmp_path / "e.json").read_bytes()
    assert [name.rpartition("/")[2] for name in store.find("/out/tables")] == [
        "detections.csv",
        "frames.csv",
        "tracks.csv",
    ]
    assert (
        run(["replay", "memory://site", "--format", "mot", "--out", "memory://out/d.csv", "--policy", words[-1]]) == 0
    )
    assert run([*words, "--decisions", "memory://out/d.csv", "--json", "memory://out/two.json"]) == 0
    assert store.cat_file("/out/two.json") == store.cat_file("/out/e.json")
    capsys.readouterr()
    assert run(["evaluate", "memory://nowhere", "memory://nowhere", "--format", "mot"]) == 1
    assert "memory://nowhere: holds no files" in capsys.readouterr().err
    assert run([*words[:-1], "memory://policies/none.yaml"]) == 1
    assert "memory://policies/none.yaml: can't be read" in capsys.readouterr().err


def test_a_policy_tuned_on_remote_recordings_says_where_they_are(folder: Path, tmp_path: Path) -> None:
    store = fsspec.filesystem("memory")
    for file in folder.rglob("*.*"):
        store.pipe_file(f"/site/{file.relative_to(folder).as_posix()}", file.read_bytes())
    words = [
        "tune",
        "memory://site",
        str(folder),
        "--format",
        "mot",
        "--jobs",
        "1",
        "--out",
        (tmp_path / "p.yaml").as_uri(),
    ]
    assert run(words) == 0
    data: Any = load_policy(tmp_path / "p.yaml").provenance["data"]
    assert data["scene-1"]["from"] == "memory://site/scene-1/det/det.txt"
    assert "truth_from" not in data["scene-1"]
