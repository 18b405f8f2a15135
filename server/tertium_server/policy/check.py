"""What must hold of a policy's sections together: classes and zones that exist, and thresholds in order whatever overrides meet."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tertium_server.policy.model import Policy
    from tertium_server.policy.overrides import Profile, Zone

Place = tuple[str, ...]
"""Path of a section or value."""

_LAYERS = ("groups", "streams", "zones", "profiles")
_ANY_OTHER = None


def check_together(policy: Policy) -> list[tuple[Place, str]]:
    """Problems, each with its place."""
    return [*_check_classes(policy), *_check_zones(policy), *_check_bounds(policy)]


def suggestion(word: str, known: Collection[str]) -> str:
    """A remedy for a word that nobody knows."""
    near = difflib.get_close_matches(word, known, 1)
    if near:
        return f'did you mean "{near[0]}"?'
    shown = ", ".join(sorted(known)[:12])
    return f"there are: {shown}" + (", …" if len(known) > 12 else "") if known else "there are none"  # noqa: PLR2004 - a line's worth


def unknown_classes(policy: Policy, known: Collection[str]) -> list[tuple[Place, str]]:
    """Classes that a policy names and nobody knows."""
    return [
        (place, f'there is no class "{place[-1]}"; {suggestion(place[-1], known)}')
        for place in _class_places(policy)
        if place[-1] not in known
    ]


def _class_places(policy: Policy) -> Iterator[Place]:
    for name in policy.classes:
        yield ("classes", name)
    for name in policy.review.classes:
        yield ("review", "classes", name)
    for layer in _LAYERS:
        for entry, override in getattr(policy, layer).items():
            for name in override.classes:
                yield (layer, entry, "classes", name)


def _check_classes(policy: Policy) -> list[tuple[Place, str]]:
    return unknown_classes(policy, policy.known_classes) if policy.known_classes else []


def _check_zones(policy: Policy) -> list[tuple[Place, str]]:
    return [
        (("profiles", name, "zones", str(place)), f'there is no zone "{zone}"; {suggestion(zone, policy.zones)}')
        for name, profile in policy.profiles.items()
        for place, zone in enumerate(profile.zones)
        if zone not in policy.zones
    ]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Two values of a judgement's section of which one must not lie over the other."""

    section: Place
    low: str
    high: str


BOUNDS = (
    Bounds(("box", "thresholds"), "no", "yes"),
    Bounds(("track", "thresholds"), "no", "yes"),
    Bounds(("box", "heights"), "least", "most"),
)
"""All there are. Each section checks its own, too."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two such values that can meet, where each comes from, and what was chosen on the way to them."""

    low: float
    high: float
    low_place: Place
    high_place: Place
    group: str | None = None
    stream: str | None = None
    zone: str | None = None


def _check_bounds(policy: Policy) -> list[tuple[Place, str]]:
    """Thresholds, and others of their kind, that cross where overrides meet.

    Every pair that can be reached is looked at: each layer either leaves a pair as it is or lays one of its entries over it. Pairs of equal
    numbers are one, so that their count stays small however many overrides there are.
    """
    named = {place[-1] for place in _class_places(policy)}
    problems: dict[Place, str] = {}
    for class_name in (_ANY_OTHER, *sorted(named)):
        for bounds in BOUNDS:
            for pair in _reachable(policy, class_name, bounds):
                if pair.low > pair.high:
                    place = max(pair.low_place, pair.high_place, key=_depth)
                    problems.setdefault(place, _tell_crossing(pair, class_name, bounds))
    return list(problems.items())


def _tell_crossing(pair: _Pair, class_name: str | None, bounds: Bounds) -> str:
    of = f'class "{class_name}"' if class_name else "classes"
    low, high = bounds.low, bounds.high
    return (
        f"for {of}, {low} ({pair.low:g}, of {'.'.join(pair.low_place)}) would lie over {high} ({pair.high:g}, of {'.'.join(pair.high_place)}): "
        f"lower {low} or raise {high}"
    )


def _depth(place: Place) -> int:
    return ("defaults", "classes", *_LAYERS).index(place[0])


def _reachable(policy: Policy, class_name: str | None, bounds: Bounds) -> list[_Pair]:
    section: Any = policy.judgement(class_name or "")
    for name in bounds.section:
        section = getattr(section, name)
    base: Place = ("classes", str(class_name)) if class_name in policy.classes else ("defaults",)
    base = (*base, *bounds.section)
    pairs = {
        _key(pair): pair for pair in (_Pair(getattr(section, bounds.low), getattr(section, bounds.high), base, base),)
    }
    for layer in _LAYERS:
        for name, override in getattr(policy, layer).items():
            found = _values_set(override, layer, name, class_name, bounds)
            if found is None and layer != "zones":
                continue
            for pair in list(pairs.values()):
                if _can_meet(pair, layer, override) and not _chosen(pair, layer):
                    laid = _laid_over(pair, layer, name, found or {}, policy, bounds)
                    pairs.setdefault(_key(laid), laid)
    return list(pairs.values())


def _chosen(pair: _Pair, layer: str) -> bool:
    """Whether the pair has its entry of this layer already: of a layer's entries only one holds."""
    return any(place[0] == layer for place in (pair.low_place, pair.high_place)) or (
        layer == "zones" and pair.zone is not None
    )


def _key(pair: _Pair) -> tuple[object, ...]:
    # Whether a pair has its entry of the present layer is part of it: see _chosen.
    return pair.low, pair.high, pair.low_place[0], pair.high_place[0], pair.group, pair.stream, pair.zone


def _values_set(
    override: Any,  # noqa: ANN401 - an Override or a Zone
    layer: str,
    name: str,
    class_name: str | None,
    bounds: Bounds,
) -> dict[str, tuple[float, Place]] | None:
    """Which of the two an entry sets for a class, each with its place; None if it sets none."""
    found: dict[str, tuple[float, Place]] = {}
    sources: list[tuple[Mapping[str, Any], Place]] = [(override.all, (layer, name, "all"))]
    if class_name is not None and class_name in override.classes:
        sources.append((override.classes[class_name], (layer, name, "classes", class_name)))
    for source, place in sources:
        section: Any = source
        for part in bounds.section:
            section = section.get(part, {})
        for which in (bounds.low, bounds.high):
            if which in section:
                found[which] = (section[which], (*place, *bounds.section, which))
    return found or None


def _laid_over(
    pair: _Pair, layer: str, name: str, found: Mapping[str, tuple[float, Place]], policy: Policy, bounds: Bounds
) -> _Pair:
    low, low_place = found.get(bounds.low, (pair.low, pair.low_place))
    high, high_place = found.get(bounds.high, (pair.high, pair.high_place))
    laid = replace(pair, low=low, high=high, low_place=low_place, high_place=high_place)
    scoped: tuple[Zone | Profile, ...] = (*policy.zones.values(), *policy.profiles.values())
    if layer == "groups" and any(each.groups for each in scoped):
        return replace(laid, group=name)
    if layer == "streams" and any(each.streams for each in scoped):
        return replace(laid, stream=name)
    if layer == "zones":
        return replace(laid, zone=name)
    return laid


def _can_meet(pair: _Pair, layer: str, override: Any) -> bool:  # noqa: ANN401 - an Override or a Zone
    if layer in {"groups", "streams"}:
        return True
    if layer == "profiles" and override.zones and pair.zone not in override.zones:
        return False
    return _may_match(override.groups, pair.group) and _may_match(override.streams, pair.stream)


def _may_match(patterns: Collection[str], chosen: str | None) -> bool:
    """Whether a name that matches the pattern ``chosen`` may match one of ``patterns``, too. Of two patterns with wildcards: yes, for all we know."""
    if not patterns or chosen is None:
        return True
    return any(
        fnmatchcase(chosen, pattern) or fnmatchcase(pattern, chosen) or (_is_wild(chosen) and _is_wild(pattern))
        for pattern in patterns
    )


def _is_wild(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")
