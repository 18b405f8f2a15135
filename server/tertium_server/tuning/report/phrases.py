"""What the page says in words: the sentence at its top, where fusion does not help, and how numbers are written."""

from __future__ import annotations

from typing import Any

from .packing import Json

_NOTHING = "–"
_MINUS = "\u2212"

_WORTH = 0.0015
"""A difference in F1 that is worth a word."""

RUNGS = {
    "fitted": "fitted evidence",
    "fitted_half": "fitted evidence and score, half each",
    "start": "built-in evidence",
    "start_half": "built-in evidence and score, half each",
    "score": "calibrated score alone",
}
"""What boxes are judged by, in words: see tuning/fit/rungs.py."""


def phrases(tree: Json) -> Json:
    """``{"sentence", "tone", "tracks", "not_helped", "judged_by"}``."""
    summary, headline = tree["summary"], tree["headline"]
    if len(summary["fusion_does_not_help"]) == len(tree["classes"]):
        sentence, tone = _unfused(headline["box"]), "poor"
    else:
        sentence, tone = _boxes(headline["box"])
    guard = summary["guard"]
    return {
        "sentence": sentence,
        "tone": tone,
        "tracks": _tracks(headline["track"]) if "track" in headline else None,
        "not_helped": _not_helped(tree),
        "judged_by": [RUNGS[guard[name]["rung"]] if name in guard else _NOTHING for name in tree["classes"]],
    }


def _boxes(box: Json) -> tuple[str, str]:
    """What fusion gains on boxes, mean over folds; and how sure that is, from all folds under one threshold."""
    if box["gain"] is None:
        reason = next(one["undetermined"] for one in box.values() if isinstance(one, dict) and "undetermined" in one)
        return f"What fusion gains on boxes cannot be determined: {reason}.", "poor"
    gain, sure = box["gain_by_fold"], box["gain"]["interval"]
    between = (
        f"best F1 {box['raw']['by_fold']:.3f} by raw score, {box['held_out']['by_fold']:.3f} fused, "
        f"mean over held-out folds ({difference(gain)}). With one threshold for all folds it is "
        f"{difference(box['gain']['f1'])} over the calibrated score{_within(sure)}"
    )
    return _judged(gain, sure, "boxes", between)


def _unfused(box: Json) -> str:
    """Boxes of all classes are judged by their calibrated scores, which order them as raw scores do."""
    said = "Fusion does not help boxes here, so the policy judges them by their calibrated scores"
    if box["raw"]["best_f1"] is None:
        return f"{said}."
    return f"{said}, which order them as the raw score does: best F1 {box['raw']['best_f1']:.3f} by either."


def _tracks(track: Json) -> str:
    """What it gains on tracks."""
    gain = track["gain"]
    if gain is None:
        reason = track["held_out"].get("undetermined") or track["raw"].get("undetermined")
        return f"What fusion gains on tracks cannot be determined: {reason}."
    raw, held = track["raw"]["best_f1"], track["held_out"]["best_f1"]
    between = f"best F1 {raw:.3f} by highest raw score, {held:.3f} fused and held out ({difference(gain['f1'])}{_within(gain['interval'])})"
    return _judged(gain["f1"], gain["interval"], "tracks", between)[0]


def _judged(gain: float, interval: list[float] | None, noun: str, between: str) -> tuple[str, str]:
    if gain < -_WORTH:
        return f"Fusion loses on {noun}: {between}.", "poor"
    if gain <= _WORTH:
        return f"Fusion makes no difference on {noun}: {between}.", "unsure"
    if interval is None or interval[0] <= 0.0:
        return f"Fusion gains on {noun}, but these data can't make it sure: {between}.", "unsure"
    return f"Fusion gains on {noun}: {between}.", "good"


def _within(interval: list[float] | None) -> str:
    return "" if interval is None else f", 95 % interval {difference(interval[0])} to {difference(interval[1])}"


def _not_helped(tree: Json) -> list[str]:
    """Classes and sequences that do no better with fusion, held out, in words."""
    found = []
    for kind in ("classes", "sequences"):
        for one in tree["slices"][kind]:
            raw, held = one["raw_f1"], one["held_out_f1"]
            if raw is not None and held is not None and held < raw - _WORTH:
                noun = "class" if kind == "classes" else "sequence"
                found.append(f"{noun} {one['name']}: F1 {raw:.3f} by raw score, {held:.3f} fused and held out")
    return found


def figure(value: float | None, digits: int = 3) -> str:
    """A number to so many digits."""
    return _NOTHING if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """A share."""
    return _NOTHING if value is None else f"{100.0 * value:.1f} %"


def count(value: int | None) -> str:
    """A whole number, in thousands."""
    return _NOTHING if value is None else f"{value:,}"


def difference(value: float | None) -> str:
    """A number with its sign; one that is nothing to three digits has none."""
    if value is None:
        return _NOTHING
    said = f"{value:+.3f}"
    return said[1:] if float(said) == 0.0 else said.replace("-", _MINUS)


def span(ends: list[float] | None, *, signed: bool = False) -> str:
    """An interval."""
    if ends is None:
        return _NOTHING
    low, high = (difference(end) if signed else figure(end) for end in ends)
    return f"{low} to {high}" if signed else f"{low}–{high}"


def shares(ends: list[float] | None) -> str:
    """An interval of a share."""
    return _NOTHING if ends is None else f"{100.0 * ends[0]:.1f}\N{EN DASH}{percent(ends[1])}"


def hourly(hours: float, cases: int) -> str:
    """So many cases as a rate."""
    return f", {cases / hours:,.0f} an hour of video" if hours > 0.0 else ""


def heat(value: int, row: list[int]) -> int:
    """How dark a cell of the matrix is, 0 to 9: by its share of its row."""
    total = sum(row)
    return 0 if not total else min(9, int(10 * value / total))


FILTERS: dict[str, Any] = {
    "figure": figure,
    "percent": percent,
    "count": count,
    "difference": difference,
    "span": span,
    "shares": shares,
    "hourly": hourly,
    "heat": heat,
}
"""For the template."""
