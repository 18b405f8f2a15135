"""Schedules: what the wall clock shows decides, at midnight and in the nights in which clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tertium_server.policy.schedule import DAYS, Window, constant_around, is_open

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
]
MINUTE = 60 * 10**9


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """Nanoseconds of a local time."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp()) * 10**9


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


WINDOWS = st.builds(
    lambda days, opens, closes: Window(days=tuple(days), opens=clock(opens), closes=clock(closes)),
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, 1439),
    st.integers(0, 1439),
)
# From 1973, when the last clocks went over to whole minutes, to 2100.
TIMES = st.integers(94_694_400, 4_102_444_800).map(lambda seconds: seconds * 10**9) | st.builds(
    lambda zone, day, minute: at((datetime(2026, 3, 1) + timedelta(days=day, minutes=minute)).isoformat(), zone),  # noqa: DTZ001 - local
    st.sampled_from(ZONES),
    st.integers(0, 300),
    st.integers(0, 240),
)


def walked(window: Window, zone: str, time: int) -> bool:
    """The same by walking: from each opening of the last two days, minute by minute of the wall clock."""
    local = datetime.fromtimestamp(time // 10**9, UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    opens, closes = (datetime.strptime(text, "%H:%M").time() for text in (window.opens, window.closes))  # noqa: DTZ007 - a clock's
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        start = datetime.combine(day, opens)
        end = datetime.combine(day + timedelta(days=int(closes <= opens)), closes)
        if DAYS[day.weekday()] in window.days and start <= local < end:
            return True
    return False


@given(WINDOWS, st.sampled_from(ZONES), TIMES)
@example(Window(days=("sun",), opens="02:30", closes="03:30"), "Europe/Berlin", at("2026-03-29T01:30", "UTC"))
def test_a_window_is_open_while_the_wall_clock_is_in_it(window: Window, zone: str, time: int) -> None:
    assert is_open([window], zone, time) == walked(window, zone, time)


@given(WINDOWS, st.sampled_from(ZONES), TIMES)
def test_nothing_opens_or_closes_within_the_minute_that_is_said_to_be_constant(
    window: Window, zone: str, time: int
) -> None:
    start, until = constant_around(time)
    assert start <= time < until
    for moment in (start, (start + until) // 2, until - 1):
        assert is_open([window], zone, moment) == is_open([window], zone, time)


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.sampled_from(ZONES))
def test_any_capture_time_at_all_has_an_answer(time: int, zone: str) -> None:
    always = Window(opens="00:00", closes="00:00")
    assert is_open([always], zone, time)


class TestMidnight:
    night = Window(days=("mon",), opens="22:00", closes="06:00")  # 2026-11-23 is a Monday

    @pytest.mark.parametrize(
        ("moment", "expected"),
        [
            ("2026-11-23T21:59", False), ("2026-11-23T22:00", True), ("2026-11-23T23:59", True),
            ("2026-11-24T00:00", True), ("2026-11-24T05:59", True), ("2026-11-24T06:00", False),
            ("2026-11-23T00:00", False), ("2026-11-23T05:59", False), ("2026-11-24T22:00", False),
        ],
    )  # fmt: skip
    def test_a_window_past_midnight_belongs_to_the_day_on_which_it_opens(self, moment: str, expected: bool) -> None:  # noqa: FBT001
        assert is_open([self.night], "Europe/Berlin", at(moment, "Europe/Berlin")) is expected

    def test_the_last_nanosecond_before_an_edge_is_before_it(self) -> None:
        assert not is_open([self.night], "UTC", at("2026-11-23T22:00") - 1)
        assert is_open([self.night], "UTC", at("2026-11-24T06:00") - 1)

    def test_from_a_time_to_the_same_time_is_a_whole_day(self) -> None:
        day = Window(days=("mon",), opens="12:00", closes="12:00")
        opened = [
            minute for minute in range(3 * 1440) if is_open([day], "UTC", at("2026-11-22T00:00") + minute * MINUTE)
        ]
        assert opened == list(range(1440 + 720, 2 * 1440 + 720))


class TestClocksThatChange:
    """Berlin: put forward from 02:00 to 03:00 on 2026-03-29, back from 03:00 to 02:00 on 2026-10-25."""

    def open_minutes(self, window: Window, first: str, hours: int) -> int:
        start = at(first, "Europe/Berlin")
        return sum(is_open([window], "Europe/Berlin", start + minute * MINUTE) for minute in range(60 * hours))

    def test_a_night_is_an_hour_shorter_or_longer(self) -> None:
        night = Window(days=("sat",), opens="22:00", closes="06:00")
        assert self.open_minutes(night, "2026-03-21T12:00", 36) == 8 * 60
        assert self.open_minutes(night, "2026-03-28T12:00", 36) == 7 * 60
        assert self.open_minutes(night, "2026-10-24T12:00", 36) == 9 * 60

    def test_a_window_in_the_hour_that_is_left_out_does_not_open(self) -> None:
        assert self.open_minutes(Window(opens="02:10", closes="02:50"), "2026-03-29T00:00", 12) == 0

    def test_a_window_that_begins_in_the_hour_left_out_opens_when_the_clock_has_jumped_over_it(self) -> None:
        window = Window(opens="02:30", closes="03:30")
        assert self.open_minutes(window, "2026-03-29T00:00", 12) == 30
        assert is_open([window], "Europe/Berlin", at("2026-03-29T03:00", "Europe/Berlin"))

    def test_a_window_in_the_hour_that_comes_twice_opens_twice(self) -> None:
        window = Window(opens="02:10", closes="02:50")
        assert self.open_minutes(window, "2026-10-25T00:00", 12) == 80
        for fold in (0, 1):
            assert is_open([window], "Europe/Berlin", at("2026-10-25T02:30", "Europe/Berlin", fold))


@pytest.mark.parametrize("text", ["24:00", "7:00", "07:60", "0700", "", "07:00:00", "\u0660\u0667:\u0660\u0660"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is no time of day"):
        Window(opens=text, closes="08:00")
