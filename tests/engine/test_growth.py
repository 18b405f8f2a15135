"""Buffers grow as they must, and nobody can tell from the decisions."""

from typing import Any

import numpy as np
import pytest

from tertium_server.engine import Workspace
from tests.engine.streams import Frame, assert_same, engine_with, filmed, frame, play, troubled
from tests.policies import policy_with

LIMITS: dict[str, Any] = {"max_detections": 5000, "max_tracks": 6000}


def field(count: int, *, index: int, score: float = 0.95, shift: float = 0.0) -> Frame:
    """Boxes side by side."""
    return frame(
        index, *(((25.0 * place + shift, 0.0, 25.0 * place + shift + 20.0, 40.0), score) for place in range(count))
    )


def heap(count: int, index: int, seed: int) -> Frame:
    """Boxes on one another: every one overlaps every other."""
    random = np.random.default_rng([seed, index])
    corners = random.uniform(0, 15, (count, 2))
    boxes = np.hstack([corners, corners + random.uniform(30, 60, (count, 2))]).tolist()
    return frame(index, *(((left, top, right, bottom), 0.9) for left, top, right, bottom in boxes))


def grown_workspace() -> Workspace:
    """One that has room for anything."""
    workspace = Workspace()
    play(engine_with(**LIMITS), [field(3000, index=0), heap(120, 1, 0), heap(120, 2, 0)], workspace=workspace)
    return workspace


@pytest.mark.parametrize(
    "frames",
    [
        [field(count, index=index) for index, count in enumerate([1, 64, 65, 130, 600, 0, 0, 0, 1200, 5])],
        [field(3000, index=0), *(field(0, index=index) for index in range(1, 30))],
        [field(700, index=index, shift=10_000.0 * index) for index in range(8)],
        [heap(110, index, 1) for index in range(6)],
        [frame(index) for index in range(3000)],
    ],
    ids=["more and fewer", "all coast and are lost", "everyone new each time", "a heap", "many empty frames"],
)
def test_a_small_workspace_grows_into_the_same_decisions(frames: list[Frame]) -> None:
    policy = policy_with({"tracker.association.gate_high": 0.0, "tracker.association.gate_candidate": 0.0})
    engines = [engine_with(policy, **LIMITS) for _ in range(3)]
    small_steps = play(engines[0], frames, [1] * len(frames), finish=True)
    at_once = play(engines[1], frames, [len(frames)], finish=True)
    with_room = play(engines[2], frames, [len(frames)], grown_workspace(), finish=True)
    assert_same(at_once, small_steps)
    assert_same(at_once, with_room)
    assert not at_once["status"].any()


def test_a_heap_has_more_overlapping_pairs_than_a_fresh_workspace_holds_and_makes_room_for_them() -> None:
    workspace = Workspace()
    before = workspace.scratch.edge_column.shape[0]
    play(
        engine_with(policy_with({"tracker.association.gate_high": 0.0, "tracker.association.gate_candidate": 0.0})),
        [heap(110, index, 1) for index in range(3)],
        workspace=workspace,
    )
    assert before == 4096
    assert workspace.scratch.edge_column.shape[0] >= 110 * 110


def test_every_track_of_a_crowd_has_its_events() -> None:
    frames = [field(900, index=index) for index in range(6)]
    events = play(engine_with(), frames, [6], finish=True)["events"]
    ids, counts = np.unique(events["track_id"], return_counts=True)
    assert ids.tolist() == list(range(1, 901))
    assert len(set(counts.tolist())) == 1, "all alike"


def test_a_workspace_that_has_what_it_needs_stays_as_it_is() -> None:
    engine, workspace = engine_with(), Workspace()
    frames = troubled(3)
    play(engine, frames, [8] * len(frames), workspace)
    buffers = [id(each) for each in (*workspace.outputs, *workspace.scratch)]
    play(engine_with(), frames, [8] * len(frames), workspace)
    assert [id(each) for each in (*workspace.outputs, *workspace.scratch)] == buffers


def test_the_state_of_a_stream_grows_no_further_than_its_busiest_frame_asks() -> None:
    engine = engine_with()
    play(engine, [field(100, index=index, shift=50_000.0 * index) for index in range(40)])
    after_a_while = engine.nbytes
    play(engine, [field(100, index=index, shift=50_000.0 * (index % 7)) for index in range(40, 400)])
    assert engine.nbytes == after_a_while


def test_what_was_left_in_the_buffers_by_another_stream_is_not_seen() -> None:
    workspace = grown_workspace()
    for array in (*workspace.outputs, *workspace.scratch):
        array.view(np.uint8).fill(0xAB)
    frames = filmed(5)
    engine, other = (engine_with(include_features=True) for _ in range(2))
    assert_same(play(engine, frames, workspace=workspace), play(other, frames))
