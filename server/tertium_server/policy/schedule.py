"""Schedules: windows of local time, and whether a moment lies in one.

The wall clock decides. A window from 22:00 to 06:00 is open whenever the clocks of its time zone show a time in it: in the night in which they are
put back it is an hour longer, in that in which they are put forward an hour shorter, and a window within the hour that is left out does not
open that day. A window that runs past midnight belongs to the day on which it opens.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from tertium_server.policy.values import Value

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_MINUTE = 60_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62_135_510_400_000_000_000, 253_402_214_400_000_000_000
"""Nanoseconds: times that a calendar of four-digit years has a day for, in every time zone."""

_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


def _check_clock(text: str) -> str:
    if re.fullmatch(_CLOCK, text) is None:
        raise ValueError(f'"{text[:16]}" is no time of day; write hours and minutes, "00:00" to "23:59", in quotes')
    return text


ClockTime = Annotated[str, AfterValidator(_check_clock), Field(json_schema_extra={"pattern": _CLOCK})]
"""Hours and minutes: "06:30"."""


class Window(Value):
    """Some hours of some days."""

    days: Annotated[tuple[Day, ...], Field(strict=False, min_length=1, max_length=7)] = DAYS
    """Days on which the window opens."""
    opens: ClockTime
    """First minute in it."""
    closes: ClockTime
    """First minute after it. At or before ``opens``: on the day after."""

    def holds(self, day: int, minute: int) -> bool:
        """Whether a minute (0 to 1439) of a day of the week (0: Monday) lies in it."""
        opens, closes = minute_of(self.opens), minute_of(self.closes)
        if closes > opens:
            return DAYS[day] in self.days and opens <= minute < closes
        yesterday = DAYS[(day - 1) % len(DAYS)]
        return (DAYS[day] in self.days and minute >= opens) or (yesterday in self.days and minute < closes)


def minute_of(clock: str) -> int:
    """Minutes since midnight: 390 for "06:30"."""
    hours, minutes = clock.split(":")
    return 60 * int(hours) + int(minutes)


@cache
def _time_zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def check_time_zone(name: str) -> str:
    """The name, if there is such a time zone.

    Raises:
        ValueError: There is none.
    """
    try:
        _time_zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f'there is no time zone "{name[:64]}"; give an IANA name such as "Europe/Berlin"') from error
    return name


def is_open(windows: Iterable[Window], time_zone: str, time: int) -> bool:
    """Whether a moment (nanoseconds since the Unix epoch) lies in any of the windows."""
    local = (_EPOCH + timedelta(microseconds=min(max(time, _FIRST), _LAST) // 1000)).astimezone(_time_zone(time_zone))
    day, minute = local.weekday(), 60 * local.hour + local.minute
    return any(window.holds(day, minute) for window in windows)


def constant_around(time: int) -> tuple[int, int]:
    """Nanoseconds [from, until) around a moment in which no window opens or closes: its minute.

    Windows open at whole minutes of local clocks, and clocks are put forward and back by whole minutes, at whole minutes.
    """
    start = time - time % _MINUTE
    return start, start + _MINUTE
