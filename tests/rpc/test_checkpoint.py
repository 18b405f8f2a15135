from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertium_server.errors import CheckpointRefusedError
from tertium_server.rpc.checkpoint import CheckpointSealer, StreamState
from tests.rpc.builders import KEY

SEALER = CheckpointSealer(KEY)
STATE = StreamState(epoch=2**63 - 1, detections=12345, settings_digest=b"s" * 16, snapshot=bytes(range(256)) * 20)


@given(
    st.text(min_size=1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=16, max_size=16),
    st.binary(),
)
def test_what_was_sealed_is_what_is_opened(
    stream: str, epoch: int, detections: int, digest: bytes, snapshot: bytes
) -> None:
    state = StreamState(epoch, detections, digest, snapshot)
    assert SEALER.open(stream, SEALER.seal(stream, state)) == state


def test_it_is_compressed_where_that_pays() -> None:
    small, large = StreamState(1, 1, b"s" * 16, bytes(60_000)), StreamState(1, 1, b"s" * 16, bytes(100_000))
    assert len(SEALER.seal("camera", small)) > 60_000  # quick to send, slow to compress
    assert len(SEALER.seal("camera", large)) < 1000
    assert SEALER.open("camera", SEALER.seal("camera", large)) == large
    noise = StreamState(1, 1, b"s" * 16, os.urandom(100_000))
    assert len(SEALER.seal("camera", noise)) < 100_000 + 150
    assert SEALER.open("camera", SEALER.seal("camera", noise)) == noise


def test_another_process_with_the_same_key_opens_it() -> None:
    assert CheckpointSealer(KEY).open("camera", SEALER.seal("camera", STATE)) == STATE


def test_another_key_is_told_from_damage() -> None:
    envelope = CheckpointSealer(b"quite another key, and long enough too").seal("camera", STATE)
    with pytest.raises(CheckpointRefusedError, match="another key"):
        SEALER.open("camera", envelope)


def test_another_stream_is_refused() -> None:
    with pytest.raises(CheckpointRefusedError, match="another stream"):
        SEALER.open("camera 2", SEALER.seal("camera", STATE))


def test_another_format_is_refused() -> None:
    envelope = bytearray(SEALER.seal("camera", STATE))
    envelope[4] += 1
    with pytest.raises(CheckpointRefusedError, match="format 2"):
        SEALER.open("camera", bytes(envelope))


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    for place in range(10, 200):
        envelope = bytearray(SEALER.seal("camera", STATE))
        envelope[place] ^= 1
        with pytest.raises(CheckpointRefusedError, match="damaged"):
            SEALER.open("camera", bytes(envelope))


def test_changed_flags_are_found() -> None:
    envelope = bytearray(SEALER.seal("camera", STATE))
    envelope[5] ^= 1
    with pytest.raises(CheckpointRefusedError, match="damaged"):
        SEALER.open("camera", bytes(envelope))


def test_no_part_of_an_envelope_is_one() -> None:
    envelope = SEALER.seal("camera", STATE)
    for length in range(len(envelope)):
        with pytest.raises(CheckpointRefusedError):
            SEALER.open("camera", envelope[:length])


@given(st.binary())
def test_other_bytes_are_refused(envelope: bytes) -> None:
    with pytest.raises(CheckpointRefusedError):
        SEALER.open("camera", envelope)


def test_the_error_names_the_field() -> None:
    with pytest.raises(CheckpointRefusedError) as caught:
        SEALER.open("camera", b"nonsense")
    assert [violation.field for violation in caught.value.violations] == ["open.checkpoint"]


def test_the_key_is_not_shown() -> None:
    assert KEY.decode()[:8] not in repr(SEALER)
    assert KEY.hex()[:8] not in repr(SEALER)
