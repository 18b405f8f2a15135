"""Decisions on their way to the ledger: no message of a stream is changed, and what finds no room is counted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tertium_server.quality.ledger import Ledger
from tertium_server.rpc import keeping, wire
from tertium_server.rpc.desk import Desk
from tertium_server.rpc.keeping import DecisionKeeping, KeptStream
from tertium_server.rpc.kept import read_frames
from tertium_server.rpc.opening import check_open
from tests.rpc.builders import EPOCH, Request, Response, make_stream, open_message, recording, terms


@pytest.fixture
def kept(tmp_path: Path) -> DecisionKeeping:
    return DecisionKeeping(Ledger(tmp_path, 1 << 24, 3600.0))


def begin(kept: DecisionKeeping) -> KeptStream:
    opened = check_open(open_message(), terms().limits)
    return kept.begin("camera", EPOCH, opened.settings)


@pytest.mark.parametrize("as_columns", [False, True], ids=["as bytes", "as columns"])
def test_decisions_are_read_back_as_they_were_sent(kept: DecisionKeeping, *, as_columns: bool) -> None:
    stream, desk = make_stream(terms()), Desk()
    into = begin(kept)
    sent: dict[int, tuple[Request, Response]] = {}
    for message in recording(3, 60):
        request = Request(frames=message).SerializeToString()
        response = stream.answer(request, desk)
        columns = wire.read_frames(request)
        assert columns is not None
        into.keep((columns if as_columns else request, response), len(request) + len(response))
        sent[message.frame_indices[0]] = (Request.FromString(request), Response.FromString(response))
    kept.flush()
    found = read_frames(kept.ledger, "camera", 0, sent)
    assert set(found) == set(sent)
    for index, (asked, answered) in sent.items():
        frame = found[index]
        assert frame.epoch == EPOCH
        np.testing.assert_array_equal(frame.boxes.ravel(), np.array(asked.frames.boxes, np.float32))
        assert frame.verdicts.tolist() == list(answered.decisions.verdicts)
        np.testing.assert_array_equal(frame.probabilities, np.array(answered.decisions.probabilities, np.float32))
        assert set(frame.classes) <= {"person"}


def test_messages_that_come_by_calls_of_their_own_share_a_page(kept: DecisionKeeping, tmp_path: Path) -> None:
    stream, desk = make_stream(terms()), Desk()
    messages = recording(3, 30)
    requests = [Request(frames=message).SerializeToString() for message in messages]
    responses = [stream.answer(request, desk) for request in requests]
    # The last of them again, and then one from the middle: calls are repeated, and overtake each other.
    for place in (*range(10, 30), 29, 5):
        begin(kept).keep((requests[place], responses[place]), 300)
    kept.flush()
    indices = [message.frame_indices[0] for message in messages]
    assert [(each.first, each.last) for each, _ in kept.ledger.read("camera", 0, 0, 2**62)] == [
        (indices[5], indices[29])
    ]
    for each in (kept.ledger, Ledger(tmp_path, 1 << 24, 3600.0)):
        assert sorted(read_frames(each, "camera", 0, indices)) == [indices[place] for place in (5, *range(10, 30))]


def test_calls_that_name_other_classes_share_no_page(kept: DecisionKeeping) -> None:
    stream, desk = make_stream(terms()), Desk()
    names = [{0: "person"}, {0: "car"}]
    for message, class_names in zip(recording(3, 2), names, strict=True):
        request = Request(frames=message).SerializeToString()
        opened = check_open(open_message(class_names=class_names), terms().limits)
        into = kept.begin("camera", EPOCH, opened.settings)
        into.keep((request, stream.answer(request, desk)), 300)
    kept.flush()
    assert [dict(each.class_names) for each, _ in kept.ledger.read("camera", 0, 0, 2**62)] == names


def test_each_who_asks_for_a_flush_finds_what_was_handed_over_before(
    kept: DecisionKeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, desk = make_stream(terms()), Desk()
    into = begin(kept)
    first, second = (Request(frames=message).SerializeToString() for message in recording(3, 2))
    responses = [stream.answer(request, desk) for request in (first, second)]
    writing, asked, first_served = threading.Event(), threading.Event(), threading.Event()
    append, gates = kept.ledger.append, iter((asked, first_served))

    def append_slowly(*page: Any) -> None:
        writing.set()
        assert next(gates).wait(30)
        append(*page)

    monkeypatch.setattr(kept.ledger, "append", append_slowly)
    monkeypatch.setattr(keeping, "_FLUSH_SECONDS", 60.0)
    into.keep((first, responses[0]), 300)
    kept.start()

    def ask_again() -> int:
        assert writing.wait(30)
        into.keep((second, responses[1]), 300)
        asked.set()
        kept.flush()
        return len(read_frames(kept.ledger, "camera", 0, range(10)))

    with ThreadPoolExecutor(2) as pool:
        served = pool.submit(kept.flush)
        found = pool.submit(ask_again)
        served.result()
        first_served.set()
        assert found.result() == 2
    kept.stop(30)


def test_what_finds_no_room_is_counted(kept: DecisionKeeping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_MOST_WAITING", 1000)
    stream, desk = make_stream(terms()), Desk()
    into = begin(kept)
    for message in recording(3, 10):
        request = Request(frames=message).SerializeToString()
        into.keep((request, stream.answer(request, desk)), 300)
    assert kept.lost == 7
    kept.flush()
    assert len(read_frames(kept.ledger, "camera", 0, range(10))) == 3
    into.keep((b"", b""), 300)
    assert kept.lost == 7


def test_a_disk_that_can_not_be_written_costs_messages_and_no_more(kept: DecisionKeeping, tmp_path: Path) -> None:
    stream, desk = make_stream(terms()), Desk()
    into = begin(kept)
    tmp_path.rmdir()
    requests = [Request(frames=message).SerializeToString() for message in recording(3, 4)]
    for request in requests[:2]:
        into.keep((request, stream.answer(request, desk)), 300)
    kept.flush()
    assert kept.lost == 2
    tmp_path.mkdir()
    for request in requests[2:]:
        into.keep((request, stream.answer(request, desk)), 300)
    kept.flush()
    assert sorted(read_frames(kept.ledger, "camera", 0, range(4))) == [2, 3]
