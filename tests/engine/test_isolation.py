"""Streams share nothing: not through a workspace, not through a thread."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tertium_server.engine import StreamEngine, Workspace
from tertium_server.policy import compile_parameters
from tests.engine.streams import Frame, Journal, assert_same, columns, engine_with, play, settings_with, troubled
from tests.policies import policy_with

POLICIES = [
    policy_with({}),
    policy_with({"defaults.evidence.noise": 0.5, "tracker.lifetime.coast": 0.4}),
    policy_with({"defaults.box.weights.overlap": 0.0, "tracker.association.class_aware": False}),
]


def engine(number: int) -> StreamEngine:
    """Streams of different policies, frame sizes and kinds."""
    return engine_with(
        POLICIES[number % 3], client_tracks=number % 4 == 3, frame_width=640 * (number % 2), frame_height=360
    )


def film(number: int) -> list[Frame]:
    return troubled(number, length=40 + 3 * number)


def solo(number: int) -> Journal:
    return play(engine(number), film(number), finish=True, client_tracks=number % 4 == 3)


@pytest.mark.parametrize("seed", range(3))
def test_streams_that_take_turns_on_one_workspace_are_each_as_if_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = 12
    engines, films = [engine(number) for number in range(count)], [film(number) for number in range(count)]
    journals, places = [Journal() for _ in range(count)], [0] * count
    workspace = Workspace()
    while any(place < len(frames) for place, frames in zip(places, films, strict=True)):
        number = int(random.integers(count))
        size = int(random.integers(1, 9))
        message = columns(films[number][places[number] : places[number] + size], client_tracks=number % 4 == 3)
        journals[number].add(engines[number].advance(message, workspace), len(message.boxes))
        places[number] += size
    for number in range(count):
        journals[number].add(engines[number].finish(workspace), 0)
        assert_same(journals[number], solo(number))


def test_streams_in_threads_with_workspaces_of_their_own_are_each_as_if_alone() -> None:
    def rounds(number: int) -> list[Journal]:
        workspace = Workspace()
        return [
            play(engine(number), film(number), workspace=workspace, finish=True, client_tracks=number % 4 == 3)
            for _ in range(6)
        ]

    numbers = list(range(4))
    expected = [solo(number) for number in numbers]
    with ThreadPoolExecutor(len(numbers)) as pool:
        for wanted, found in zip(expected, pool.map(rounds, numbers), strict=True):
            for journal in found:
                assert_same(journal, wanted)


def test_streams_that_share_their_parameters_leave_them_alone() -> None:
    settings = settings_with()
    parameters = compile_parameters(POLICIES[1], settings)
    judges, tracker = parameters.judges.tobytes(), parameters.tracker.tobytes()
    expected = play(engine_with(POLICIES[1]), film(1), finish=True)
    for _ in range(2):
        assert_same(play(StreamEngine(parameters, settings), film(1), finish=True), expected)
    assert (parameters.judges.tobytes(), parameters.tracker.tobytes()) == (judges, tracker)
