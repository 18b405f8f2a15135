"""Threads of slow work rest between pieces of it. Time stands still here but for what is worked and slept."""

from __future__ import annotations

import pytest

from tertium_server import pacing
from tertium_server.pacing import Pacer


class Clock:
    """A thread's processor time, and how long it has slept."""

    def __init__(self) -> None:
        self.worked = 0.0
        self.slept: list[float] = []

    def thread_time(self) -> float:
        return self.worked

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_work_takes_a_quarter_of_the_time(clock: Clock) -> None:
    pacer = Pacer()
    for worked in (0.010, 0.004, 0.120):
        clock.worked += worked
        pacer.rest()
    assert clock.worked / (clock.worked + sum(clock.slept)) == pytest.approx(0.25)
    assert len(clock.slept) == 3


def test_short_pieces_are_rested_from_together(clock: Clock) -> None:
    pacer = Pacer()
    for _ in range(64):
        clock.worked += 1 / 4096  # a quarter of a millisecond, in binary without rounding
        pacer.rest()
    assert len(clock.slept) == 7, "after nine pieces each: two milliseconds and a bit"
    assert clock.slept == [pytest.approx(3 * 9 / 4096)] * 7


def test_nobody_rests_who_has_not_worked(clock: Clock) -> None:
    Pacer().rest()
    assert clock.slept == []
