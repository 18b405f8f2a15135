"""The audit's coin."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tertium_server.review.coin import is_chosen, toss
from tertium_server.review.identity import case_id, new_token


def cases(count: int) -> list[str]:
    return [case_id("gate", 7, track, "person", 3 * track) for track in range(count)]


def test_the_same_case_and_salt_fall_on_the_same_side() -> None:
    assert [toss(case, "a") for case in cases(100)] == [toss(case, "a") for case in cases(100)]
    assert [toss(case, "a") for case in cases(100)] != [toss(case, "b") for case in cases(100)]


@pytest.mark.parametrize("pi", [0.001, 0.01, 0.03, 0.5, 0.97])
def test_the_share_chosen_is_pi_within_binomial_bounds(pi: float) -> None:
    count = 50_000
    chosen = sum(is_chosen(case, "salt", pi) for case in cases(count))
    assert abs(chosen - count * pi) < 4 * math.sqrt(count * pi * (1 - pi))


def test_tosses_are_spread_evenly() -> None:
    bins = [0] * 20
    for case in cases(20_000):
        bins[int(toss(case, "") * 20)] += 1
    chi_square = sum((count - 1000) ** 2 / 1000 for count in bins)
    assert chi_square < 43.8  # the 0.1 % point with 19 degrees of freedom


def test_a_certain_coin_chooses_all() -> None:
    assert all(is_chosen(case, "", 1.0) for case in cases(1000))


@pytest.mark.parametrize("pi", [0.0, -0.1, 1.1, math.nan])
def test_no_stratum_may_be_left_out(pi: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        is_chosen("c", "", pi)


@given(some.text(max_size=8), some.text(max_size=8))
def test_names_can_not_be_shifted_into_each_other(stream: str, name: str) -> None:
    ids = {case_id(stream, 1, 2, name, 0), case_id(stream + name, 1, 2, "", 0), case_id("", 1, 2, stream + name, 0)}
    distinct = {(stream, name), (stream + name, ""), ("", stream + name)}
    assert len(ids) == len(distinct)


def test_each_part_of_a_name_tells_cases_apart() -> None:
    first = case_id("gate", 1, 2, "person", 3)
    others = {
        case_id("yard", 1, 2, "person", 3),
        case_id("gate", 2, 2, "person", 3),
        case_id("gate", 1, 3, "person", 3),
    }
    others |= {case_id("gate", 1, 2, "car", 3), case_id("gate", 1, 2, "person", 4)}
    assert len(others | {first}) == 6
    assert len(first) == len(new_token()) == 32
