"""The report's numbers are those of the summary, of replay, and of counting by hand."""

from typing import Any

import numpy as np
import pytest

from tertium_server.engine import Verdict
from tertium_server.tuning.curve import Curve
from tertium_server.tuning.figures import Matching, Scored
from tertium_server.tuning.fit.rungs import Rung
from tertium_server.tuning.matching import Label, Scores, match
from tertium_server.tuning.readers import Kind
from tertium_server.tuning.replay import replay
from tertium_server.tuning.report.curves import MOST_POINTS, share, thinned
from tertium_server.tuning.report.distributions import histogram
from tertium_server.tuning.report.packing import pack, unpack
from tertium_server.tuning.report.phrases import RUNGS
from tertium_server.tuning.tune import Tuning
from tests.tuning.labelled import crowd

Json = dict[str, Any]


def test_the_headline_is_the_summarys(embedded: Json, tuned: Tuning) -> None:
    box, summary = embedded["headline"]["box"], tuned.summary
    for name, of in (
        ("raw", summary["all_data"]["raw"]),
        ("calibrated", summary["held_out"]["calibrated"]),
        ("held_out", summary["held_out"]["fused"]),
        ("fused", summary["all_data"]["fused"]),
    ):
        for figure in ("best_f1", "threshold", "precision", "recall", "average_precision"):
            assert box[name][figure] == of["overall"][figure]
        assert box[name]["interval"] == of["overall"]["intervals"]["best_f1"]
    assert box["gain"]["f1"] == box["held_out"]["best_f1"] - box["calibrated"]["best_f1"]
    assert box["gain_by_fold"] == box["held_out"]["by_fold"] - box["raw"]["by_fold"]
    assert embedded["summary"] == summary


def test_every_point_is_what_counting_at_its_threshold_gives(embedded: Json, tuned: Tuning) -> None:
    by_view: dict[str, list[Scores]] = {
        "raw": [one.sequence.scores for one in tuned.labelled],
        "held_out": [one.probabilities for one in tuned.held_out],
    }
    for view, scores in by_view.items():
        matched = [match(one, values) for one, values in zip(tuned.labelled, scores, strict=True)]
        for scope, class_id in (("all", None), ("0", 0), ("1", 1)):
            curve = embedded["curves"]["box"][view][scope]
            thresholds, tp, fp = (unpack(curve[name]) for name in ("thresholds", "tp", "fp"))
            values, labels = (
                np.concatenate(
                    [
                        column[(class_id is None) | (one.sequence.class_ids == class_id)]
                        for one, column in zip(tuned.labelled, columns, strict=True)
                    ]
                )
                for columns in (scores, [found.labels for found in matched])
            )
            assert len(thresholds) == curve["of"] == len(np.unique(values[labels >= Label.FALSE]))
            for place in range(0, len(thresholds), 37):
                accepted = values >= thresholds[place]
                assert tp[place] == (accepted & (labels == Label.TRUE)).sum()
                assert fp[place] == (accepted & (labels == Label.FALSE)).sum()


def test_curve_matrix_slices_and_summary_say_the_same_at_the_exported_thresholds(embedded: Json, tuned: Tuning) -> None:
    counts = np.array(embedded["confusion"]["counts"])
    by_class = tuned.summary["at_thresholds"]["units"]["box"]["classes"]
    for class_id, name in enumerate(embedded["classes"]):
        curve, sliced = embedded["curves"]["box"]["fused"][str(class_id)], embedded["slices"]["classes"][class_id]
        told, thresholds = by_class[name], embedded["thresholds"]["box"][str(class_id)]
        right = int(counts[class_id, class_id])
        false = int(counts[:, class_id].sum()) - right
        missed = int(counts[class_id].sum()) - right
        assert (right, false, missed) == (curve["yes"]["tp"], curve["yes"]["fp"], curve["yes"]["fn"])
        assert (right, false, missed) == (sliced["tp"], sliced["fp"], sliced["fn"])
        assert (right, false, missed) == tuple(
            told["yes"][key] for key in ("true_positives", "false_positives", "misses")
        )
        assert curve["yes"]["precision"] == told["yes"]["precision"] == sliced["precision"]
        assert sliced["maybe"] == told["maybe"]
        assert (thresholds["yes"], thresholds["no"]) == tuple(
            tuned.summary["thresholds"]["classes"][name]["box"][end] for end in ("yes", "no")
        )
    assert counts.tolist() == tuned.summary["at_thresholds"]["confusion"]["counts"]
    total = embedded["slices"]["total"]
    assert int(counts[:, 2].sum()) == total["maybe"]
    assert int(counts[:2].sum()) == total["objects"]
    assert [sum(one[key] for one in embedded["slices"]["sequences"]) for key in ("tp", "fp", "fn", "maybe")] == [
        total[key] for key in ("tp", "fp", "fn", "maybe")
    ]


def test_a_sequence_is_compared_at_its_own_best_thresholds(embedded: Json, tuned: Tuning) -> None:
    for place, one in enumerate(tuned.labelled):
        for name, scores in (("raw_f1", one.sequence.scores), ("held_out_f1", tuned.held_out[place].probabilities)):
            labels, objects = match(one, scores).labels, int((one.truth.kinds == Kind.EVALUATE).sum())
            best = max(
                2 * int((labels[scores >= threshold] == Label.TRUE).sum())
                / (objects + int((labels[scores >= threshold] >= Label.FALSE).sum()))
                for threshold in np.unique(scores)
            )  # fmt: skip
            assert embedded["slices"]["sequences"][place][name] == pytest.approx(best, abs=1e-12)


def test_every_way_of_judging_boxes_has_its_words() -> None:
    assert RUNGS.keys() == set(map(str, Rung))


def test_the_rows_behind_a_cell_are_what_the_cell_counts(embedded: Json, tuned: Tuning) -> None:
    counts, cells = embedded["confusion"]["counts"], embedded["confusion"]["cells"]
    decisions = [replay(one.sequence, tuned.policy) for one in tuned.labelled]
    verdicts = (Verdict.YES, Verdict.YES, Verdict.MAYBE, Verdict.NO)
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            cell = cells.get(f"{row},{column}")
            assert (cell is None) == (count == 0)
            if cell is None:
                continue
            assert len(cell["frames"]) == min(count, embedded["confusion"]["most"])
            for at, place in enumerate(cell["sequences"]):
                one, line_number = tuned.labelled[place].sequence, cell["lines"][at]
                if line_number is None:  # an object that was never detected
                    assert (row < 2, column) == (True, 3)
                    continue
                (found,) = np.flatnonzero(one.rows == line_number)
                assert decisions[place].verdicts[found] == verdicts[column]
                assert cell["frames"][at] == one.frames[found]
                assert cell["tracks"][at] == decisions[place].track_ids[found]
                assert cell["probabilities"][at] == pytest.approx(decisions[place].probabilities[found], abs=1e-6)
            known = [value for value in cell["probabilities"] if value is not None]
            assert known == sorted(known, reverse=not (row == column < 2 or row < 2 <= column))


def test_a_tracks_evidence_is_what_replay_says_frame_by_frame(embedded: Json, tuned: Tuning) -> None:
    tracks = embedded["tracks"]
    decisions = [replay(one.sequence, tuned.policy) for one in tuned.labelled]
    assert tracks["total"] == tracks["shown"] == sum(len(np.unique(one.track_ids)) for one in decisions)
    for at, evidence in enumerate(tracks["evidence"]):
        place, track = tracks["columns"]["sequences"][at], tracks["columns"]["ids"][at]
        said, sequence = decisions[place], tuned.labelled[place].sequence
        boxes = np.flatnonzero(said.track_ids == track)
        boxes = boxes[np.argsort(sequence.frames[boxes], kind="stable")]
        assert evidence["frames"] == sequence.frames[boxes].tolist()
        assert evidence["track"] == pytest.approx(said.track_probabilities[boxes].tolist(), abs=6e-5)
        assert evidence["box_verdicts"] == "".join(Verdict(number).name[0] for number in said.verdicts[boxes])
        highest = Verdict(int(said.track_verdicts[boxes].max()))
        assert tracks["columns"]["verdicts"][at] == highest
        assert tracks["columns"]["missed"][at] == evidence["frames"][-1] - evidence["frames"][0] + 1 - len(boxes)
        assert (tracks["columns"]["delays"][at] < 0) == (highest != Verdict.YES)


def test_mistakes_come_first_and_delays_are_the_summarys(embedded: Json, tuned: Tuning) -> None:
    columns = embedded["tracks"]["columns"]
    wrong = [
        (label == Label.TRUE and verdict == Verdict.NO) or (label == Label.FALSE and verdict == Verdict.YES)
        for label, verdict in zip(columns["labels"], columns["verdicts"], strict=True)
    ]
    assert [bool(flag) for flag in columns["mistaken"]] == wrong
    assert wrong == sorted(wrong, reverse=True)
    assert any(wrong)
    told = tuned.summary["at_thresholds"]["delay"]["overall"]
    delay = embedded["distributions"]["all"]["delay"]
    assert (delay["median"], delay["p90"]) == (told["frames"]["median"], told["frames"]["p90"])
    assert delay["never"] == told["never_yes"]
    assert sum(delay["counts"]) == told["true_tracks"] - told["never_yes"] > 0


def test_outcomes_of_tracks_are_the_summarys(embedded: Json, tuned: Tuning) -> None:
    told = tuned.summary["at_thresholds"]["units"]["track"]["overall"]
    (right, _, _), (false, _, _) = (embedded["tracks"]["outcomes"]["all"][label] for label in ("1", "0"))
    assert (right, false) == (told["yes"]["true_positives"], told["yes"]["false_positives"])
    assert sum(line[1] for line in embedded["tracks"]["outcomes"]["all"].values()) == told["maybe"]
    by_class = [embedded["tracks"]["outcomes"][scope] for scope in ("0", "1")]
    for label, line in embedded["tracks"]["outcomes"]["all"].items():
        assert line == [sum(column) for column in zip(*(one[label] for one in by_class), strict=True)]


def test_histograms_and_bins_hold_every_judged_box(embedded: Json, tuned: Tuning) -> None:
    for view, told in (("raw", tuned.summary["all_data"]["raw"]), ("held_out", tuned.summary["held_out"]["fused"])):
        for scope, figures in (("all", told["overall"]), ("0", told["classes"][embedded["classes"][0]])):
            histogram = embedded["histograms"][view][scope]
            assert sum(histogram["true"]) == figures["true_detections"]
            assert sum(histogram["true"]) + sum(histogram["false"]) == figures["detections"]
            assert sum(embedded["reliability"][view][scope]["counts"]) == figures["detections"]
            if "calibration_error" in figures:
                assert embedded["reliability"][view][scope]["error"] == figures["calibration_error"]


def test_columns_come_back_from_the_page_as_they_went_in() -> None:
    for values in (
        np.array([0.1, 1 / 3], np.float64),
        np.array([0.1, 0.7], np.float32).astype(np.float64),
        np.array([0, 255]),
        np.array([0, 256]),
        np.array([0, 1 << 20]),
        np.array([-1, 5]),
        np.empty(0, np.int64),
    ):
        assert np.array_equal(unpack(pack(values)), values)


def test_a_curve_with_too_many_points_keeps_its_ends_its_heights_and_what_was_chosen() -> None:
    random = np.random.default_rng(3)
    true = random.random(5000) < np.linspace(0.1, 0.9, 5000)
    tp, fp = (np.cumsum(column[::-1])[::-1].astype(np.int64) for column in (true, ~true))
    scores = np.sort(random.random(5000))
    curve = Curve(thresholds=scores, exported=scores, tp=tp, fp=fp, found=tp, positives=int(true.sum()) + 50)
    kept = thinned(curve, [float(scores[1234])], 400)
    assert len(kept) <= 401
    assert {0, 4999, 1234, int(curve.f1.argmax())} <= set(kept.tolist())
    assert len(thinned(curve, [], 5000)) == 5000


def test_points_are_shared_so_that_short_curves_leave_theirs_to_long_ones() -> None:
    assert share([100, 200, 300], 1000) == 300
    most = share([100, 5000, 9000], 8100)
    assert most == 4000
    assert sum(min(size, most) for size in (100, 5000, 9000)) <= 8100
    many = [500] * 3 * 3 * 1204  # the classes of LVIS and all together, by unit and view
    assert share(many, MOST_POINTS) * len(many) <= MOST_POINTS


def test_a_histogram_of_log_odds_that_are_all_alike_has_a_width() -> None:
    one = crowd(1)
    scored = Scored.of([one], [np.full(len(one.sequence), -3.0)], Matching())
    found = histogram(scored, None)
    assert (np.diff(found["edges"]) > 0).all()
    assert sum(found["true"]) + sum(found["false"]) == len(scored.judged(None)[0])
