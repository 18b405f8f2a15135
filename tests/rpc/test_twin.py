from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2, frames_pb2, stream_pb2
from tertium_server.rpc.twin import twin_class
from tests.rpc.builders import random_frames

FILES = (decisions_pb2, evidence_pb2, frames_pb2, stream_pb2, decision_service_pb2)
MESSAGES = [name for file in FILES for name in file.DESCRIPTOR.message_types_by_name]


@pytest.mark.parametrize("name", MESSAGES)
def test_fields_keep_names_numbers_and_all_but_packed_ones_their_types(name: str) -> None:
    real: Any = next(
        file.DESCRIPTOR.message_types_by_name[name] for file in FILES if name in file.DESCRIPTOR.message_types_by_name
    )
    twin: Any = twin_class(name).DESCRIPTOR
    assert [(field.name, field.number) for field in real.fields] == [
        (field.name, field.number) for field in twin.fields
    ]
    for field, twin_field in zip(real.fields, twin.fields, strict=True):
        if name == "DecideBatchRequest" and field.message_type is not None:
            assert (twin_field.type, twin_field.is_repeated) == (FieldDescriptor.TYPE_BYTES, True)
        elif field.is_repeated and field.is_packed:
            assert (twin_field.type, twin_field.is_repeated) == (FieldDescriptor.TYPE_BYTES, False)
        else:
            assert (twin_field.type, twin_field.is_repeated) == (field.type, field.is_repeated)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.DESCRIPTOR.name)
def test_numbers_of_repeated_enums_take_one_byte_each(file: Any) -> None:
    """Verdict arrays are written as uint8: right for numbers under 128 only."""
    for message in file.DESCRIPTOR.message_types_by_name.values():
        for field in message.fields:
            if field.is_repeated and field.enum_type is not None:
                assert all(0 <= value.number < 128 for value in field.enum_type.values)


def test_no_repeated_field_of_varints_is_taken_for_an_array() -> None:
    """Their elements have no fixed size. There is none in the contract; if there will be, the twin leaves it as it is."""
    twin: Any = twin_class("TrackEvent").DESCRIPTOR
    assert twin.fields_by_name["class_id"].type == FieldDescriptor.TYPE_UINT32


def test_bytes_of_the_twin_are_the_bytes_of_the_contract() -> None:
    frames = random_frames(np.random.default_rng(5), 20)
    data = decision_service_pb2.DecideRequest(frames=frames).SerializeToString()
    twin: Any = twin_class("DecideRequest").FromString(data)
    assert twin.SerializeToString() == data
    assert twin.frames.boxes == np.array(frames.boxes, "<f4").tobytes()
    assert twin.frames.frame_indices == np.array(frames.frame_indices, "<u8").tobytes()


def test_the_twin_leaves_the_public_classes_alone() -> None:
    assert twin_class("Frames").DESCRIPTOR.full_name == "tertium.twin.v1.Frames"
    assert frames_pb2.Frames.DESCRIPTOR.full_name == "tertium.v1.Frames"
    assert list(frames_pb2.Frames(boxes=[1.0, 2.0]).boxes) == [1.0, 2.0]
