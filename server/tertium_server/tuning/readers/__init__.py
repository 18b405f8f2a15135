"""Readers of recordings: files in, checked `Sequence` and `Truth` values out.

A format is a module with a class that finds and reads (see `Format`); adding one is adding it to `FORMATS`.
"""

from __future__ import annotations

from .errors import NothingFoundError, Place, ReadError, UnreadableError
from .formats import Format, Options, Source
from .labelled import find_pairs, read_labelled
from .naming import named
from .reading import FORMATS, choose, find, read, read_detections, unify_classes
from .remote import Mirrors, is_url, read_text, write_file
from .sequence import FrameOrder, Sequence
from .truth import ALL_CLASSES, Kind, Labelled, Truth

__all__ = [
    "ALL_CLASSES",
    "FORMATS",
    "Format",
    "FrameOrder",
    "Kind",
    "Labelled",
    "Mirrors",
    "NothingFoundError",
    "Options",
    "Place",
    "ReadError",
    "Sequence",
    "Source",
    "Truth",
    "UnreadableError",
    "choose",
    "find",
    "find_pairs",
    "is_url",
    "named",
    "read",
    "read_detections",
    "read_labelled",
    "read_text",
    "unify_classes",
    "write_file",
]
