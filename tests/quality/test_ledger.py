"""The ledger: what was written is read again, whatever became of the process; and what is too old or too much goes."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from tertium_server.quality.ledger import SUFFIX, Heading, Ledger, Message

HOUR = 3600 * 1_000_000
START = 1_700_000_000 * 1_000_000


def heading(first: int, *, stream: str = "gate", epoch: int = 1, at: int = START) -> Heading:
    return Heading(stream, epoch, {0: "person", 7: "car"}, first, first + 9, at)


def messages(first: int, size: int = 50) -> list[Message]:
    return [Message(START + index, b"%d" % index * size, os.urandom(size)) for index in range(first, first + 10)]


def ledger(folder: Path, most_bytes: int = 1 << 20, hours: float = 24) -> Ledger:
    return Ledger(folder, most_bytes, 3600 * hours)


def files(folder: Path) -> list[Path]:
    return list(folder.glob(f"*{SUFFIX}"))


def test_pages_are_read_by_stream_epoch_and_frames_now_and_by_the_next_process(tmp_path: Path) -> None:
    first = ledger(tmp_path)
    written = {}
    for place, (stream, epoch) in enumerate([("gate", 1), ("gate", 2), ("yard", 1)]):
        written[stream, epoch] = messages(100 * place)
        first.append(heading(0, stream=stream, epoch=epoch), written[stream, epoch])
        first.append(heading(50, stream=stream, epoch=epoch), messages(50))
    for each in (first, ledger(tmp_path)):
        assert [(found.epoch, read) for found, read in each.read("gate", 2, 3, 4)] == [(2, written["gate", 2])]
        assert [found.epoch for found, _ in each.read("gate", 0, 9, 9)] == [1, 2]
        assert [found.first for found, _ in each.read("yard", 1, 9, 50)] == [0, 50]
        assert list(each.read("yard", 1, 10, 49)) == []
        assert list(each.read("nowhere", 0, 0, 99)) == []
        assert next(each.read("gate", 1, 0, 0))[0].class_names == {0: "person", 7: "car"}


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_what_a_crash_cut_off_spoils_nothing_before_it(tmp_path: Path, cut: int) -> None:
    first = ledger(tmp_path)
    whole = messages(0)
    first.append(heading(0), whole)
    first.append(heading(50), messages(50))
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    os.truncate(file, file.stat().st_size - cut)
    again = ledger(tmp_path)
    assert [read for _, read in again.read("gate", 0, 0, 99)] == [whole]
    again.append(heading(60), messages(60))
    assert [found.first for found, _ in again.read("gate", 0, 0, 99)] == [0, 60]


def test_a_page_whose_bytes_have_changed_is_passed_over(tmp_path: Path) -> None:
    first = ledger(tmp_path)
    first.append(heading(0), messages(0))
    first.append(heading(50), messages(50))
    (file,) = tmp_path.glob(f"*{SUFFIX}")
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 1
    file.write_bytes(content)
    assert [found.first for found, _ in first.read("gate", 0, 0, 99)] == [50]


def test_the_oldest_goes_where_all_is_too_much(tmp_path: Path) -> None:
    small = ledger(tmp_path, most_bytes=100_000)
    for first in range(0, 4000, 10):
        small.append(heading(first), messages(first, 60))
        assert small.size <= 100_000 + 100_000 // 16
    kept = [found.first for found, _ in small.read("gate", 0, 0, 10_000)]
    assert kept == list(range(kept[0], 4000, 10))
    assert 0 < kept[0] < 3900
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == small.size


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    ledger(tmp_path).append(heading(0), messages(0))
    late = ledger(tmp_path, hours=2)
    late.append(heading(50, at=START + HOUR), messages(50))
    assert len(list(late.read("gate", 0, 0, 99))) == 2
    late.append(heading(60, at=START + 3 * HOUR), messages(60))
    assert [found.first for found, _ in late.read("gate", 0, 0, 99)] == [50, 60]


def test_tries_on_a_full_disk_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ledger(tmp_path)
    kept.append(heading(0), messages(0))
    room = kept.size + 100

    class Full(io.FileIO):
        """A file on a disk that has room for a part of a page."""

        def write(self, data: Any, /) -> int:
            written = super().write(bytes(data)[: max(0, room - sum(file.stat().st_size for file in files(tmp_path)))])
            if written < len(data):
                raise OSError(errno.ENOSPC, "no space left")
            return written

    with monkeypatch.context() as full:
        full.setattr(Path, "open", lambda path, mode: Full(path, mode.replace("b", "")))
        for first in range(10, 60, 10):
            with pytest.raises(OSError, match="no space"):
                kept.append(heading(first), messages(first))
            assert sum(file.stat().st_size for file in files(tmp_path)) == kept.size < room
        assert len(files(tmp_path)) == 1
    kept.append(heading(60), messages(60))
    for each in (kept, ledger(tmp_path)):
        assert [found.first for found, _ in each.read("gate", 0, 0, 99)] == [0, 60]


def test_pages_share_the_names_of_their_classes(tmp_path: Path) -> None:
    kept = ledger(tmp_path)
    for first in (0, 50):
        kept.append(heading(first), messages(first))
    for each in (kept, ledger(tmp_path)):
        assert len({id(found.class_names) for found, _ in each.read("gate", 1, 0, 99)}) == 1


def test_a_file_of_something_else_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / f"x{SUFFIX}").write_bytes(b"something else altogether")
    assert list(ledger(tmp_path).read("gate", 0, 0, 99)) == []
