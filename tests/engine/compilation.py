"""Says, as JSON, what is compiled by warm_up, and what after it: python -m tests.engine.compilation."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np

import tertium_server.engine
from tertium_server.engine import FrameColumns, StreamEngine, Workspace, warm_up
from tests.engine.streams import columns, engine_with, filmed, play, settings_with, troubled


def kernels() -> Iterator[tuple[str, Any]]:
    """All compiled functions of the engine, by name."""
    for module in pkgutil.iter_modules(tertium_server.engine.__path__, "tertium_server.engine."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if hasattr(value, "nopython_signatures") and value.py_func.__module__ == module.name:
                yield f"{module.name}.{name}", value


def signatures() -> dict[str, int]:
    """How many signatures of each kernel are compiled."""
    return {name: len(each.nopython_signatures) for name, each in kernels()}


def entries() -> dict[str, list[str]]:
    """Of the kernels that Python calls, the argument types they are compiled for."""
    return {
        name: [str(each) for each in kernel.signatures]
        for name, kernel in kernels()
        if name.endswith(("run", "end_all"))
    }


def from_the_wire(message: FrameColumns) -> FrameColumns:
    """The same columns, lying in immutable bytes."""
    return FrameColumns._make(np.frombuffer(each.tobytes(), each.dtype).reshape(each.shape) for each in message)


def work() -> None:
    """Every kind of message that there is."""
    workspace = Workspace()
    plain = engine_with(nominal_fps=10.0, class_names={0: "person"})
    message = from_the_wire(columns([each for each in filmed(1) if set(each.class_ids) <= {0}]))
    plain.advance(message, workspace)
    plain.advance(
        message._replace(scores=message.scores[:0], class_ids=message.class_ids[:0], times=message.times[:0]), workspace
    )
    plain.advance(message._replace(scores=message.scores[:-1]), workspace)
    plain.advance(from_the_wire(columns([])), workspace)
    plain.finish(workspace)
    for client_tracks in (False, True):
        engine = engine_with(
            client_tracks=client_tracks, logits=True, include_features=True, frame_width=640, frame_height=360
        )
        frames = troubled(2)
        play(engine, frames[:30], repeat(7), workspace, client_tracks=client_tracks)
        engine.advance(from_the_wire(columns(frames[30:60], client_tracks=client_tracks)), workspace)
        chosen = settings_with(client_tracks=client_tracks, logits=True)
        restored = StreamEngine.restore(engine.parameters, chosen, engine.snapshot())
        restored.answered = 70
        play(restored, frames[60:], repeat(5), Workspace(), client_tracks=client_tracks, finish=True)


def main() -> None:
    """Warms up, works, and tells."""
    warm_up()
    before, entries_before = signatures(), entries()
    stats = {
        name: (sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values())) for name, each in kernels()
    }
    work()
    told = {
        "warm": before,
        "worked": signatures(),
        "entries": entries(),
        "entries_warm": entries_before,
        "cache": stats,
    }
    print(json.dumps(told))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
