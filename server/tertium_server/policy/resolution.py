"""Which values hold where: the layers of a policy, one over the other.

Precedence, weakest first: ``defaults``, ``classes``, ``groups``, ``streams``, ``zones``, ``profiles``. Of groups and of streams the first entry whose
pattern matches holds, of zones the first that holds the track's ground point, of profiles the first that is in force. Within an entry, ``classes``
lies over ``all``. A layer changes what it names; all else shines through from below.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from tertium_server.policy.merging import leaves, merged
from tertium_server.policy.model import Policy
from tertium_server.policy.overrides import Override, Profile, Zone
from tertium_server.policy.schedule import is_open
from tertium_server.policy.values import Judgement, Tracker

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Whom, where and when a judgement is about."""

    class_name: str = ""
    """Name of the class; "": one the policy does not name."""
    group: str = "default"
    """Group of the stream."""
    stream: str = ""
    """Name of the stream; "": one that no pattern matches."""
    zone: str | None = None
    """The zone the track is in."""
    profile: str | None = None
    """The profile in force."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One entry's say on a class."""

    name: str
    """Where it stands in the policy: "groups.yard.classes.person"."""
    values: Mapping[str, Any]
    """What it says."""


def matching(entries: Mapping[str, _Entry], name: str) -> tuple[str, _Entry] | None:
    """The first entry whose pattern matches a name."""
    return next((item for item in entries.items() if fnmatchcase(name, item[0])), None)


def is_for(scope: Zone | Profile, group: str, stream: str) -> bool:
    """Whether a zone or profile is meant for a stream."""
    return _matches(scope.groups, group) and _matches(scope.streams, stream)


def _matches(patterns: Collection[str], name: str) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def zones_of(policy: Policy, group: str, stream: str) -> dict[str, Zone]:
    """The zones that a stream has, in order."""
    return {name: zone for name, zone in policy.zones.items() if is_for(zone, group, stream)}


def unplaced_zones(policy: Policy, group: str, stream: str, *, size_known: bool) -> list[str]:
    """Zones that a stream should have and can't: they are relative, and nobody knows the size of its frames."""
    zones = {} if size_known else zones_of(policy, group, stream)
    return [name for name, zone in zones.items() if zone.units == "relative"]


def profiles_of(policy: Policy, group: str, stream: str) -> dict[str, Profile]:
    """The profiles that are meant for a stream, in order."""
    return {name: profile for name, profile in policy.profiles.items() if is_for(profile, group, stream)}


def open_profiles(profiles: Mapping[str, Profile], time: int) -> tuple[str, ...]:
    """Those whose schedule is open at a capture time (nanoseconds since the Unix epoch), in order."""
    return tuple(name for name, profile in profiles.items() if is_open(profile.schedule, profile.time_zone, time))


def profile_for(profiles: Mapping[str, Profile], opened: Collection[str], zone: str | None) -> str | None:
    """The profile that holds in a zone (None: outside of all), of those that are open."""
    return next(
        (name for name, each in profiles.items() if name in opened and (not each.zones or zone in each.zones)), None
    )


def layers(policy: Policy, situation: Situation) -> Iterator[Layer]:
    """What has a say on a class, weakest first."""
    yield Layer("defaults", policy.defaults.model_dump())
    own = policy.classes.get(situation.class_name)
    if own is not None:
        yield Layer(f"classes.{situation.class_name}", own.model_dump())
    group, stream = matching(policy.groups, situation.group), matching(policy.streams, situation.stream)
    zone, profile = situation.zone, situation.profile
    found: list[tuple[str, Override | Zone]] = []
    if group is not None:
        found.append((f"groups.{group[0]}", group[1]))
    if stream is not None:
        found.append((f"streams.{stream[0]}", stream[1]))
    if zone is not None:
        found.append((f"zones.{zone}", policy.zones[zone]))
    if profile is not None:
        found.append((f"profiles.{profile}", policy.profiles[profile]))
    for name, override in found:
        if override.all:
            yield Layer(f"{name}.all", override.all)
        if situation.class_name in override.classes:
            yield Layer(f"{name}.classes.{situation.class_name}", override.classes[situation.class_name])


def effective_judgement(policy: Policy, situation: Situation) -> Judgement:
    """What a class is judged by in a situation."""
    below = policy.judgement(situation.class_name)
    overrides = [
        layer for layer in layers(policy, situation) if layer.name.split(".")[0] not in {"defaults", "classes"}
    ]
    if not overrides:
        return below
    values = below.model_dump()
    for layer in overrides:
        values = merged(values, layer.values)
    return Judgement.model_validate(values)


def effective_tracker(policy: Policy, group: str, stream: str) -> Tracker:
    """How a stream is tracked."""
    values = policy.tracker.model_dump()
    found = (matching(policy.groups, group), matching(policy.streams, stream))
    changes = [entry[1].tracker for entry in found if entry is not None and entry[1].tracker]
    if not changes:
        return policy.tracker
    for change in changes:
        values = merged(values, change)
    return Tracker.model_validate(values)


def origins(policy: Policy, situation: Situation) -> dict[tuple[str, ...], str]:
    """For each value of an effective judgement, by its path, the layer it comes from."""
    found: dict[tuple[str, ...], str] = {}
    below: dict[tuple[str, ...], Any] = {}
    for layer in layers(policy, situation):
        for path, value in leaves(layer.values):
            # A class is stored with all its values: those equal to the defaults' are the defaults'.
            if not layer.name.startswith("classes.") or below.get(path) != value:
                found[path] = layer.name
                below[path] = value
    return found


def settled(policy: Policy, group: str, stream: str) -> Policy:
    """The same policy for one stream alone: what holds for its group and its name is part of the defaults and classes."""
    situations = {name: Situation(class_name=name, group=group, stream=stream) for name in ("", *policy.class_names())}
    judgements = {name: effective_judgement(policy, situation) for name, situation in situations.items()}
    update = {
        "tracker": effective_tracker(policy, group, stream),
        "defaults": judgements.pop(""),
        "classes": judgements,
        "groups": {},
        "streams": {},
        "zones": {name: _everywhere(zone) for name, zone in zones_of(policy, group, stream).items()},
        "profiles": {name: _everywhere(profile) for name, profile in profiles_of(policy, group, stream).items()},
    }
    return policy.model_copy(update=update)


_Scoped = TypeVar("_Scoped", Zone, Profile)


def _everywhere(scope: _Scoped) -> _Scoped:
    return scope.model_copy(update={"groups": (), "streams": ()})
