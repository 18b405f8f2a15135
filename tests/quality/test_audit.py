"""The audited estimate in worlds whose truth is known, and in windows small enough to work out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from tertium_server.quality import audit, calibrated
from tertium_server.quality.values import Figure, Reviews, Tally, Weighted
from tests.quality.worlds import WORLDS, Sample, World, draw

WINDOWS = 250
MOST_BIAS = 0.01
COVERAGE = (0.92, 0.99)


@dataclass(frozen=True, slots=True)
class Trial:
    """Windows of a world, and what was estimated in each: (windows,) arrays."""

    samples: list[Sample]
    truth: dict[Figure, NDArray[np.float64]]
    value: dict[Figure, NDArray[np.float64]]
    lower: dict[Figure, NDArray[np.float64]]
    upper: dict[Figure, NDArray[np.float64]]

    def covered(self, figure: Figure) -> float:
        inside = (self.lower[figure] <= self.truth[figure]) & (self.truth[figure] <= self.upper[figure])
        return float(inside.mean())


@cache
def trial(name: str) -> Trial:
    rng = np.random.default_rng(11)
    samples = [draw(WORLDS[name], rng) for _ in range(WINDOWS)]
    estimates = [audit.estimate(sample.tally, seed=place) for place, sample in enumerate(samples)]
    return Trial(
        samples,
        {
            Figure.PRECISION: np.array([sample.precision for sample in samples]),
            Figure.RECALL: np.array([sample.recall for sample in samples]),
        },
        *(
            {figure: np.array([getattr(each.of(figure), field) for each in estimates]) for figure in Figure}
            for field in ("value", "lower", "upper")
        ),
    )


@pytest.mark.parametrize("figure", Figure)
@pytest.mark.parametrize("name", WORLDS)
def test_the_audited_estimate_is_right_on_average_and_its_interval_holds_the_truth(name: str, figure: Figure) -> None:
    made = trial(name)
    assert not np.isnan(made.value[figure]).any()
    assert abs(float((made.value[figure] - made.truth[figure]).mean())) < MOST_BIAS
    assert COVERAGE[0] <= made.covered(figure) <= COVERAGE[1]


def test_starved_audits_show_in_the_audit_weight_coverage() -> None:
    def coverage(name: str) -> float:
        strata = [each for sample in trial(name).samples for each in (sample.tally.auto_yes, sample.tally.auto_no)]
        return sum(each.answered.weight for each in strata) / sum(each.population for each in strata)

    for name in WORLDS:
        expected = 0.6 if name == "starved audits" else 1.0
        assert coverage(name) == pytest.approx(expected, abs=0.05)


def test_counting_answers_without_their_weights_overstates_recall() -> None:
    made = trial("over-confident")
    naive = []
    for sample in made.samples:
        found = sample.tally.auto_yes.yes.count + sample.tally.maybe.yes.count
        naive.append(found / (found + sample.tally.auto_no.yes.count))
    assert float((np.array(naive) - made.truth[Figure.RECALL]).mean()) > 2 * MOST_BIAS


def test_probabilities_alone_do_not_see_what_made_them_wrong() -> None:
    made = trial("over-confident")
    blind = np.array([calibrated.estimate(sample.tally).recall.value for sample in made.samples])
    assert float((blind - made.truth[Figure.RECALL]).mean()) > 2 * MOST_BIAS
    seeing = trial("calibrated")
    right = np.array([calibrated.estimate(sample.tally).recall.value for sample in seeing.samples])
    assert abs(float((right - seeing.truth[Figure.RECALL]).mean())) < MOST_BIAS / 2


def test_what_people_who_err_turn_down_can_be_told_from_how_often_they_err() -> None:
    """docs/quality.md: of real maybes, Y m / (1 - m) were answered NO and missed by the estimate, Y being those answered YES."""
    world = World(error=0.05, double_check_yes=True, alpha=0.5, beta=0.6)
    rng = np.random.default_rng(3)
    bias, mended = [], []
    for seed in range(60):
        sample = draw(world, rng)
        yes, maybe = sample.tally.auto_yes, sample.tally.maybe
        estimated = audit.estimate(sample.tally, seed=seed, draws=200).recall.value
        found = yes.population * yes.yes.weight / yes.answered.weight + maybe.yes.count
        turned_down = maybe.yes.count * world.error / (1.0 - world.error)
        bias.append(estimated - sample.recall)
        mended.append(found / (found / estimated + turned_down) - sample.recall)
    assert float(np.mean(bias)) > 2 * MOST_BIAS
    assert abs(float(np.mean(mended))) < MOST_BIAS / 2


def answers(count: int, pi: float = 1.0) -> Weighted:
    return Weighted(count, count / pi, count / pi**2)


def test_a_window_that_was_wholly_reviewed_has_no_sampling_error() -> None:
    tally = Tally(
        auto_yes=Reviews(population=90, yes=answers(80), no=answers(10)),
        auto_no=Reviews(population=200, yes=answers(5), no=answers(195)),
        maybe=Reviews(population=50, yes=answers(20), no=answers(30)),
    )
    made = audit.estimate(tally)
    assert (made.precision.value, made.precision.lower, made.precision.upper) == pytest.approx((100 / 110,) * 3)
    assert (made.recall.value, made.recall.lower, made.recall.upper) == pytest.approx((100 / 105,) * 3)


def test_an_answer_stands_for_as_many_tracks_as_its_coin_was_unlikely() -> None:
    tally = Tally(
        auto_yes=Reviews(population=1000, yes=answers(90, 0.1), no=answers(10, 0.1)),
        auto_no=Reviews(population=4000, yes=answers(2, 0.02), no=answers(78, 0.02)),
        maybe=Reviews(population=100, yes=answers(60), no=answers(40)),
    )
    made = audit.estimate(tally)
    # 900 + 60 of the 1060 YES are real; 2 of 80 audited NO stand for 100 tracks.
    assert made.precision.value == pytest.approx(960 / 1060)
    assert made.recall.value == pytest.approx(960 / 1060)
    assert made.precision.lower < made.precision.value < made.precision.upper
    # Of what was not looked at: 900 of 0.9 ± 0.06 and 3,920 of 0.025, skewed upwards.
    assert made.precision.upper - made.precision.lower == pytest.approx(2 * 1.96 * 0.0303 * 900 / 1060, rel=0.15)
    assert made.recall.value - made.recall.lower > made.recall.upper - made.recall.value


def test_mixed_coins_weigh_and_cost_effective_samples() -> None:
    often, seldom = answers(50, 0.5), answers(50, 0.05)
    tally = Tally(
        auto_yes=Reviews(population=1100, yes=often, no=seldom),
        auto_no=Reviews(population=100, no=answers(100)),
    )
    made = audit.estimate(tally)
    assert made.precision.value == pytest.approx(100 / 1100)
    assert made.precision.effective_samples == pytest.approx(1100**2 / (50 * 4 + 50 * 400))


def test_pending_audits_stay_in_the_denominator() -> None:
    half = Reviews(population=1000, yes=answers(45, 0.1), no=answers(5, 0.1))
    made = audit.estimate(Tally(auto_yes=half))
    assert made.precision.value == pytest.approx(0.9)
    assert half.coverage == pytest.approx(0.5)


def test_a_maybe_that_nobody_answers_is_missed_unless_its_default_is_yes() -> None:
    maybes = Reviews(population=200, yes=answers(60), no=answers(40))
    other = {"auto_yes": Reviews(population=100, yes=answers(100))}
    assert audit.estimate(Tally(maybe=maybes, **other)).recall.value == pytest.approx(160 / (160 + 60))
    accepted = Reviews(population=200, yes=answers(60), no=answers(40), unanswered_yes=100)
    made = audit.estimate(Tally(maybe=accepted, **other))
    assert made.recall.value == pytest.approx(1.0)
    assert made.precision.value == pytest.approx(220 / 260)


def test_a_yes_that_waits_for_a_second_one_is_real_and_missed() -> None:
    other = {"auto_yes": Reviews(population=100, yes=answers(100))}
    waiting = Reviews(population=200, no=answers(40), lone_yes=answers(60))
    made = audit.estimate(Tally(maybe=waiting, **other))
    # Of the 100 that nobody has seen, 60 are real, too.
    assert made.recall.value == pytest.approx(100 / (100 + 60 + 60))
    assert made.recall.upper < 100 / (100 + 60 + 40)
    assert made.precision.value == 1.0


def test_tracks_on_which_people_can_not_tell_count_for_nothing() -> None:
    unclear = Reviews(population=1000, yes=answers(80, 0.1), no=answers(10, 0.1), cannot_tell=answers(10, 0.1))
    made = audit.estimate(Tally(auto_yes=unclear))
    assert made.precision.value == pytest.approx(8 / 9)
    assert unclear.coverage == pytest.approx(1.0)


@pytest.mark.parametrize(
    "tally",
    [
        Tally(),
        Tally(auto_yes=Reviews(population=1000)),
        Tally(auto_yes=Reviews(population=1000, yes=answers(29, 0.03))),
        # Many answers, but next to none where most of the verdicts are.
        Tally(auto_yes=Reviews(population=1000, yes=answers(1, 0.03)), maybe=Reviews(population=300, yes=answers(300))),
    ],
)
def test_too_little_is_not_a_number(tally: Tally) -> None:
    made = audit.estimate(tally)
    assert np.isnan([made.precision.value, made.precision.lower, made.precision.upper]).all()
    assert np.isnan(made.recall.value)


def test_the_same_tally_gives_the_same_estimates() -> None:
    tally = draw(World(), np.random.default_rng(3)).tally
    assert audit.estimate(tally) == audit.estimate(tally)
    again, other = audit.estimate(tally, seed=1).recall, audit.estimate(tally).recall
    assert again.value == other.value
    assert again.lower == pytest.approx(other.lower, abs=0.02)
