"""Explanations for people, on standard output: tracks in a list, a life in its turns, a frame in all its parts. And as data."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tertium_server.engine import EventType, Verdict
from tertium_server.engine.explaining import Explanation, Part
from tertium_server.engine.ruling import FAR

from .console import plain
from .failure import CommandError

if TYPE_CHECKING:
    from tertium_server.tuning.life import Happening, LifeFrame, Lives
    from tertium_server.tuning.life_people import HumanPart

_STYLES = {Verdict.YES: "green", Verdict.MAYBE: "yellow", Verdict.NO: "red"}
_LEAST_TOLD = 0.05
"""Log-odds: smaller changes are not told in a line."""
_MOST_TOLD = 3


@cache
def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def show_list(name: str, lives: Lives, most: int) -> None:
    """The tracks, those worth a look first."""
    table = _table(
        "track", "class", "frames", "hits", "misses", "highest", "changes", "verdict", *["people"] * bool(lives.answers)
    )
    chosen = lives.interesting()
    for one in chosen[:most]:
        answer = lives.answers.get(one.track)
        table.add_row(
            str(one.track), plain(one.class_name), f"{one.first_frame}-{one.last_frame}", str(one.hits), str(one.misses),
            f"{one.probability:.3f}", str(one.changes), _verdict(one.verdict),
            *["" if answer is None else _verdict(answer.verdict)] * bool(lives.answers),
        )  # fmt: skip
    console = _console()
    console.print(f"[bold]{plain(name)}[/bold]: {len(chosen)} tracks, policy {lives.policy_version}")
    console.print(table)
    if len(chosen) > most:
        console.print(f"{len(chosen) - most} more; --most {len(chosen)} lists all. --track N explains one.")


def show_life(name: str, lives: Lives, track: int) -> None:
    """The frames at which something happened, and what had moved the track's log-odds since the one before."""
    frames, console = lives.frames[track], _console()
    summary = next(one for one in lives.summaries if one.track == track)
    lag = f", decision_lag {lives.decision_lag}" if lives.decision_lag else ""
    console.print(
        f"[bold]{plain(name)}, track {track}[/bold], {plain(summary.class_name)}: frames {summary.first_frame} to {summary.last_frame}, "
        f"{summary.hits} hits, {summary.misses} misses, policy {lives.policy_version}{lag}",
        soft_wrap=True,
    )
    table = _table(
        "frame", "score", "P(box)", "box is", "P(track)", "95 %", "track is", "what moved the track", "what happened"
    )
    before: LifeFrame | None = None
    for one in turns(frames):
        box = one.box
        table.add_row(
            str(one.frame),
            "-" if box is None else f"{box.score:.2f}",
            "-" if box is None else f"{box.probability:.3f}",
            ("hidden" if one.hidden else "miss") if box is None else _verdict(box.verdict),
            f"{one.probability:.3f}",
            f"{one.lower:.2f}-{one.upper:.2f}",
            _verdict(one.told) + ("" if one.human is None else " (people)"),
            _moves(before, one),
            "; ".join([*map(_told, one.happenings), *_hysteresis(one), *_people(before, one)]),
        )
        before = one
    console.print(table)
    for line in _answered(lives, track):
        console.print(line, soft_wrap=True)
    console.print(
        "P(box): right, here and now; P(track): a real object, with its 95 % interval. What moved the track: the change of its log-odds since the "
        "row above, and what has most part in it; birth: what is left of the doubt that meets every new track.",
    )
    console.print(f"--frame K adds up the parts of a frame, from {frames[0].frame} to {frames[-1].frame}.")


def turns(frames: tuple[LifeFrame, ...]) -> list[LifeFrame]:
    """The frames to be shown of a life: its ends, what was told, boxes whose verdict changes, the first of several misses, and its return."""
    shown = []
    for place, one in enumerate(frames):
        last = frames[place - 1] if place else None
        changed = last is not None and (
            (one.box is None) != (last.box is None)
            or (one.box and last.box and one.box.verdict is not last.box.verdict)
        )
        ruled = last is not None and (one.human is None) != (last.human is None)
        if last is None or place == len(frames) - 1 or one.happenings or changed or ruled or (one.held == 0.0):
            shown.append(one)
    return shown


def show_frame(lives: Lives, track: int, frame: int) -> None:
    """All parts of one frame's decisions."""
    one = frame_of(lives, track, frame)
    console = _console()
    console.print(
        f"[bold]track {track}, frame {frame}[/bold] ({one.seconds:.2f} s): {one.hits} hits, {one.misses} misses so far"
    )
    if one.box is None:
        console.print(
            "no box in this frame: " + ("hidden or leaving, which is no evidence" if one.hidden else "a miss")
        )
    else:
        console.print(
            _sum(f"box: P(right, here, now) = {one.box.probability:.4f}, {one.box.verdict.name}", one.box.why)
        )
    console.print(_sum(f"track: P(real) = {one.probability:.4f}, {one.verdict.name}", one.why))
    for line in [*map(_told, one.happenings), *_hysteresis(one), *_standing(one.human)]:
        console.print(line, soft_wrap=True)


def frame_of(lives: Lives, track: int, frame: int) -> LifeFrame:
    """A frame of a life.

    Raises:
        CommandError: the track was not alive then.
    """
    frames = lives.frames[track]
    for one in frames:
        if one.frame == frame:
            return one
    raise CommandError(f"track {track} has no frame {frame}: it lived from {frames[0].frame} to {frames[-1].frame}")


def document(name: str, lives: Lives, track: int | None, frame: int | None) -> dict[str, Any]:
    """The same as data."""
    content: dict[str, Any] = {
        "sequence": name,
        "policy_version": lives.policy_version,
        "decision_lag": lives.decision_lag,
    }
    if track is None:
        return content | {"tracks": [_named(asdict(one)) for one in lives.interesting()]}
    frames = lives.frames[track] if frame is None else (frame_of(lives, track, frame),)
    answer = lives.answers.get(track)
    people = None if answer is None else _named(asdict(answer))
    return content | {"track": track, "people": people, "frames": [_frame(one) for one in frames]}


def _frame(one: LifeFrame) -> dict[str, Any]:
    content: dict[str, Any] = _named(asdict(one))
    content["why"] = _why(one.why)
    content["fast"]["level"], content["slow"]["level"] = one.fast.level, one.slow.level
    if one.box is not None:
        content["box"]["why"] = _why(one.box.why)
    return content


def _why(why: Explanation) -> dict[str, Any]:
    parts: dict[str, Any] = _named(asdict(why))
    return parts | {"to_yes": _finite(why.to_yes), "to_no": _finite(why.to_no)}


def _finite(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def _named(value: Any) -> Any:  # noqa: ANN401  # data of any shape
    """The same with the names of verdicts, types and reasons in place of their numbers."""
    if isinstance(value, dict):
        return {key: _named(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_named(each) for each in value]
    return getattr(value, "name", value)


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    words = {"class", "verdict", "people", "box is", "track is", "what moved the track", "what happened"}
    for name in columns:
        table.add_column(
            name,
            justify="left" if name in words else "right",
            no_wrap=name not in {"what moved the track", "what happened"},
        )
    return table


def _verdict(verdict: Verdict) -> str:
    return f"[{_STYLES[verdict]}]{verdict.name}[/]"


def _told(happening: Happening) -> str:
    reason = happening.reason.name.lower().replace("_", " ")
    if happening.type is EventType.ENDED:
        return f"ended ({reason}) as {happening.after.name}"
    over = f" at {happening.threshold:.3g}" if happening.threshold else ""
    since = "" if happening.retroactive_from is None else f", YES from frame {happening.retroactive_from} on"
    return f"{happening.before.name} → {happening.after.name} ({reason}{over}{since})"


def _hysteresis(one: LifeFrame) -> list[str]:
    plain = one.why.plain_verdict
    if one.held is None or plain is one.verdict:
        return []
    falls = f"it falls after {one.hold:g} s, or {one.margin:g} under the threshold"
    return [f"{one.verdict.name} is held by hysteresis for {one.held:.2f} s (thresholds alone: {plain.name}; {falls})"]


def _people(before: LifeFrame | None, now: LifeFrame) -> list[str]:
    """Whether people's answer comes or goes with this frame."""
    earlier = None if before is None else before.human
    if earlier is None and now.human is not None:
        return [f"people say {now.human.verdict.name}"]
    if earlier is not None and now.human is None:
        return [f"people's {earlier.verdict.name} holds no longer"]
    return []


def _standing(human: HumanPart | None) -> list[str]:
    """What people's answer does to a frame, and how far the evidence is from undoing it."""
    if human is None:
        return []
    moved = f"the slow level has moved {human.moved:+.2f} against it since, and undoes it beyond {FAR:+g}"
    return [f"people: {_verdict(human.verdict)} (case {human.case_id}) stands over the machine; {moved}"]


def _answered(lives: Lives, track: int) -> list[str]:
    """A word on what people answered, and where it stood over the machine."""
    answer = lives.answers.get(track)
    if answer is None:
        return []
    said = f"people: {_verdict(answer.verdict)} (case {answer.case_id})"
    ruled = [one.frame for one in lives.frames[track] if one.human is not None]
    if not ruled:
        return [f"{said}, settled after the track was over: all that is shown is the machine's"]
    return [f"{said} stands over the machine from frame {ruled[0]} to {ruled[-1]}"]


def _moves(before: LifeFrame | None, now: LifeFrame) -> str:
    """The largest changes of the track's log-odds since then, and their sum; of the first frame the parts themselves."""
    old = {} if before is None else {name: value for name, value, _ in _pieces(before.why.parts)}
    changes = [(name, value - old.get(name, 0.0)) for name, value, _ in _pieces(now.why.parts)]
    total = sum(change for _, change in changes)
    largest = sorted(changes, key=lambda each: -abs(each[1]))[:_MOST_TOLD]
    told = ", ".join(f"{name} {change:+.2f}" for name, change in largest if abs(change) >= _LEAST_TOLD)
    return f"{total:+.2f}" + (f": {told}" if told else "")


def _pieces(parts: tuple[Part, ...]) -> list[tuple[str, float, bool]]:
    """Parts, those of levels by what they come from: name, log-odds, whether it is a piece of a part."""
    pieces: list[tuple[str, float, bool]] = []
    for part in parts:
        if part.shares is None:
            pieces.append((part.name, part.log_odds, False))
            continue
        short = part.name.removesuffix(" level")
        shares = part.shares
        pieces += [(f"detections ({short})", shares.detections, True), (f"misses ({short})", shares.misses, True)]
        pieces.append((f"birth ({short})", shares.birth, True))
        if shares.later:
            pieces.append((f"later frames ({short})", shares.later, True))
    return pieces


def _sum(title: str, why: Explanation) -> Table:
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left", title_style="bold", show_footer=True
    )
    table.add_column("part", "log-odds, and thresholds from here")
    table.add_column("log-odds", f"{why.log_odds:+.4f}", justify="right")
    table.add_column(
        "of which",
        f"YES from {why.yes:.3g}: {_distance(why.to_yes)}; NO under {why.no:.3g}: {_distance(why.to_no)}",
    )
    for part in why.parts:
        shares = part.shares
        made = "" if shares is None else ", ".join(
            f"{name} {value:+.4f}"
            for name, value in (
                ("detections", shares.detections), ("misses", shares.misses), ("birth", shares.birth), ("later frames", shares.later),
            )
            if value or name != "later frames"
        )  # fmt: skip
        table.add_row(part.name, f"{part.log_odds:+.4f}", made)
    return table


def _distance(log_odds: float) -> str:
    if abs(log_odds) == float("inf"):
        return "never" if log_odds < 0 else "always"
    return f"{abs(log_odds):.4f} {'over' if log_odds >= 0 else 'under'}"
