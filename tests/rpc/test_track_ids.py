from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tertium_server.rpc.track_ids import TrackIds, page_base

LOW = 2**24 - 1


def ids(stream: str = "camera", epoch: int = 1, *, caller: bool = False) -> TrackIds:
    return TrackIds(stream, epoch, caller=caller)


def test_ordinals_stay_in_the_low_bits_and_the_rest_is_the_streams_tag() -> None:
    ordinals = np.array([1, 2, 3, 77], np.int64)
    wire = ids().to_wire(ordinals, 100)
    assert (wire & LOW).tolist() == [1, 2, 3, 77]
    assert len(set((wire >> 24).tolist())) == 1
    assert (wire > 0).all()


@given(st.text(min_size=1), st.integers(0, 2**63 - 1), st.integers(0, 2**39))
def test_ids_are_positive_signed_numbers_of_64_bits(stream: str, epoch: int, page: int) -> None:
    base = page_base(stream, epoch, page)
    assert 0 <= base < 2**63
    assert base & LOW == 0


def test_another_stream_or_epoch_has_other_tags() -> None:
    bases = {page_base(stream, epoch, 0) for stream in ("a", "b", "ab", "ba") for epoch in range(500)}
    assert len(bases) == 2000


def test_a_tag_is_the_same_in_every_process() -> None:
    """Resumed on another replica, tracks keep their ids: the hash may not change. Worked out by hand from the docstring's recipe."""
    digest = hashlib.blake2b(
        (5).to_bytes(8, "little") + bytes(8) + b"camera", digest_size=8, person=b"tertium track"
    ).digest()
    assert page_base("camera", 5, 0) == (int.from_bytes(digest, "little") % 2**39) * 2**24


def test_ordinals_over_24_bits_turn_the_page() -> None:
    ordinals = np.array([5, LOW, LOW + 1, LOW + 6, 2 * LOW + 2], np.int64)
    wire = ids().to_wire(ordinals, 2**26)
    assert (wire & LOW).tolist() == [5, LOW, 0, 5, 0]
    assert len(set(wire.tolist())) == 5
    assert wire[0] == ids().to_wire(ordinals[:1], 5)[0]
    assert wire[3] == page_base("camera", 1, 1) | 5


def test_no_ordinals_give_no_ids() -> None:
    assert ids().to_wire(np.array([], np.int64), 0).tolist() == []
    assert ids().to_wire(np.array([], np.int64), 2**30).tolist() == []


def test_the_callers_own_ids_stay_as_they_are() -> None:
    own = np.array([0, 5, 2**63 - 1], np.int64)
    assert ids(caller=True).to_wire(own, 2**40).tolist() == own.tolist()
