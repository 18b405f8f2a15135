"""Events of tracks in words."""

from __future__ import annotations

from tertium_client import EventReason, EventType, Verdict, Why

from .board import Happening

_ENDS = {
    EventReason.LOST: "is lost",
    EventReason.LEFT: "left the picture",
    EventReason.STREAM_ENDED: "was there at the end",
    EventReason.RESET: "ended with a reset",
    EventReason.EVICTED: "made room for others",
}

STYLES = {Verdict.YES: "green", Verdict.MAYBE: "yellow", Verdict.NO: "red"}
"""Colours of verdicts."""


def headline(happening: Happening) -> str:
    """What happened: "person 14: MAYBE → YES"."""
    event = happening.event
    who = f"{happening.camera.class_name} {happening.track}"
    if event.type is EventType.ENDED:
        return f"{who} {_ENDS.get(event.reason, 'ended')}"
    return f"{who}: {event.from_verdict.name} → {event.to_verdict.name}"


def reason(happening: Happening) -> str:
    """Why, with the numbers: "71 % real is over 70 % after 14 boxes; last score 0.69; so it was since frame 62"."""
    event, why = happening.event, happening.event.why
    if event.type is EventType.ENDED:
        return f"last word {event.to_verdict.name} at {percent(why.probability)}, after {_seen(why)}"
    direction = "is over" if event.to_verdict > event.from_verdict else "fell under"
    probability, threshold = _told_apart(why.probability, why.threshold)
    text = f"{probability} real {direction} {threshold} after {_seen(why)}"
    text += f"; last score {why.score:.2f}, evidence {why.evidence_slow:+.1f}"
    if event.retroactive_from is not None and event.retroactive_from < event.frame_index:
        text += f"; so it was since frame {event.retroactive_from}"
    return text


def short_reason(happening: Happening) -> str:
    """The same in half a line: "71 % > 70 %, 14 boxes, from frame 62"."""
    event, why = happening.event, happening.event.why
    if event.type is EventType.ENDED:
        return f"{event.to_verdict.name} at {percent(why.probability)}, {_seen(why)}"
    sign = ">" if event.to_verdict > event.from_verdict else "<"
    probability, threshold = _told_apart(why.probability, why.threshold)
    text = f"{probability} {sign} {threshold}, {_boxes(why)}"
    if event.retroactive_from is not None and event.retroactive_from < event.frame_index:
        return f"{text}, from frame {event.retroactive_from}"
    return f"{text}, score {why.score:.2f}"


def percent(share: float) -> str:
    """A share between 0 and 1: "71 %"."""
    return f"{share * 100:.0f} %"


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two shares as percentages, with a decimal where they would look the same without."""
    if percent(one) != percent(other):
        return percent(one), percent(other)
    return f"{one * 100:.1f} %", f"{other * 100:.1f} %"


def _seen(why: Why) -> str:
    if not why.misses:
        return _boxes(why)
    return f"{_boxes(why)} and {why.misses:,} miss" + ("" if why.misses == 1 else "es")


def _boxes(why: Why) -> str:
    return f"{why.hits:,} box" + ("" if why.hits == 1 else "es")
