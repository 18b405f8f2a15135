"""What a policy says otherwise for some groups, streams, zones and hours: parts of a judgement, and where and when they hold.

An override names only what it changes. Its values are plain mappings of the form of a :class:`Judgement`, checked field by field; what comes of
them together is checked by ``policy.crossing``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from tertium_server.policy.polygon import check_polygon
from tertium_server.policy.schedule import Window, check_time_zone
from tertium_server.policy.values import Judgement, Name, Tracker, Value

_MOST_CORNERS = 100
_MOST_ZONES = 64
_MOST_ENTRIES = 4096
_MOST_PIXELS = 65536.0

Pattern = Annotated[str, Field(min_length=1, max_length=256)]
"""A name, or a pattern of names: ``*`` any characters, ``?`` one, ``[abc]`` one of these; capitals count."""


def _partial(model: type[BaseModel], name: str = "", without: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - a type made at run time
    """The form of a model in which every field may be left out, section by section."""
    fields: dict[str, Any] = {}
    for field_name, field in model.model_fields.items():
        if field_name in without:
            continue
        kind: Any = field.annotation
        inner: Any = _partial(kind) if isinstance(kind, type) and issubclass(kind, BaseModel) else kind
        # A field's own bounds and description hold for what replaces it, too.
        fields[field_name] = Annotated[(inner, *field.metadata)] if field.metadata else inner
    form = cast("Any", TypedDict)(
        name or f"{model.__name__}Override", fields, total=False
    )  # names known at run time only
    form.__doc__ = f"Part of {model.__name__}: only what is to be otherwise."
    form.__pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return form


if TYPE_CHECKING:
    JudgementOverride = dict[str, Any]
    TrackerOverride = dict[str, Any]
    ZoneJudgementOverride = dict[str, Any]
else:
    JudgementOverride = _partial(Judgement)
    TrackerOverride = _partial(Tracker)
    # Scores are put on a common scale before anybody knows where their track is.
    ZoneJudgementOverride = _partial(Judgement, "ZoneJudgementOverride", without=("scores",))


class Override(Value):
    """What is judged otherwise: ``all`` for every class, then ``classes`` by name."""

    all: JudgementOverride = Field(default={})
    classes: dict[Name, JudgementOverride] = Field(default={}, max_length=_MOST_ENTRIES)


class StreamOverride(Override):
    """What holds for a group, or for a stream."""

    tracker: TrackerOverride = Field(default={})


Patterns = Annotated[tuple[Pattern, ...], Field(strict=False, max_length=_MOST_ENTRIES)]
Corner = Annotated[tuple[float, float], Field(strict=False)]


class Zone(Value):
    """A part of the picture. A track is in the first zone that holds its ground point, the middle of its box's lower edge."""

    polygon: Annotated[tuple[Corner, ...], Field(strict=False, max_length=_MOST_CORNERS), AfterValidator(check_polygon)]
    """Corners [x, y] in order; the last is joined to the first."""
    units: Literal["relative", "pixels"] = "relative"
    """relative: 0 to 1 of the frame's width and height; pixels: as detections are sent."""
    streams: Patterns = ()
    """Streams that have this zone; without any, all."""
    groups: Patterns = ()
    """Groups whose streams have this zone; without any, all."""
    all: ZoneJudgementOverride = Field(default={})
    classes: dict[Name, ZoneJudgementOverride] = Field(default={}, max_length=_MOST_ENTRIES)

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        most = 1.0 if self.units == "relative" else _MOST_PIXELS
        for number, (x, y) in enumerate(self.polygon, 1):
            if not (0.0 <= x <= most and 0.0 <= y <= most):
                raise ValueError(
                    f"corner {number} ({x:g}, {y:g}) lies outside 0 to {most:g}; with pixels in mind say units: pixels"
                )
        return self


def _check_schedule(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    if not windows:
        raise ValueError("it names no window, so that the profile would never hold: give at least one")
    return windows


class Profile(Override):
    """What holds at some hours, by the capture times of frames."""

    schedule: Annotated[
        tuple[Window, ...], Field(strict=False, max_length=_MOST_ZONES), AfterValidator(_check_schedule)
    ]
    """Windows of time; the profile is in force in any of them."""
    time_zone: Annotated[str, AfterValidator(check_time_zone)] = "UTC"
    """IANA name of the zone whose clocks the schedule goes by: "Europe/Berlin"."""
    streams: Patterns = ()
    """Streams it is for; without any, all."""
    groups: Patterns = ()
    """Groups it is for; without any, all."""
    zones: Annotated[tuple[Name, ...], Field(strict=False, max_length=_MOST_ZONES)] = ()
    """Zones it is for; without any, the whole picture."""
