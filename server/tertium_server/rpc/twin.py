"""A twin of the wire contract in which every packed array is one ``bytes`` field.

On the wire a packed ``repeated float`` and a ``bytes`` field are the same: tag, length, payload. Parsed through the twin, an array arrives as the
bytes that numpy reads in place, instead of a container of Python numbers; that is three to five times cheaper for a frame. The twin is derived
from the real descriptors at import, so it can't drift from them, and it lives in a pool and a package of its own.

The two differ where a sender packs in another way that proto3 allows (element by element, or in several pieces): ``rpc/wire.py`` notices and
falls back to the public classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tertium.v1 import decision_service_pb2, decisions_pb2, evidence_pb2, frames_pb2, stream_pb2

_PACKAGE = "tertium.v1"
_TWIN_PACKAGE = "tertium.twin.v1"
# In the order of their imports: a pool takes a file only after those it imports.
_FILES = (decisions_pb2, evidence_pb2, frames_pb2, stream_pb2, decision_service_pb2)

_FIXED_SIZE = {
    FieldDescriptorProto.TYPE_FLOAT,
    FieldDescriptorProto.TYPE_DOUBLE,
    FieldDescriptorProto.TYPE_FIXED32,
    FieldDescriptorProto.TYPE_FIXED64,
    FieldDescriptorProto.TYPE_SFIXED32,
    FieldDescriptorProto.TYPE_SFIXED64,
}
# Numbers of our enums lie under 128: each takes one byte on the wire, as in an array of uint8.
_ONE_BYTE = {FieldDescriptorProto.TYPE_ENUM}


# Messages whose parts are wanted as their bytes. Repeated, so that no piece of a part gets lost that came in several.
_IN_PIECES = {"DecideBatchRequest"}


class TwinFrames(Protocol):
    """``tertium.v1.Frames`` with bytes for arrays."""

    frame_indices: bytes
    capture_times: bytes
    detection_counts: bytes
    boxes: bytes
    scores: bytes
    class_ids: bytes
    track_ids: bytes


def _messages(messages: Any) -> Iterator[DescriptorProto]:  # noqa: ANN401 - a repeated container, whose class is private to protobuf
    for message in messages:
        yield message
        yield from _messages(message.nested_type)


def _twin_file(file: FileDescriptorProto) -> FileDescriptorProto:
    """The file's descriptor with ``bytes`` for packed arrays, moved into the twin's package."""
    twin = FileDescriptorProto()
    twin.CopyFrom(file)
    twin.package = _TWIN_PACKAGE
    twin.name = _twin_name(file.name)
    del twin.dependency[:]
    twin.dependency.extend(_twin_name(name) for name in file.dependency)
    del twin.service[:]
    for message in _messages(twin.message_type):
        for field in message.field:
            if message.name in _IN_PIECES and field.type == FieldDescriptorProto.TYPE_MESSAGE:
                _declare_bytes(field, FieldDescriptorProto.LABEL_REPEATED)
            elif field.label == FieldDescriptorProto.LABEL_REPEATED and field.type in _FIXED_SIZE | _ONE_BYTE:
                _declare_bytes(field, FieldDescriptorProto.LABEL_OPTIONAL)
            elif field.HasField("type_name"):
                field.type_name = field.type_name.replace(f".{_PACKAGE}.", f".{_TWIN_PACKAGE}.", 1)
    return twin


def _declare_bytes(field: FieldDescriptorProto, label: FieldDescriptorProto.Label.ValueType) -> None:
    field.label = label
    field.type = FieldDescriptorProto.TYPE_BYTES
    field.ClearField("type_name")
    field.ClearField("options")


def _twin_name(name: str) -> str:
    return name.replace("tertium/v1/", "tertium/twin/v1/", 1)


def _build_pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in _FILES:
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        pool.AddSerializedFile(_twin_file(file).SerializeToString())
    return pool


_POOL = _build_pool()


def twin_class(name: str) -> type[Message]:
    """The twin's class of a message of ``tertium.v1``."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_TWIN_PACKAGE}.{name}"))
