"""What a simulated world is made of: all its numbers, as they stand in a file (YAML) or are given in Python.

Numbers of the detector are log-odds where nothing else is said: a score of 0.5 is 0, one of 0.9 is 2.2, and what makes it dimmer is taken off.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
LogOdds = Annotated[float, Field(ge=-20, le=20)]
Amount = Annotated[float, Field(ge=0, le=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.-]+$")]

_SLOWEST = 0.2
"""The slowest objects' share of the speed of their class: far away, and in no hurry."""

_LONGEST = 1e6
"""Frames in which an object has to have crossed the picture."""


class Part(BaseModel):
    """A part of a world. Frozen; a change gives a new value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ObjectClass(Part):
    """A kind of objects, and how they come and go."""

    name: Name

    arrivals_per_minute: Amount = 8.0
    """Objects that come into the picture of a camera, on average."""

    parked: Annotated[int, Field(ge=0, le=200)] = 0
    """Objects that stand somewhere in the picture from beginning to end."""

    height: Annotated[float, Field(gt=2, le=2000)] = 130.0
    """Pixels, of one that is as near as can be; those at the back are a third of it."""

    aspect: Annotated[float, Field(gt=0.05, le=20)] = 0.42
    """Width over height."""

    speed: Annotated[float, Field(gt=0, le=5000)] = 90.0
    """Pixels a second, of one that is near."""

    pauses: Share = 0.2
    """Share of objects that stop on their way, for up to a third of it."""


class Detector(Part):
    """How good the detector is, and how it flickers."""

    sure: LogOdds = 1.0
    """What it says of an object that is large, lit and uncovered, on average."""

    object_spread: Annotated[float, Field(ge=0, le=10)] = 0.8
    """Standard deviation from object to object: some are always seen worse."""

    flicker: Annotated[float, Field(ge=0, le=10)] = 0.8
    """Standard deviation from frame to frame."""

    persistence: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """Correlation of that from one frame to the next."""

    spells_per_minute: Amount = 4.0
    """Dim spells of each object."""

    spell_seconds: Annotated[float, Field(gt=0, le=600)] = 1.5
    """How long one lasts, on average."""

    spell_depth: Annotated[float, Field(ge=0, le=20)] = 2.0
    """What it takes off."""

    size_effect: Annotated[float, Field(ge=0, le=10)] = 0.7
    """What each halving of the height takes off, below `full_height`."""

    full_height: Annotated[float, Field(gt=0, le=2000)] = 90.0
    """Pixels from which on an object counts as large."""

    cover_effect: Annotated[float, Field(ge=0, le=20)] = 4.0
    """What full cover by another object would take off."""

    missed: Share = 0.02
    """Share of boxes that are not there at all, whatever the score."""

    floor: Annotated[float, Field(ge=0.001, lt=1)] = 0.03
    """Scores under this are not reported."""

    localisation: Annotated[float, Field(ge=0, le=0.5)] = 0.04
    """Standard deviation of a box's place and size, in shares of its size."""

    duplicates: Share = 0.02
    """Share of boxes that come with a second, worse one."""

    confusion: Share = 0.0
    """Share of boxes that are given another class."""

    calibrate: bool = False
    """Scores are made to mean what they say: of boxes scored 0.3, 30 % are right."""

    sharpness: Annotated[float, Field(gt=0, le=20)] = 1.0
    """Multiplies the log-odds of all scores: above 1 the detector is too sure of itself, below not sure enough."""


class FalseAlarms(Part):
    """What the detector sees where nothing is."""

    flashes_per_second: Amount = 1.5
    """Boxes of one frame only, each somewhere else."""

    flash: LogOdds = -1.6
    """What it says of a flash, on average."""

    flash_spread: Annotated[float, Field(ge=0, le=10)] = 1.1
    """Standard deviation from flash to flash."""

    phantoms: Annotated[float, Field(ge=0, le=100)] = 3.0
    """Things that are taken for objects (a cone, a bin, a poster), on average at any time; they stay where they are."""

    phantom: LogOdds = -0.9
    """What it says of one, on average: -0.85 is a score of 0.3."""

    phantom_spread: Annotated[float, Field(ge=0, le=10)] = 0.6
    """Standard deviation from one to another."""

    phantom_seconds: Annotated[float, Field(gt=0, le=100_000)] = 40.0
    """How long one is there, on average."""

    phantom_seen: Share = 0.6
    """Share of frames in which it has a box."""


class Light(Part):
    """Day and night."""

    day_seconds: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Seconds from noon to noon; the first frame is at noon. 0: it is always day."""

    night_effect: Annotated[float, Field(ge=0, le=20)] = 1.5
    """What midnight takes off the scores of objects."""

    night_alarms: Annotated[float, Field(ge=1, le=1000)] = 2.0
    """How many times as many flashes there are at midnight."""


class Drift(Part):
    """What changes from a moment on, unnoticed: a lens gets dirty, a camera is turned, a new model is rolled out."""

    begins: Annotated[float, Field(ge=0, le=1)] = 1.0
    """When, as a share of the frames; 1: never."""

    score_shift: LogOdds = 0.0
    """Added to the scores of objects from then on."""

    alarm_shift: LogOdds = 0.0
    """Added to the scores of false alarms."""

    alarm_factor: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """How many times as many flashes and phantoms there are."""


class Reviewers(Part):
    """The people who are asked."""

    count: Annotated[int, Field(ge=1, le=100)] = 3

    misses: Share = 0.0
    """Share of real objects to which one of them says no."""

    slips: Share = 0.0
    """Share of false ones to which one of them says yes."""

    cannot_tell: Share = 0.0
    """Share of cases that one of them leaves undecided."""

    seconds: Annotated[float, Field(ge=0, le=100_000)] = 0.0
    """How long one of them takes over a case, by the cameras' clock; they stop when the cameras do. 0: no time, and they stay until nothing waits."""


class World(Part):
    """A world: cameras before it, a detector behind them, people who review. The same numbers give the same world, to the last bit."""

    name: Name = "street"

    description: Annotated[str, Field(max_length=500)] = ""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    cameras: Annotated[int, Field(ge=1, le=10_000)] = 4
    """Each sees a scene of its own."""

    frames: Annotated[int, Field(ge=2, le=10_000_000)] = 1500
    """Of each camera."""

    fps: Annotated[float, Field(ge=0.1, le=240)] = 10.0

    frame_size: tuple[Annotated[int, Field(ge=64, le=16384)], Annotated[int, Field(ge=64, le=16384)]] = (1280, 720)
    """Width and height in pixels."""

    classes: Annotated[tuple[ObjectClass, ...], Field(min_length=1, max_length=100)] = (ObjectClass(name="person"),)

    detector: Detector = Detector()
    false_alarms: FalseAlarms = FalseAlarms()
    light: Light = Light()
    drift: Drift = Drift()
    reviewers: Reviewers = Reviewers()

    @model_validator(mode="after")
    def _distinct(self) -> World:
        names = [one.name for one in self.classes]
        if len(set(names)) < len(names):
            raise ValueError("classes: two have the same name; give each its own")
        return self

    @model_validator(mode="after")
    def _ends(self) -> World:
        """What would take for ever, and more memory than there is."""
        for number, one in enumerate(self.classes):
            crossing = (self.frame_size[0] + one.height * one.aspect) / (_SLOWEST * one.speed) * self.fps
            if crossing > _LONGEST:
                raise ValueError(
                    f"classes.{number}.speed: at {one.speed:g} pixels a second and {self.fps:g} frames a second some take {crossing:,.0f} frames "
                    f"to cross the picture, and may take {_LONGEST:,.0f}; raise it, or let them stand (parked)"
                )
        if self.false_alarms.phantom_seconds * self.fps < 1:
            raise ValueError(
                f"false_alarms.phantom_seconds: {self.false_alarms.phantom_seconds:g} is less than a frame ({1 / self.fps:g}); what is there for one "
                "frame only is a flash (flashes_per_second)"
            )
        return self

    @property
    def class_names(self) -> dict[int, str]:
        """Names by class id."""
        return {number: one.name for number, one in enumerate(self.classes)}

    def camera_name(self, camera: int) -> str:
        """The name of a camera, from 0: that of its stream and of its sequence."""
        return f"{self.name}-{camera + 1:02d}"

    def change(self, **changes: object) -> World:
        """The same world with other numbers, checked; parts by their values or as dicts of what changes in them.

        Raises:
            WorldError: it can't be.
        """
        from .loading import world_of  # noqa: PLC0415  # which reads worlds, and so imports this module

        return world_of(_merged(self.model_dump(), changes), f"world {self.name}")


def _merged(base: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
    merged = dict(base)
    for name, change in changes.items():
        value = change.model_dump() if isinstance(change, BaseModel) else change
        old = merged.get(name)
        merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
