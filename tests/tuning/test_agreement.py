"""Numbers agree wherever they are told: summary, report and evaluation."""

import pytest

from tertium_server.tuning.fit.model import Effort
from tertium_server.tuning.report.confusion import confusion
from tertium_server.tuning.report.headline import headline
from tertium_server.tuning.report.slices import slices
from tertium_server.tuning.report.views import Views, look
from tertium_server.tuning.tune import TuneOptions, Tuning, tune
from tests.tuning.test_evaluate import crowds


@pytest.fixture(scope="module")
def tuned() -> Tuning:
    return tune(crowds(ignored=True), TuneOptions(effort=Effort(0)))


@pytest.fixture(scope="module")
def views(tuned: Tuning) -> Views:
    return look(tuned)


def test_the_matrix_of_the_report_is_that_of_the_summary(tuned: Tuning, views: Views) -> None:
    assert confusion(views)["counts"] == tuned.summary["at_thresholds"]["confusion"]["counts"]


def test_slices_of_the_report_are_those_of_the_summary(tuned: Tuning, views: Views) -> None:
    found = slices(views)
    said = tuned.summary["at_thresholds"]["units"]["box"]
    for one in (found["total"], *found["classes"]):
        ours = said["classes"][one["name"]] if "name" in one else said["overall"]
        yes = ours["yes"]
        assert [one["tp"], one["fp"], one["fn"]] == [
            yes[name] for name in ("true_positives", "false_positives", "misses")
        ]
        assert (one["precision"], one["recall"], one["f1"]) == (yes["precision"], yes["recall"], yes["f1"])
        assert (one["maybe"], one["f1_with_people"]) == (ours["maybe"], ours["f1_with_people"])


def test_the_headline_of_the_report_is_that_of_the_summary(tuned: Tuning, views: Views) -> None:
    boxes = headline(views)["box"]
    for which, ours in (("raw", "all_data"), ("fused", "all_data"), ("held_out", "held_out")):
        said = tuned.summary[ours]["raw" if which == "raw" else "fused"]["overall"]
        for name in ("best_f1", "threshold", "average_precision"):
            assert boxes[which][name] == said[name], (which, name)
    held = tuned.summary["held_out"]
    assert boxes["gain"]["f1"] == held["gain_over_calibrated"]["overall"]["best_f1"]
    assert boxes["gain_by_fold"] == held["gain"]["overall"]["best_f1_by_fold"]
