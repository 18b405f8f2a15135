"""What a stream is run with: the caller's settings, and the policy's numbers laid out for the kernels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tertium_server.engine.columns import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """What the caller says when a stream is opened; the meaning of each field is that of ``tertium.v1.Open``."""

    class_names: Mapping[int, str]
    frame_width: int = 0
    frame_height: int = 0
    nominal_fps: float = 0.0
    client_tracks: bool = False
    logits: bool = False
    max_detections: int = 1000
    """Most detections of one frame."""
    max_tracks: int = 2000
    """Most tracks alive at a time; at least ``max_detections``, so that every detection finds a place."""
    group: str = "default"
    include_boxes: bool = True
    """Write the motion filter's boxes."""
    include_tracks: bool = True
    """Write track probabilities, intervals and verdicts."""
    include_coasted: bool = True
    """Write coasted tracks."""
    include_features: bool = False
    """Write what the read-outs weigh."""

    def __post_init__(self) -> None:
        if not self.class_names:
            raise ValueError("class_names is empty: name at least one class")
        if self.max_tracks < self.max_detections:
            raise ValueError(f"max_tracks ({self.max_tracks}) is less than max_detections ({self.max_detections})")

    @property
    def class_ids(self) -> list[int]:
        """The caller's class ids, ascending: the order of the engine's rows."""
        return sorted(self.class_names)


@dataclass(frozen=True, slots=True)
class EngineParameters:
    """A policy's numbers for one stream. Made by ``policy.compile_parameters``."""

    judges: Records
    """(classes,) records of ``layout.CLASS``, by ascending class id."""
    tracker: Records
    """(1,) record of ``layout.TRACKER``."""
    version: str
    """The policy's version, for people and for stamps."""
    class_lookup: npt.NDArray[np.int32] = field(init=False)
    """Row of each class id; -1 where there is none."""

    def __post_init__(self) -> None:
        ids = self.judges["id"]
        lookup = np.full(int(ids.max()) + 1, -1, np.int32)
        lookup[ids] = np.arange(len(ids), dtype=np.int32)
        object.__setattr__(self, "class_lookup", lookup)
