"""Verdicts against a table, and against a state machine written the long way."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertium_server.engine import Verdict
from tertium_server.engine.layout import STEADY
from tertium_server.engine.verdict import judge_plainly, judge_track
from tests.engine.records import judge, track

NO, MAYBE, YES = Verdict.NO, Verdict.MAYBE, Verdict.YES
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [(0.0, NO), (0.1999, NO), (0.2, MAYBE), (0.5, MAYBE), (0.6999, MAYBE), (0.7, YES), (1.0, YES)],
)
def test_a_box_is_judged_by_its_probability_alone(probability: float, verdict: Verdict) -> None:
    assert judge_plainly(probability, 0.2, 0.7) == verdict


def test_where_the_thresholds_meet_there_is_no_maybe() -> None:
    assert [judge_plainly(p, 0.5, 0.5) for p in (0.0, 0.4999, 0.5, 1.0)] == [NO, NO, YES, YES]


@dataclass
class Reference:
    """Hysteresis as its rule reads: up at once; down when the margin is passed, or after long enough under the threshold."""

    no: float
    yes: float
    margin: float
    hold: float
    verdict: Verdict = NO
    under_since: int | None = None

    def plain(self, probability: float, allowance: float = 0.0) -> Verdict:
        if probability >= self.yes - allowance:
            return YES
        return MAYBE if probability >= self.no - allowance else NO

    def see(self, probability: float, time: int) -> Verdict:
        if self.plain(probability) >= self.verdict:
            self.verdict, self.under_since = self.plain(probability), None
        elif self.plain(probability, self.margin) < self.verdict:
            self.verdict, self.under_since = self.plain(probability, self.margin), None
        else:
            self.under_since = time if self.under_since is None else self.under_since
            if time - self.under_since >= round(self.hold * SECOND):
                self.verdict, self.under_since = self.plain(probability), None
        return self.verdict


def judged(probabilities: list[float], times: list[int], **thresholds: float) -> list[int]:
    settings = judge(**thresholds)
    ours = track(verdict=NO, turning_since=STEADY)
    verdicts = []
    for probability, time in zip(probabilities, times, strict=True):
        ours["probability"] = probability
        ours["verdict"] = judge_track(ours, settings, time)
        verdicts.append(int(ours["verdict"]))
    return verdicts


@pytest.mark.parametrize(
    ("what", "probabilities", "verdicts"),
    [
        ("rises at once", [0.1, 0.3, 0.8], [NO, MAYBE, YES]),
        ("rises over maybe at once", [0.1, 0.9], [NO, YES]),
        ("stays within the margin", [0.9, 0.66, 0.66, 0.66], [YES, YES, YES, YES]),
        ("falls beyond the margin at once", [0.9, 0.6], [YES, MAYBE]),
        ("falls after the hold", [0.9, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66], [YES] * 6 + [MAYBE]),
        ("holds anew after a rise", [0.9, *[0.66] * 4, 0.9, *[0.66] * 5], [YES] * 11),
        ("falls over maybe at once", [0.9, 0.01], [YES, NO]),
        ("falls to what the margin leaves it", [0.9, 0.17], [YES, MAYBE]),
        ("and on after the hold", [0.9, *[0.17] * 8], [YES, *[MAYBE] * 6, NO, NO]),
        ("from maybe to no beyond the margin", [0.3, 0.1], [MAYBE, NO]),
        ("from maybe within the margin", [0.3, 0.16], [MAYBE, MAYBE]),
    ],
)
@pytest.mark.parametrize("start", [0, 1_700_000_000 * SECOND, -5 * SECOND])
def test_a_track(what: str, probabilities: list[float], verdicts: list[Verdict], start: int) -> None:
    times = [start + place * SECOND // 10 for place in range(len(probabilities))]
    assert judged(probabilities, times, track_no=0.2, track_yes=0.7, margin=0.05, hold=0.5) == verdicts, what


@dataclass(frozen=True)
class Rule:
    no: float
    yes: float
    margin: float
    hold: float


# Most of a history lies around the thresholds, where verdicts turn: (threshold, distance in margins, tenths of a second).
places = st.tuples(
    st.sampled_from(["no", "yes"]), st.sampled_from([-3.0, -1.5, -0.5, -0.1, 0.0, 0.5]), st.integers(0, 4)
)


@given(
    st.sampled_from(
        [Rule(0.2, 0.7, 0.05, 0.5), Rule(0.5, 0.5, 0.1, 0.3), Rule(0.3, 0.4, 0.2, 1.0), Rule(0.0, 1.0, 0.1, 0.0)]
    ),
    st.lists(places, min_size=1, max_size=60),
    st.sampled_from([-(2**61), -3 * SECOND, 0, 2**61]),
)
def test_any_history_is_judged_as_by_a_state_machine_written_the_long_way(
    rule: Rule, history: list[tuple[str, float, int]], start: int
) -> None:
    values = [getattr(rule, name) + margins * rule.margin for name, margins, _ in history]
    probabilities = [float(np.float32(min(max(value, 0.0), 1.0))) for value in values]
    times = (start + np.cumsum([tenths * SECOND // 10 for _, _, tenths in history])).tolist()
    reference = Reference(rule.no, rule.yes, rule.margin, rule.hold)
    expected = [reference.see(probability, time) for probability, time in zip(probabilities, times, strict=True)]
    found = judged(probabilities, times, track_no=rule.no, track_yes=rule.yes, margin=rule.margin, hold=rule.hold)
    assert found == expected


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50))
def test_without_margin_and_hold_a_track_is_judged_like_a_box(probabilities: list[float]) -> None:
    times = list(range(len(probabilities)))
    plain = [judge_plainly(probability, 0.2, 0.7) for probability in probabilities]
    assert judged(probabilities, times, track_no=0.2, track_yes=0.7, margin=0.0, hold=0.0) == plain


@given(st.lists(st.floats(0.625, 0.75, width=32), min_size=2, max_size=50))
def test_a_probability_that_trembles_on_the_threshold_does_not_make_the_verdict_tremble(
    probabilities: list[float],
) -> None:
    times = [place * SECOND // 30 for place in range(len(probabilities))]
    verdicts = judged(probabilities, times, track_no=0.2, track_yes=0.7, margin=0.1, hold=60.0)
    assert verdicts == sorted(verdicts)
