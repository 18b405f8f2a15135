"""Recordings of what cameras sent: files that servers and clients write and `tertium replay` and `tertium tune` read.

As `tertium.v1` is the contract on the wire, this is the contract in files, and like it belongs to neither side. Standard library only:
arrays go in and come out as bytes. docs/recording.md describes the files.
"""

from tertium.recording.folder import SUFFIXES, PartName, stream_folder
from tertium.recording.layout import (
    DamagedError,
    FrameArrays,
    Kind,
    MismatchError,
    Opening,
    Part,
    Record,
    RecordedFrames,
    decode_frames,
    decode_lost,
    decode_opening,
    encode_frames,
    encode_lost,
    encode_opening,
    parse_part,
)
from tertium.recording.recorder import Limits, Recorder, StreamRecorder

__all__ = [
    "SUFFIXES",
    "DamagedError",
    "FrameArrays",
    "Kind",
    "Limits",
    "MismatchError",
    "Opening",
    "Part",
    "PartName",
    "Record",
    "RecordedFrames",
    "Recorder",
    "StreamRecorder",
    "decode_frames",
    "decode_lost",
    "decode_opening",
    "encode_frames",
    "encode_lost",
    "encode_opening",
    "parse_part",
    "stream_folder",
]
