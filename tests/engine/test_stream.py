"""One stream: however it is cut into messages, or by restarts, its decisions are the same."""

import subprocess
import sys
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertium_server.engine import FrameStatus, SnapshotError, StreamEngine, StreamSettings, Workspace
from tertium_server.policy import compile_parameters
from tests.engine.resume import play_the_rest
from tests.engine.streams import (
    CLASSES,
    Journal,
    assert_same,
    columns,
    engine_with,
    filmed,
    frame,
    play,
    settings_with,
    troubled,
)
from tests.policies import plain_policy

ROOT = Path(__file__).parents[2]
EVERYTHING: dict[str, Any] = {"include_features": True, "frame_width": 640, "frame_height": 360}


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_scenes_of_these_tests_have_something_of_everything(seed: int, *, client_tracks: bool) -> None:
    engine = engine_with(client_tracks=client_tracks, **EVERYTHING)
    journal = play(engine, troubled(seed), finish=True, client_tracks=client_tracks)
    refused = {FrameStatus.DUPLICATE, FrameStatus.BOX_NOT_FINITE, FrameStatus.SCORE, FrameStatus.CLASS}
    assert refused <= {FrameStatus(status) for status in journal["status"]}
    assert {1, 2} <= set(journal["resets"].tolist())
    assert len(set(journal["track_ids"].tolist())) > 5
    assert {1, 2, 3} <= set(journal["verdicts"].tolist()) & set(journal["track_verdicts"].tolist())
    assert {1, 2, 3} <= set(journal["events"]["type"].tolist())
    assert len(journal["coasted_track_ids"]) > 10


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("size", [2, 3, 16, 1000])
def test_batches_of_any_size_change_nothing(size: int, *, client_tracks: bool) -> None:
    frames = troubled(size)
    alone, batched = (engine_with(client_tracks=client_tracks, **EVERYTHING) for _ in range(2))
    expected = play(alone, frames, finish=True, client_tracks=client_tracks)
    assert_same(play(batched, frames, repeat(size), finish=True, client_tracks=client_tracks), expected)
    assert (batched.tally == alone.tally).all()
    assert (batched.closed == alone.closed).all()
    assert batched.snapshot() == alone.snapshot()


@settings(max_examples=40)
@given(st.integers(0, 5), st.lists(st.integers(1, 12), min_size=8, max_size=8).map(lambda sizes: sizes * 20))
def test_any_cutting_into_messages_changes_nothing(seed: int, sizes: list[int]) -> None:
    frames = troubled(seed, length=60)
    engines = [engine_with(**EVERYTHING) for _ in range(2)]
    assert_same(play(engines[0], frames, sizes), play(engines[1], frames))
    assert engines[0].snapshot() == engines[1].snapshot()


@pytest.mark.parametrize("client_tracks", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_cut_at_every_tenth_frame_and_restored_it_goes_on_as_if_nothing_had_been(
    seed: int, *, client_tracks: bool
) -> None:
    chosen = settings_with(client_tracks=client_tracks, **EVERYTHING)
    parameters = compile_parameters(plain_policy(), chosen)
    frames = troubled(seed)
    whole = play(StreamEngine(parameters, chosen), frames, finish=True, client_tracks=client_tracks)
    for cut in range(0, len(frames), 10):
        engine = StreamEngine(parameters, chosen)
        before = play(engine, frames[:cut], client_tracks=client_tracks)
        restored = StreamEngine.restore(parameters, chosen, engine.snapshot())
        assert restored.snapshot() == engine.snapshot()
        assert (restored.last_frame, restored.frames, restored.tracks) == (
            engine.last_frame,
            engine.frames,
            engine.tracks,
        )
        after = play(restored, frames[cut:], finish=True, client_tracks=client_tracks)
        for name in set(Journal.names) - {"culprit"}:
            joined = np.concatenate([before[name], after[name]]) if cut else after[name]
            np.testing.assert_array_equal(joined, whole[name], err_msg=name)


def test_cut_at_every_tenth_frame_and_restored_in_a_new_process_it_goes_on_alike(tmp_path: Path) -> None:
    seed, engine = 8, engine_with(**EVERYTHING)
    frames = troubled(seed)
    cuts = range(0, len(frames), 10)
    workspace = Workspace()
    for cut in cuts:
        (tmp_path / f"{cut}.snapshot").write_bytes(engine.snapshot())
        play(engine, frames[cut : cut + 10], workspace=workspace)
    subprocess.run([sys.executable, "-m", "tests.engine.resume", str(tmp_path), str(seed)], cwd=ROOT, check=True)
    whole = play(engine_with(**EVERYTHING), frames, finish=True)
    for cut in cuts:
        expected = play_the_rest((tmp_path / f"{cut}.snapshot").read_bytes(), seed, cut) if cut else whole
        for name in Journal.names:
            found = np.load(tmp_path / f"{cut}.{name}.npy")
            np.testing.assert_array_equal(found, expected[name], err_msg=f"{name} after {cut}", strict=True)


def test_a_snapshot_holds_as_many_tracks_as_there_are() -> None:
    boxes = [((30.0 * place, 0.0, 30.0 * place + 20, 40.0), 0.9) for place in range(300)]
    engine = engine_with()
    play(engine, [frame(0, *boxes), frame(1, *boxes)])
    restored = StreamEngine.restore(engine.parameters, settings_with(), engine.snapshot())
    assert restored.tracks == 300
    rest = [frame(index, *boxes[index:]) for index in range(2, 30)]
    assert_same(play(restored, rest, finish=True), play(engine, rest, finish=True))


def test_a_restored_engine_with_room_for_fewer_tracks_goes_on_with_those_it_has() -> None:
    boxes = [((30.0 * place, 0.0, 30.0 * place + 20, 40.0), 0.9) for place in range(100)]
    engine = engine_with()
    play(engine, [frame(0, *boxes), frame(1, *boxes)])
    smaller = settings_with(max_tracks=80, max_detections=80)
    restored = StreamEngine.restore(compile_parameters(plain_policy(), smaller), smaller, engine.snapshot())
    far = [((30.0 * place, 500.0, 30.0 * place + 20, 540.0), 0.9) for place in range(70)]
    journal = play(restored, [frame(2, *far), *(frame(index, *far, *boxes[:10]) for index in range(3, 40))])
    assert not journal["status"].any()
    assert restored.tracks == 80


class TestSnapshotsThatDontFit:
    def snapshot(self) -> tuple[StreamEngine, StreamSettings, bytes]:
        engine = engine_with()
        play(engine, filmed(2)[:30])
        assert engine.tracks > 2
        return engine, settings_with(), engine.snapshot()

    def test_one_that_is_cut_short_anywhere_is_refused(self) -> None:
        engine, chosen, snapshot = self.snapshot()
        for length in range(len(snapshot)):
            with pytest.raises(SnapshotError, match="cut short"):
                StreamEngine.restore(engine.parameters, chosen, snapshot[:length])

    def test_one_with_something_behind_it_is_refused(self) -> None:
        engine, chosen, snapshot = self.snapshot()
        with pytest.raises(SnapshotError):
            StreamEngine.restore(engine.parameters, chosen, snapshot + b"\0")

    @pytest.mark.parametrize("classes", [{0: "person"}, {0: "person", 8: "car"}, {**CLASSES, 9: "dog"}])
    def test_one_of_a_stream_with_other_classes_is_refused(self, classes: dict[int, str]) -> None:
        *_, snapshot = self.snapshot()
        other = settings_with(class_names=classes)
        with pytest.raises(SnapshotError, match=r"class ids \[0, 7\]"):
            StreamEngine.restore(compile_parameters(plain_policy(), other), other, snapshot)

    def test_one_of_another_memory_layout_is_refused(self) -> None:
        engine, chosen, snapshot = self.snapshot()
        for place in range(8):
            other = bytearray(snapshot)
            other[place] ^= 1
            with pytest.raises(SnapshotError, match="memory layout"):
                StreamEngine.restore(engine.parameters, chosen, bytes(other))

    def test_a_snapshot_is_no_view_of_the_engine(self) -> None:
        engine, chosen, snapshot = self.snapshot()
        kept = bytes(bytearray(snapshot))
        play(engine, filmed(2)[30:])
        assert snapshot == kept
        restored = StreamEngine.restore(engine.parameters, chosen, snapshot)
        play(restored, filmed(2)[30:])
        assert snapshot == kept


def test_a_fresh_engine_has_seen_nothing() -> None:
    engine = engine_with()
    assert (engine.last_frame, engine.frames, engine.tracks) == (None, 0, 0)
    assert not engine.tally.any()
    assert not engine.closed.any()
    assert play(engine, [], finish=True)["events"].size == 0


def test_a_message_without_frames_changes_nothing() -> None:
    engine = engine_with()
    play(engine, filmed(1)[:20])
    before = engine.snapshot()
    decisions = engine.advance(columns([]), Workspace())
    assert (decisions.status.size, decisions.frames, decisions.detections, decisions.error) == (0, 0, 0, "")
    assert engine.snapshot() == before
