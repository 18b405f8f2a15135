"""When to try again."""

from __future__ import annotations

import random

import pytest

from tertium_client import InvalidSettingsError, Reconnect
from tertium_client._backoff import Backoff


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def test_the_ceiling_doubles_until_its_limit() -> None:
    backoff = Backoff(Reconnect(), 0.0, longest)
    assert [backoff.next_delay(0.0) for _ in range(8)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_the_jitter_is_full() -> None:
    delays = []
    for seed in range(2000):
        backoff = Backoff(Reconnect(first_delay=1.0), 0.0, random.Random(seed).uniform)  # noqa: S311  # jitter is no secret
        delays.append(backoff.next_delay(0.0))
    assert all(delay is not None and 0.0 <= delay <= 1.0 for delay in delays)
    assert sum(delay or 0.0 for delay in delays) / len(delays) == pytest.approx(0.5, abs=0.05)
    assert min(delay or 0.0 for delay in delays) < 0.01


def test_a_thousand_attempts_do_not_overflow() -> None:
    backoff = Backoff(Reconnect(), 0.0, longest)
    assert [backoff.next_delay(0.0) for _ in range(5000)][-1] == 5.0


def test_a_time_that_the_server_asks_for_comes_before_the_delay_and_not_beyond_patience() -> None:
    backoff = Backoff(Reconnect(connect_within=15.0), 0.0, longest)
    assert [backoff.next_delay(0.0, at_least=2.0) for _ in range(3)] == pytest.approx([2.1, 2.2, 2.4])
    assert backoff.next_delay(5.0, at_least=3600.0) == pytest.approx(10.0)
    assert backoff.next_delay(15.0, at_least=2.0) is None


def test_progress_begins_anew() -> None:
    backoff = Backoff(Reconnect(), 0.0, longest)
    for _ in range(4):
        backoff.next_delay(0.0)
    backoff.progressed(10.0)
    assert backoff.attempts == 0
    assert backoff.next_delay(10.0) == pytest.approx(0.1)


def test_a_connection_that_held_for_a_while_begins_the_delays_anew_but_one_that_did_not_does_not() -> None:
    backoff = Backoff(Reconnect(), 0.0, longest)
    for _ in range(4):
        backoff.next_delay(0.0)
    assert backoff.next_delay(0.0, connected_for=1.0) == pytest.approx(1.6)
    assert backoff.next_delay(0.0, connected_for=6.0) == pytest.approx(0.1)


def test_before_the_first_connection_patience_is_short_and_then_long() -> None:
    backoff = Backoff(Reconnect(connect_within=15.0, give_up_after=300.0), 100.0, longest)
    assert backoff.next_delay(114.95) == pytest.approx(0.05)
    assert backoff.next_delay(115.0) is None
    backoff.connected(116.0)
    backoff.connected(300.0)  # once is enough: a server that opens again and again makes no progress
    assert backoff.next_delay(415.9) == pytest.approx(0.1)
    assert backoff.next_delay(416.0) is None


def test_no_patience_makes_the_first_break_final() -> None:
    backoff = Backoff(Reconnect(give_up_after=0.0), 0.0, longest)
    backoff.connected(1.0)
    assert backoff.next_delay(1.0) is None


@pytest.mark.parametrize("field", ["first_delay", "longest_delay", "give_up_after", "connect_within"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_times_that_are_none_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidSettingsError, match=f"reconnect.{field}"):
        Reconnect(**{field: value})
