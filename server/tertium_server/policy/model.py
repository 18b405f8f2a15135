"""The Policy value: everything that turns detections into verdicts.

A policy is immutable. ``defaults`` hold for every class; ``classes`` override any of them by class name; ``groups``, ``streams``, ``zones`` and
``profiles`` override both, each of these the ones before it (see ``policy.resolution``).
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from tertium_server.policy.check import check_together
from tertium_server.policy.merging import merged
from tertium_server.policy.overrides import Override, Pattern, Profile, StreamOverride, Zone
from tertium_server.policy.reference import Reference
from tertium_server.policy.review import ReviewRules
from tertium_server.policy.values import Judgement, Name, Tracker, Value

_ORDERED = ("groups", "streams", "zones", "profiles")
"""Sections in which the first entry that matches holds: their order is part of their meaning."""

_NOT_CONTENT = {"number", "about"}
"""What is said of a policy, and not by it."""

_ADDED = ("about", "known_classes", *_ORDERED, "review", "reference")
"""Sections that say nothing where they are empty; policies without them are written, and hashed, as before they were thought of."""


class About(Value):
    """Who put a policy into a store, when, and why."""

    author: Annotated[str, Field(max_length=256)] = ""
    reason: Annotated[str, Field(max_length=4096)] = ""
    created: Annotated[str, Field(max_length=64)] = ""
    """Date and time, ISO 8601."""


class Policy(Value):
    """Everything that turns detections into verdicts, and where it came from."""

    format: Literal["tertium.policy/v1"]
    name: Name
    number: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Version number; 0 where nobody counts."""
    about: About = About()
    """Who stored it, when and why. No part of the content hash."""
    provenance: dict[str, JsonValue] = Field(default={})
    """Where the numbers came from: data, hashes, date, figures. Read by people."""
    known_classes: Annotated[tuple[Name, ...], Field(strict=False, max_length=4096)] = ()
    """The classes there are; with any here, all others named in this file are errors."""
    tracker: Tracker
    defaults: Judgement
    classes: dict[Name, Judgement] = Field(default={})
    groups: dict[Pattern, StreamOverride] = Field(default={}, max_length=4096)
    """By group, or pattern of groups; the first that matches holds."""
    streams: dict[Pattern, StreamOverride] = Field(default={}, max_length=4096)
    """By stream, or pattern of streams; the first that matches holds."""
    zones: dict[Name, Zone] = Field(default={}, max_length=64)
    """Parts of the picture; of those that overlap, the first holds."""
    profiles: dict[Name, Profile] = Field(default={}, max_length=64)
    """By the clock; of those in force at a time, the first holds."""
    review: ReviewRules = ReviewRules()
    """Which tracks people are asked about."""
    reference: Reference = Reference()
    """What tuning saw: what live figures are compared with."""

    @model_validator(mode="before")
    @classmethod
    def _complete_classes(cls, data: object) -> object:
        """Completes what a class leaves out from ``defaults``, so that each stands alone."""
        if not isinstance(data, Mapping) or not isinstance(data.get("classes"), Mapping):
            return data
        defaults = data.get("defaults")
        if not isinstance(defaults, Mapping):
            return data
        completed = {
            name: merged(defaults, override) if isinstance(override, Mapping) else override
            for name, override in data["classes"].items()
        }
        return {**data, "classes": completed}

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = check_together(self)
        if problems:
            text = "; ".join(f"{'.'.join(place)}: {message}" for place, message in problems)
            raise PydanticCustomError("policy", "{text}", {"text": text, "problems": problems})
        return self

    def to_tree(self) -> dict[str, Any]:
        """The policy as plain data; sections that say nothing are left out."""
        tree = self.model_dump(mode="json")
        for name in _ADDED:
            if not tree[name] or tree[name] == _UNSAID.get(name):
                del tree[name]
        return tree

    @cached_property
    def sha256(self) -> str:
        """Content hash: equal policies have equal hashes, however their files are written, whatever their number, whoever stored them.

        Values that are the defaults of their fields do not count: a field that a later version of Tertium adds leaves the hashes of older policies as
        they were.
        """
        tree = self.model_dump(mode="json", exclude=_NOT_CONTENT, exclude_defaults=True)
        tree |= {name: list(tree[name].items()) for name in _ORDERED if name in tree}
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, some fields otherwise: with a hash of its own, where pydantic would hand on the one that was made already."""
        copied = super().model_copy(update=update, deep=deep)
        vars(copied).pop("sha256", None)
        return copied

    @property
    def version(self) -> str:
        """Number and the first twelve digits of the content hash: what decisions are stamped with."""
        return f"{self.number}-{self.sha256[:12]}"

    def class_names(self) -> tuple[str, ...]:
        """Classes that it names, in the file's order."""
        layers: tuple[Override | Zone, ...] = (
            *self.groups.values(),
            *self.streams.values(),
            *self.zones.values(),
            *self.profiles.values(),
        )
        named = (name for layer in layers for name in layer.classes)
        names = (*self.classes, *named, *self.review.classes, *self.known_classes)
        return tuple(dict.fromkeys(names))

    def judgement(self, class_name: str) -> Judgement:
        """What a class is judged by where no override holds: its own values, or the defaults."""
        return self.classes.get(class_name, self.defaults)


_UNSAID = {
    "about": About().model_dump(mode="json"),
    "review": ReviewRules().model_dump(mode="json"),
    "reference": Reference().model_dump(mode="json"),
}
