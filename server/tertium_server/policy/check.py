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
    return [*_check_classes(policy), *_check_zones(policy), *_check_thresholds(policy)]


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
class _Pair:
    """Two thresholds that can meet, where each comes from, and what was chosen on the way to them."""

    no: float
    yes: float
    no_place: Place
    yes_place: Place
    group: str | None = None
    stream: str | None = None
    zone: str | None = None


def _check_thresholds(policy: Policy) -> list[tuple[Place, str]]:
    """Thresholds that cross where overrides meet.

    Every pair that can be reached is looked at: each layer either leaves a pair as it is or lays one of its entries over it. Pairs of equal
    numbers are one, so that their count stays small however many overrides there are.
    """
    named = {name for place in _class_places(policy) for name in place[-1:]}
    problems: dict[Place, str] = {}
    for class_name in (_ANY_OTHER, *sorted(named)):
        for part in ("box", "track"):
            for pair in _reachable(policy, class_name, part):
                if pair.no > pair.yes:
                    place = max(pair.no_place, pair.yes_place, key=_depth)
                    problems.setdefault(place, _tell_crossing(pair, class_name))
    return list(problems.items())


def _tell_crossing(pair: _Pair, class_name: str | None) -> str:
    of = f'class "{class_name}"' if class_name else "classes"
    return (
        f"for {of}, no ({pair.no:g}, of {'.'.join(pair.no_place)}) would lie over yes ({pair.yes:g}, of {'.'.join(pair.yes_place)}): "
        "lower no or raise yes"
    )


def _depth(place: Place) -> int:
    return ("defaults", "classes", *_LAYERS).index(place[0])


def _reachable(policy: Policy, class_name: str | None, part: str) -> list[_Pair]:
    judgement = policy.judgement(class_name or "")
    thresholds = getattr(judgement, part).thresholds
    own = class_name in policy.classes
    base: Place = ("classes", str(class_name), part, "thresholds") if own else ("defaults", part, "thresholds")
    pairs = {_key(pair): pair for pair in (_Pair(thresholds.no, thresholds.yes, base, base),)}
    for layer in _LAYERS:
        for name, override in getattr(policy, layer).items():
            found = _thresholds_set(override, layer, name, class_name, part)
            if found is None and layer != "zones":
                continue
            for pair in list(pairs.values()):
                if _can_meet(pair, layer, override) and not _chosen(pair, layer):
                    laid = _laid_over(pair, layer, name, found or {}, policy)
                    pairs.setdefault(_key(laid), laid)
    return list(pairs.values())


def _chosen(pair: _Pair, layer: str) -> bool:
    """Whether the pair has its entry of this layer already: of a layer's entries only one holds."""
    return any(place[0] == layer for place in (pair.no_place, pair.yes_place)) or (
        layer == "zones" and pair.zone is not None
    )


def _key(pair: _Pair) -> tuple[object, ...]:
    # Whether a pair has its entry of the present layer is part of it: see _chosen.
    return pair.no, pair.yes, pair.no_place[0], pair.yes_place[0], pair.group, pair.stream, pair.zone


def _thresholds_set(
    override: Any,  # noqa: ANN401 - an Override or a Zone
    layer: str,
    name: str,
    class_name: str | None,
    part: str,
) -> dict[str, tuple[float, Place]] | None:
    """The thresholds an entry sets for a class, each with its place; None if it sets none."""
    found: dict[str, tuple[float, Place]] = {}
    sources: list[tuple[Mapping[str, Any], Place]] = [(override.all, (layer, name, "all"))]
    if class_name is not None and class_name in override.classes:
        sources.append((override.classes[class_name], (layer, name, "classes", class_name)))
    for source, place in sources:
        for which, value in source.get(part, {}).get("thresholds", {}).items():
            if which in {"no", "yes"}:
                found[which] = (value, (*place, part, "thresholds", which))
    return found or None


def _laid_over(pair: _Pair, layer: str, name: str, found: Mapping[str, tuple[float, Place]], policy: Policy) -> _Pair:
    no, no_place = found.get("no", (pair.no, pair.no_place))
    yes, yes_place = found.get("yes", (pair.yes, pair.yes_place))
    laid = replace(pair, no=no, yes=yes, no_place=no_place, yes_place=yes_place)
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
