"""What an evaluation says is what counting by hand says, and its parts agree with each other."""

import csv
import errno
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tertium_server.engine import Verdict
from tertium_server.policy import Policy, default_policy
from tertium_server.tuning.assigning import Task, assign_thresholds
from tertium_server.tuning.comparing import Sides, compare_sides
from tertium_server.tuning.evaluate import EvaluateOptions, Evaluation, compare, evaluate
from tertium_server.tuning.evaluate_command import Work
from tertium_server.tuning.evaluate_decisions import read_decisions
from tertium_server.tuning.evaluate_delays import delays_of
from tertium_server.tuning.evaluate_metrics import Metric, MetricError, find_metric
from tertium_server.tuning.evaluate_slices import slices
from tertium_server.tuning.evaluate_tables import TableError, Tables
from tertium_server.tuning.figures import Matching, Scored
from tertium_server.tuning.fit.crossvalidation import HeldOut
from tertium_server.tuning.fit.folds import make_folds
from tertium_server.tuning.judged import YES, Judged, judge, units_by_probability, units_by_verdict
from tertium_server.tuning.limits import Limits
from tertium_server.tuning.matching import Label, Rule, match
from tertium_server.tuning.objectives import Budget
from tertium_server.tuning.readers import Kind, Labelled, ReadError
from tertium_server.tuning.replay import ReplayOptions, replay
from tertium_server.tuning.rows import write_header, write_rows
from tertium_server.tuning.units import Place, Unit
from tests.tuning.figures import difference_intervals
from tests.tuning.labelled import crowd

RULES = (Rule.SCORE, Rule.IOU)


def with_thresholds(yes: float, no: float) -> Policy:
    tree = default_policy().model_dump(mode="json")
    for unit in ("box", "track"):
        tree["defaults"][unit]["thresholds"] |= {"yes": yes, "no": no}
    return Policy.model_validate(tree)


POLICY = with_thresholds(0.3, 0.12)


def crowds(count: int = 3, **fields: bool) -> list[Labelled]:
    made = [crowd(seed, frames=40, decimals=3, **fields) for seed in range(count)]
    return [
        Labelled(replace(one.sequence, name=f"scene-{place}"), replace(one.truth, name=f"scene-{place}"))
        for place, one in enumerate(made)
    ]


def judged_by(policy: Policy, labelled: list[Labelled], rule: Rule = Rule.SCORE) -> list[Judged]:
    return [judge(one, replay(one.sequence, policy), policy, Matching(rule)) for one in labelled]


def evaluated(policy: Policy, rule: Rule = Rule.SCORE, **fields: bool) -> Evaluation:
    judged = judged_by(policy, crowds(**fields), rule)
    return evaluate(judged, EvaluateOptions(matching=Matching(rule), units=(Unit.BOX, Unit.FRAME)))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("ignored", [False, True])
def test_counts_of_a_verdict_are_those_of_matching_what_got_it(rule: Rule, *, ignored: bool) -> None:
    evaluation = evaluated(POLICY, rule, ignored=ignored)
    figures = evaluation.describe()["units"]["box"]["overall"]
    for name, threshold in (("yes", 0.3), ("yes_and_maybe", 0.12)):
        true = false = objects = 0
        for one in evaluation.judged:
            labels = match(one.labelled, one.decisions.probabilities, 0.5, rule, least=threshold).labels
            true += int((labels == Label.TRUE).sum())
            false += int((labels == Label.FALSE).sum())
            objects += int((one.labelled.truth.kinds == Kind.EVALUATE).sum())
        assert true > 0
        assert false > 0
        assert figures["objects"] == objects
        assert (figures[name]["true_positives"], figures[name]["false_positives"]) == (true, false)
        assert figures[name]["misses"] == objects - true
        assert figures[name]["f1"] == pytest.approx(2 * true / (objects + true + false))


@pytest.mark.parametrize("rule", RULES)
def test_matrix_and_figures_agree_in_every_sum(rule: Rule) -> None:
    described = evaluated(POLICY, rule, ignored=True).describe()
    matrix, units = described["confusion"], described["units"]["box"]
    counts = np.array(matrix["counts"])
    assert matrix["rows"] == ["car", "person", "tree", "None"]
    assert matrix["columns"] == ["car", "person", "tree", "Maybe", "None"]
    for place, name in enumerate(matrix["rows"][:-1]):
        figures = units["classes"][name]
        assert counts[place].sum() == figures["objects"]
        assert counts[place, place] == figures["yes"]["true_positives"]
        assert counts[:, place].sum() - counts[place, place] == figures["yes"]["false_positives"]
    whole = units["overall"]
    assert counts[:-1].sum() == whole["objects"]
    if rule is Rule.SCORE:  # by IoU those that are MAYBE re-pair some that are YES
        assert counts[:-1, -2].sum() == whole["yes_and_maybe"]["true_positives"] - whole["yes"]["true_positives"]
        assert whole["maybe"] == counts[:, -2].sum()


def test_a_class_that_was_never_there_has_no_recall_and_no_best_threshold() -> None:
    tree = evaluated(POLICY).describe()["units"]["box"]["classes"]["tree"]
    assert tree["objects"] == 0
    assert tree["yes"]["recall"] is None
    assert tree["best_f1"] is None
    assert "no object" in tree["undetermined"]


def test_classes_frames_and_overall_are_counted_by_the_same_verdicts() -> None:
    described = evaluated(POLICY).describe()["units"]
    for unit in described.values():
        for name in ("yes", "yes_and_maybe"):
            for count in ("true_positives", "false_positives", "misses"):
                assert sum(one[name][count] for one in unit["classes"].values()) == unit["overall"][name][count]


def test_a_box_that_was_turned_down_takes_no_object_from_one_that_was_accepted() -> None:
    labelled = crowds(1)[0]
    decisions = replay(labelled.sequence, POLICY)
    first = judge(labelled, decisions, POLICY, Matching())
    pairs = [
        (int(one), int(other))
        for one in np.flatnonzero(first.matches.labels == Label.TRUE)
        for other in np.flatnonzero(first.matches.labels == Label.FALSE)
        if first.matches.truth_index[one] >= 0
        and labelled.sequence.frames[one] == labelled.sequence.frames[other]
        and match(labelled, np.eye(len(labelled.sequence))[other]).truth_index[other] == first.matches.truth_index[one]
    ]
    assert pairs
    winner, loser = pairs[0]
    verdicts = decisions.verdicts.copy()
    verdicts[:] = Verdict.NO
    verdicts[loser] = Verdict.YES
    turned = judge(labelled, replace(decisions, verdicts=verdicts), POLICY, Matching())
    assert turned.matches.labels[loser] == Label.TRUE
    assert turned.matches.labels[winner] == Label.FALSE


@pytest.mark.parametrize("rule", RULES)
def test_slices_add_up_to_the_whole(rule: Rule) -> None:
    evaluation = evaluated(POLICY, rule, ignored=True)
    whole = evaluation.describe()["units"]["box"]["overall"]
    parts = slices(evaluation.judged, evaluation.places(), 0)
    assert parts.keys() == {"sequence", "class", "size", "time"}
    assert len(parts["time"]) > 1
    for way, by_name in parts.items():
        for key in ("objects", "maybe", "cases"):
            assert sum(one[key] for one in by_name.values()) == whole[key], (way, key)
        for name in ("yes", "yes_and_maybe"):
            for count in ("true_positives", "false_positives", "misses"):
                if way == "size" and rule is Rule.IOU:
                    continue  # who is paired with whom depends on the threshold, and with it whose size counts
                assert sum(one[name][count] for one in by_name.values()) == whole[name][count], (way, name, count)


def test_a_slice_by_sequence_is_that_sequence_alone() -> None:
    labelled = crowds()
    judged = judged_by(POLICY, labelled)
    parts = slices(judged, Place.of_all(labelled), 0)["sequence"]
    for one in judged:
        alone = evaluate([one], EvaluateOptions(units=(Unit.BOX,))).describe()["units"]["box"]["overall"]
        for key in ("objects", "cases", "maybe", "yes", "yes_and_maybe"):
            assert parts[one.name][key] == alone[key]


def test_time_is_cut_into_windows_of_a_round_length() -> None:
    labelled = crowds(2)
    judged = [replace(one, labelled=_at(one.labelled, fps=0.05)) for one in judged_by(POLICY, labelled)]
    names = list(slices(judged, Place.of_all(labelled), 0)["time"])
    assert names[0] == "0:00-2:00"  # 40 frames in 800 seconds: seven windows of two minutes
    assert len(names) == 7


def _at(labelled: Labelled, fps: float) -> Labelled:
    return Labelled(replace(labelled.sequence, fps=fps), labelled.truth)


def test_a_policy_compared_with_itself_differs_in_nothing() -> None:
    found = compare(evaluated(POLICY), evaluated(POLICY))["units"]["box"]["overall"]
    assert found["yes.f1"] == {"difference": 0.0, "interval": [0.0, 0.0]}
    assert all(one["difference"] == 0.0 for one in found.values())


def test_differences_of_two_policies_are_drawn_from_the_same_blocks() -> None:
    labelled, other = crowds(), with_thresholds(0.5, 0.2)
    judged = [judged_by(policy, labelled) for policy in (POLICY, other)]
    found = compare(*(evaluate(one) for one in judged))["units"]["box"]["overall"]
    places = Place.of_all(labelled)
    first, second = (units_by_verdict(one, places, Unit.BOX).counts_by_block(YES) for one in judged)
    expected = difference_intervals(first, second, seed=0)["recall"]
    assert found["yes.recall"]["interval"] == [expected.low, expected.high]
    points = [2 * one.tp.sum() / (one.tp.sum() + one.fp.sum() + one.positives.sum()) for one in (first, second)]
    assert found["yes.f1"]["difference"] == pytest.approx(points[0] - points[1])


def test_intervals_hold_the_figures_and_depend_on_the_seed_alone() -> None:
    one, again = (evaluated(POLICY).describe()["units"]["box"]["overall"] for _ in range(2))
    assert one == again
    low, high = one["intervals"]["yes.f1"]
    assert low < one["yes"]["f1"] < high
    low, high = one["intervals"]["log_loss"]
    assert low < one["log_loss"] < high


def test_log_loss_and_calibration_are_those_of_the_boxes_that_count() -> None:
    evaluation = evaluated(POLICY, ignored=True)
    said, came = [], []
    for one in evaluation.judged:
        labels = match(one.labelled, one.decisions.probabilities).labels
        said += one.decisions.probabilities[labels >= 0].astype(float).tolist()
        came += (labels[labels >= 0] == 1).astype(float).tolist()
    expected = -np.mean([math.log(p if true else 1 - p) for p, true in zip(said, came, strict=True)])
    figures = evaluation.describe()["units"]["box"]["overall"]
    assert figures["log_loss"] == pytest.approx(expected)
    assert 0.0 < figures["calibration_error"] < 1.0


def test_delays_are_counted_from_the_first_box_of_a_true_track_to_its_first_yes() -> None:
    labelled = crowds(2)
    judged = judged_by(with_thresholds(0.2, 0.1), labelled)
    found = delays_of(judged, Place.of_all(labelled))
    expected = []
    for one in judged:
        labels = match(one.labelled, one.decisions.probabilities).labels
        for track in np.unique(one.decisions.track_ids):
            mine = np.flatnonzero(one.decisions.track_ids == track)
            true, false = ((labels[mine] == label).sum() for label in (Label.TRUE, Label.FALSE))
            if true + false == 0 or true < 0.5 * (true + false):
                continue
            sure = mine[one.decisions.track_probabilities[mine] >= np.float64(0.2)]
            frames = one.labelled.sequence.frames
            expected.append(int(frames[sure].min() - frames[mine].min()) if len(sure) else -1)
    assert max(expected) > 0
    assert sorted(found.frames.tolist()) == sorted(expected)
    assert found.seconds[found.frames > 0] == pytest.approx(found.frames[found.frames > 0] / 25.0)


def file_of(policy: Policy, labelled: list[Labelled], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        write_header(file)
        for one in labelled:
            write_rows(file, replay(one.sequence, policy))
    return path


def test_figures_of_a_file_that_replay_wrote_are_those_of_the_replay(tmp_path: Path) -> None:
    labelled = crowds(ignored=True)
    work = Work(EvaluateOptions(units=(Unit.BOX, Unit.FRAME)), ReplayOptions())
    file = file_of(POLICY, labelled, tmp_path / "decisions.csv")
    assert work.of_file(labelled, POLICY, file, {}) == work.of_policies(labelled, POLICY, None, {})


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sequence,frame", "sequence,farme", "is not what tertium replay writes"),
        (",YES\n", ",JA\n", "row [0-9]+, verdict: is 'JA'"),
        (",car,", ",cat,", "row [0-9]+, class: is cat; the recording has car there"),
        (",YES\n", "\n", "row [0-9]+: has 12 cells"),
    ],
)
def test_a_file_that_does_not_belong_is_refused_by_row_and_column(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    labelled = crowds(1)
    file = file_of(POLICY, labelled, tmp_path / "decisions.csv")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ReadError, match=problem):
        read_decisions(file, labelled, "0-x")


def test_a_file_with_too_few_rows_or_none_is_refused(tmp_path: Path) -> None:
    labelled = crowds(2)
    file = file_of(POLICY, labelled[:1], tmp_path / "decisions.csv")
    with pytest.raises(ReadError, match="0 rows for sequence scene-1"):
        read_decisions(file, labelled, "0-x")
    with pytest.raises(ReadError, match="can't be read"):
        read_decisions(tmp_path / "nowhere.csv", labelled, "0-x")


def test_a_metric_of_the_users_own_is_given_all_that_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yard_figures.py").write_text(
        "def yes_share(judged):\n"
        "    verdicts = [verdict for one in judged for verdict in one.decisions.verdicts]\n"
        "    return {'yes': verdicts.count(3) / len(verdicts), 'nothing': None}\n"
    )
    monkeypatch.chdir(tmp_path)
    judged = judged_by(POLICY, crowds(2))
    found = find_metric("yard_figures:yes_share").of(judged)
    verdicts = np.concatenate([one.decisions.verdicts for one in judged])
    assert found == {"yes": np.mean(verdicts == Verdict.YES), "nothing": None}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("math", "module:function"),
        ("no_such_module:f", "there is no module no_such_module"),
        ("math:no_such", "module math has no no_such"),
        ("math:pi", "pi of module math is no function"),
    ],
)
def test_a_metric_that_is_not_there_is_named(name: str, problem: str) -> None:
    with pytest.raises(MetricError, match=problem) as caught:
        find_metric(name)
    assert f"--metric {name}" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "problem"), [("much", "is 'much'"), (True, "is True"), (math.inf, "infinite"), ({"a": []}, "a is \\[\\]")]
)
def test_a_metric_that_gives_no_number_is_told_so(value: object, problem: str) -> None:
    with pytest.raises(MetricError, match=f"--metric m:f: .*{problem}"):
        Metric("m:f", lambda _: value).of([])


def test_a_metric_that_fails_is_named_with_its_error() -> None:
    with pytest.raises(MetricError, match="--metric m:f: the function failed: ZeroDivisionError"):
        Metric("m:f", lambda judged: 1 / len(judged)).of([])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tables_hold_a_row_for_each_detection_track_and_frame_and_add_up_to_the_figures(tmp_path: Path) -> None:
    labelled = crowds(ignored=True)
    work = Work(EvaluateOptions(), ReplayOptions(), tables=Tables(tmp_path / "deep" / "tables"))
    found = work.of_policies(labelled, POLICY, None, {})["units"]
    detections, tracks, frames = (
        table(tmp_path / "deep" / "tables" / f"{name}.csv") for name in ("detections", "tracks", "frames")
    )
    assert len(detections) == sum(len(one.sequence) for one in labelled)
    assert len(frames) == sum(one.sequence.length for one in labelled)
    yes = found["box"]["overall"]["yes"]
    for label, count in (("true", yes["true_positives"]), ("false", yes["false_positives"])):
        assert sum(row["verdict"] == "YES" and row["label"] == label for row in detections) == count
        assert sum(int(row[f"{label}_yes"]) for row in frames) == count
    assert sum(int(row["misses"]) for row in frames) == yes["misses"]
    assert sum(int(row["maybe"]) for row in frames) == sum(row["verdict"] == "MAYBE" for row in detections)
    of_tracks = found["track"]["overall"]["yes"]
    for label, count in (("true", of_tracks["true_positives"]), ("false", of_tracks["false_positives"])):
        assert sum(row["verdict"] == "YES" and row["label"] == label for row in tracks) == count
    assert sum(int(row["boxes"]) for row in tracks) == len(detections)
    first = detections[0]
    assert float(first["probability"]) == pytest.approx(replay(labelled[0].sequence, POLICY).probabilities[0])


def test_parquet_holds_what_csv_holds_with_its_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    judged = judged_by(POLICY, crowds(2))
    Tables(tmp_path / "csv").write(judged)
    Tables(f"{(tmp_path / 'parquet').as_uri()}", "parquet").write(judged)
    for name in ("detections", "tracks", "frames"):
        rows = parquet.read_table(tmp_path / f"parquet/{name}.parquet").to_pylist()
        for ours, theirs in zip(rows, table(tmp_path / f"csv/{name}.csv"), strict=True):
            assert list(ours) == list(theirs)
            for column, text in theirs.items():
                value = ours[column]
                assert value == (
                    None if not text else type(value)(text) if value is not None else text
                ) or value == pytest.approx(float(text), rel=1e-5)
        assert {type(row["sequence"]) for row in rows} == {str}


def test_tables_without_rows_have_their_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    Tables(tmp_path, "parquet").write([])
    found = parquet.read_table(tmp_path / "tracks.parquet")
    assert (found.num_rows, str(found.schema.field("frames_until_yes").type)) == (0, "int64")


def test_parquet_without_pyarrow_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(TableError, match=r"pip install 'tertium\[parquet\]', or write csv"):
        Tables(tmp_path, "parquet").write([])


def test_a_table_that_breaks_off_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "detections.csv"
    file.write_text("before")
    plain = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        plain(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(TableError, match=r"can't be written \(No space left on device\)"):
        Tables(tmp_path).write(judged_by(POLICY, crowds(1)))
    assert {one.name for one in tmp_path.iterdir()} == {"detections.csv"}
    assert file.read_text() == "before"


def test_a_folder_for_tables_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TableError, match="file/tables: can't be written"):
        Tables(tmp_path / "file" / "tables").write(judged_by(POLICY, crowds(1)))


SECOND = 1_000_000_000


def test_hours_are_those_of_the_clock_where_a_camera_sends_frames_now_and_then() -> None:
    (one,) = crowds(1)
    steps = np.full(39, 10 * SECOND)
    steps[[5, 20]] = -400 * SECOND, 10**9 * SECOND  # clocks that were set, back and to today
    times = np.concatenate([[0], np.cumsum(steps)])
    sent = Labelled(replace(one.sequence, times=times), one.truth)
    found = evaluate(judged_by(POLICY, [sent]), EvaluateOptions(units=(Unit.BOX,)))
    assert found.describe()["hours"] == pytest.approx((37 * 10 + 3600 + 1 / 25) / 3600)
    assert evaluated(POLICY).describe()["hours"] == pytest.approx(3 * 40 / 25 / 3600)
    by_time = slices(found.judged, found.places(), 0)["time"]
    assert sum(part["objects"] for part in by_time.values()) == found.describe()["units"]["box"]["overall"]["objects"]
    hourly = Task(objective=Budget(cases_per_hour=20.0), limits=Limits(), groups={})
    units = {Unit.BOX: units_by_probability(found.judged, found.places(), Unit.BOX)}
    scored = Scored.of([sent], [sent.sequence.scores], Matching())
    chosen = assign_thresholds(with_classes(sent), scored, found.places(), units, hourly).chosen["overall"]["box"]
    assert 0 < chosen["maybe"] <= 22  # 1.1 hours; by frames and their rate it would be none


def with_classes(one: Labelled) -> Policy:
    tree = POLICY.model_dump(mode="json")
    return Policy.model_validate({**tree, "classes": {name: {} for name in one.sequence.class_names.values()}})


def test_a_class_that_only_one_sequence_has_gets_no_interval() -> None:
    labelled = []
    for place, one in enumerate(crowds(6)):
        here, there = one.sequence, one.truth
        cars = Labelled(
            replace(here, class_ids=np.zeros_like(here.class_ids)),
            replace(there, class_ids=np.zeros_like(there.class_ids)),
        )
        labelled.append(cars if place else one)
    found = evaluate(judged_by(POLICY, labelled), EvaluateOptions(units=(Unit.BOX,))).describe()
    everywhere, once = (found["units"]["box"]["classes"][name] for name in ("car", "person"))
    assert once["objects"] > 0
    assert {name for name, ends in once["intervals"].items() if ends is not None} == set()
    assert all(ends[0] < ends[1] for ends in everywhere["intervals"].values())
    places = Place.of_all(labelled)
    scored = Scored.of(labelled, [one.sequence.scores for one in labelled], Matching())
    held = [held_out(one) for one in labelled]
    summary = compare_sides(
        Sides.of(held, scored, Matching()),
        make_folds([one.sequence.frames for one in labelled], [40] * 6, [1] * 6, 2, 0),
        places,
        0,
    )
    for which in ("raw", "fused"):
        intervals = {name: summary["held_out"][which]["classes"][name]["intervals"] for name in ("car", "person")}
        assert None not in intervals["car"].values()
        assert set(intervals["person"].values()) == {None}
    assert summary["held_out"]["gain"]["classes"]["person"]["best_f1_interval"] is None


def held_out(one: Labelled) -> HeldOut:
    scores = one.sequence.scores
    return HeldOut(scores.astype(np.float32), scores, scores, scores.astype(np.float32), np.arange(len(scores)))


def test_what_a_policy_says_of_the_group_default_is_judged_by_and_of_other_groups_told() -> None:
    tree = POLICY.model_dump(mode="json")
    stricter = {"all": {"track": {"thresholds": {"yes": 0.9, "no": 0.8}}}}
    ours, others = (Policy.model_validate({**tree, "groups": {name: stricter}}) for name in ("def*", "yard"))
    (one,) = crowds(1)
    work = Work(EvaluateOptions(units=(Unit.BOX,)), ReplayOptions())
    (judged,) = judged_by(ours, [one])
    said = judged.decisions.track_probabilities
    assert np.array_equal(judged.track_levels, np.where(said >= 0.9, 3, np.where(said >= 0.8, 2, 1)))
    assert work.of_policies([one], ours, None, {})["warnings"] == []
    (warning,) = work.of_policies([one], others, None, {})["warnings"]
    assert "what it says of group yard is not looked at; recordings are judged as a stream without a name" in warning
