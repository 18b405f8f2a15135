"""What the engine counts for the metrics: every detection decided and every track ended, once."""

from collections import Counter

import numpy as np
import pytest

from tertium_server.engine import EventReason, EventType, StreamEngine
from tests.engine.streams import CLASSES, Frame, assert_same, engine_with, play, settings_with, troubled


def counted(frames: list[Frame], statuses: list[int]) -> list[int]:
    """The class ids of all detections of the frames that were taken."""
    return [
        class_id for each, status in zip(frames, statuses, strict=True) if status == 0 for class_id in each.class_ids
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1, 7])
def test_the_tally_is_that_of_all_decisions_by_class_and_verdict(seed: int, size: int) -> None:
    frames = troubled(seed)
    engine = engine_with()
    journal = play(engine, frames, [size] * len(frames), finish=True)
    rows = [sorted(CLASSES).index(each) for each in counted(frames, journal["status"].tolist())]
    wanted = np.zeros((2, 4), np.int64)
    for row, verdict in zip(rows, journal["verdicts"].tolist(), strict=True):
        wanted[row, verdict] += 1
    assert wanted.sum() > 0
    assert (engine.tally == wanted).all()
    assert not engine.tally[:, 0].any()


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_track_is_closed_once_for_one_reason(seed: int, *, client_tracks: bool) -> None:
    engine = engine_with(client_tracks=client_tracks, frame_width=640, frame_height=360, max_tracks=9, max_detections=9)
    journal = play(engine, troubled(seed), finish=True, client_tracks=client_tracks)
    events = journal["events"]
    told = Counter(events["reason"][events["type"] == EventType.ENDED].tolist())
    assert all(engine.closed[reason] >= count for reason, count in told.items()), (
        "candidates are closed, but not told of"
    )
    assert engine.closed[[0, EventReason.THRESHOLD]].tolist() == [0, 0]
    if not client_tracks:
        assert engine.closed.sum() == len(set(journal["track_ids"].tolist()))


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("size", [1, 5, 200])
@pytest.mark.parametrize("answered", [-1, 0, 17, 40, 79, 500])
def test_frames_that_were_answered_before_are_computed_but_not_counted(
    answered: int, size: int, *, client_tracks: bool
) -> None:
    frames = troubled(11)
    plain, resumed, before = (engine_with(client_tracks=client_tracks) for _ in range(3))
    resumed.answered = answered
    expected = play(plain, frames, [size] * len(frames), client_tracks=client_tracks)
    found = play(resumed, frames, [size] * len(frames), client_tracks=client_tracks)
    assert_same(found, expected)
    play(before, [each for each in frames if each.index <= answered], client_tracks=client_tracks)
    # Frames that come late are refused either way, so what was answered is all that comes first.
    assert (resumed.tally == plain.tally - before.tally).all()
    assert (resumed.closed == plain.closed - before.closed).all()


def test_counts_of_a_broken_and_a_resumed_stream_add_up_to_those_of_an_undisturbed_one() -> None:
    frames = troubled(4)
    whole, first = engine_with(), engine_with()
    play(whole, frames, finish=True)
    play(first, frames[:40])
    snapshot = first.snapshot()
    play(first, frames[40:55])  # answered, but after the checkpoint
    second = StreamEngine.restore(first.parameters, settings_with(), snapshot)
    assert first.last_frame is not None
    second.answered = first.last_frame
    play(second, frames[40:], finish=True)
    assert (first.tally + second.tally == whole.tally).all()
    assert (first.closed + second.closed == whole.closed).all()


def test_frames_taken_are_counted_and_refused_ones_are_not() -> None:
    frames = troubled(2)
    engine = engine_with()
    journal = play(engine, frames)
    assert engine.frames == (journal["status"] == 0).sum() < len(frames)
    assert engine.last_frame == journal["frame_indices"][-1]


def test_the_tallys_rows_are_the_classes_by_ascending_id() -> None:
    engine = engine_with(class_names={9: "zebra", 2: "apple", 5: "mast"})
    made = Frame(0, 0, ((0.0, 0.0, 9.0, 9.0),) * 4, (0.5,) * 4, (5, 9, 5, 5))
    play(engine, [made])
    assert engine.tally.sum(axis=1).tolist() == [0, 3, 1]
