import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tertium.recording import (
    FrameArrays,
    Kind,
    Limits,
    PartName,
    Recorder,
    decode_frames,
    decode_lost,
    decode_opening,
    encode_frames,
    parse_part,
    stream_folder,
)
from tests.recording.builders import message, opening

SIZE = len(encode_frames(message(0)))


def parts_of(folder: Path, stream_id: str = "gate") -> list[Path]:
    return sorted(stream_folder(folder, stream_id).glob("*.tertium"))


def indices_of(folder: Path, stream_id: str = "gate") -> list[int]:
    """The frame indices that were written, in the order of the files."""
    found: list[int] = []
    for file in parts_of(folder, stream_id):
        part = parse_part(file.read_bytes())
        assert part.torn == 0
        assert decode_opening(part.records[0]).stream_id == stream_id
        for record in part.records:
            if record.kind == Kind.FRAMES:
                found += memoryview(bytes(decode_frames(record).indices)).cast("q").tolist()
    return found


def lost_of(folder: Path) -> list[int]:
    records = [record for file in parts_of(folder) for record in parse_part(file.read_bytes()).records]
    return [decode_lost(record) for record in records if record.kind == Kind.LOST]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_streams_are_written_side_by_side(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        gate, yard = recorder.open(opening()), recorder.open(opening(stream_id="../yard"))
        for number in range(5):
            assert gate.write(message(number, 3 * number))
            assert yard.write(message(number, 100 + 3 * number))
        gate.close()
    assert indices_of(tmp_path) == list(range(15))
    assert indices_of(tmp_path, "../yard") == list(range(100, 115))
    assert (recorder.lost_frames, recorder.refused_messages) == (0, 0)
    assert {file.parent.parent for file in tmp_path.rglob("*.tertium")} == {tmp_path}


def test_the_same_run_opened_again_gets_the_next_number(tmp_path: Path) -> None:
    for first in (0, 3):
        with Recorder(tmp_path, clock=lambda: 12.5) as recorder:
            recorder.open(opening()).write(message(0, first))
    older, newer = parts_of(tmp_path)
    assert (PartName.of(older), PartName.of(newer)) == (PartName(7, 0), PartName(7, 1))
    assert decode_opening(parse_part(newer.read_bytes()).records[0]).recorded_at == 12.5
    assert indices_of(tmp_path) == [0, 1, 2, 3, 4, 5]


def test_a_full_part_is_followed_by_another(tmp_path: Path) -> None:
    with Recorder(tmp_path, Limits(part=4 * SIZE, total=1000 * SIZE)) as recorder:
        stream = recorder.open(opening())
        for number in range(20):
            stream.write(message(0, 3 * number))
    assert len(parts_of(tmp_path)) > 4
    assert all(file.stat().st_size <= 4 * SIZE for file in parts_of(tmp_path))
    assert indices_of(tmp_path) == list(range(60))


@pytest.mark.parametrize("streams", [1, 3])
def test_the_oldest_files_give_way_when_the_folder_is_full(tmp_path: Path, streams: int) -> None:
    limits = Limits(part=6 * SIZE, total=20 * SIZE)
    for run in range(2):
        with Recorder(tmp_path, limits) as recorder:
            opened = [recorder.open(opening(stream_id=f"s{number}", epoch=run)) for number in range(streams)]
            for number in range(40):
                for stream in opened:
                    stream.write(message(0, 3 * number))
        assert sum(file.stat().st_size for file in tmp_path.rglob("*.tertium")) <= limits.total
    for number in range(streams):
        kept = indices_of(tmp_path, f"s{number}")
        assert kept == list(range(kept[0], 120))
        assert all(
            PartName.of(file) and file.name.startswith("0000000000000000001")
            for file in parts_of(tmp_path, f"s{number}")
        )


def test_what_does_not_fit_into_the_queue_is_lost_and_counted(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow_clock() -> float:
        started.set()
        go_on.wait(10)
        return 0.0

    one = message(0)
    size = sum(array.nbytes for array in one)
    recorder = Recorder(tmp_path, Limits(pending=2 * size), clock=slow_clock)
    stream = recorder.open(opening())
    assert stream.write(one)
    assert started.wait(120)  # the thread is busy with the first message now
    assert stream.write(message(0, 3))
    assert not stream.write(message(0, 6))
    assert not stream.write(message(0, 9))
    assert (stream.lost, recorder.lost_frames) == (6, 6)
    go_on.set()
    while not stream.write(message(0, 12)):
        pass
    assert recorder.close()
    kept = indices_of(tmp_path)
    assert kept == [0, 1, 2, 3, 4, 5, 12, 13, 14]
    assert sum(lost_of(tmp_path)) == recorder.lost_frames
    assert not stream.write(message(0, 15))


def test_a_disk_that_fails_loses_frames_until_it_works_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    folder = stream_folder(tmp_path, "gate")
    folder.touch()  # a file where the stream's folder has to be
    recorder = Recorder(tmp_path, monotonic=clock)
    stream = recorder.open(opening())
    with caplog.at_level(logging.WARNING, logger="tertium.recording"):
        for first in (0, 3):
            stream.write(message(0, first))
        wait_until_written(recorder)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "recording of stream 'gate' can't be written" in caplog.text
    folder.unlink()
    stream.write(message(0, 6))
    wait_until_written(recorder)
    assert recorder.lost_frames == 9
    clock.now = 11
    stream.write(message(0, 9))
    recorder.close()
    assert (indices_of(tmp_path), lost_of(tmp_path)) == ([9, 10, 11], [9])


def wait_until_written(recorder: Recorder) -> None:
    while recorder.pending:
        pass


def test_losses_at_the_end_are_told_when_the_stream_closes(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, Limits(pending=sum(array.nbytes for array in message(0))))
    stream = recorder.open(opening())
    stream.write(message(0))
    assert not stream.write(message(0, 3, frames=90))
    stream.close()
    recorder.close()
    assert (indices_of(tmp_path), lost_of(tmp_path)) == ([0, 1, 2], [90])


def test_a_message_that_does_not_fit_together_is_counted_and_left_out(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        stream = recorder.open(opening())
        broken: FrameArrays = message(0)._replace(counts=message(0).counts[:-1])
        stream.write(broken)
        stream.write(message(1))
    assert (recorder.refused_messages, indices_of(tmp_path)) == (1, [0, 1, 2])


def test_a_stream_without_frames_leaves_no_file(tmp_path: Path) -> None:
    with Recorder(tmp_path) as recorder:
        recorder.open(opening()).close()
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import os, sys
from pathlib import Path
from tertium.recording import Recorder
from tests.recording.builders import message, opening
recorder = Recorder(Path(sys.argv[1]))
stream = recorder.open(opening())
for number in range(50):
    stream.write(message(0, 3 * number))
while recorder.pending:
    pass
os._exit(9)  # without closing anything, as when it is killed
"""


def test_a_process_that_dies_leaves_everything_that_was_written(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=root, check=False)
    assert ended.returncode == 9
    assert indices_of(tmp_path) == list(range(150))


@pytest.mark.parametrize(
    ("stream_id", "name"),
    [("gate 1", "gate 1"), ("a/b", "a%2Fb"), ("..", "%2E."), (".x", "%2Ex"), ("Tür", "T%C3%BCr"), ("a%2Fb", "a%252Fb")],
)
def test_folders_are_named_for_streams(stream_id: str, name: str) -> None:
    assert stream_folder(Path(), stream_id).name == name


def test_long_names_stay_apart() -> None:
    names = {stream_folder(Path(), "x" * 200 + end).name for end in "ab"}
    assert len(names) == 2
    assert all(len(name) < 150 for name in names)


@pytest.mark.parametrize("limits", [{"part": 0}, {"part": 10, "total": 9}, {"pending": 0}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="have to be above 0"):
        Limits(**limits)
