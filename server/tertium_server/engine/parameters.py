"""What a stream is run with: the caller's settings, and the policy's numbers laid out for the kernels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tertium_server.engine.columns import Float64s, Int64s, Records


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
    """((1 + zones) · classes,) records of ``layout.CLASS``: those outside of all zones by ascending class id, then those of each zone."""
    tracker: Records
    """(1,) record of ``layout.TRACKER``."""
    version: str
    """The policy's version, for people and for stamps."""
    zone_corners: Float64s = field(default_factory=lambda: np.zeros((0, 2)))
    """(corners, 2) corners of all zones, in pixels."""
    zone_starts: Int64s = field(default_factory=lambda: np.zeros(1, np.int64))
    """(zones + 1,) where the corners of each zone begin, and where the last one's end."""
    successor: Callable[[int], "EngineParameters"] | None = None
    """Makes the parameters that hold at a capture time for which these do not: see ``layout.TRACKER``."""
    class_lookup: npt.NDArray[np.int32] = field(init=False)
    """Row of each class id; -1 where there is none."""

    @property
    def classes(self) -> int:
        """Classes of the stream."""
        return len(self.judges) // len(self.zone_starts)

    @property
    def class_ids(self) -> Int64s:
        """(classes,) their ids, ascending."""
        ids: Int64s = self.judges["id"][: self.classes]
        return ids

    @property
    def decision_lag(self) -> int:
        """Frames by which answers wait for those after them."""
        return int(self.tracker["decision_lag"][0])

    def holds_at(self, time: int) -> bool:
        """Whether these are the parameters for a capture time."""
        return bool(self.tracker["valid_from"][0] <= time < self.tracker["valid_until"][0])

    def at(self, time: int) -> "EngineParameters":
        """The parameters that hold at a capture time.

        Raises:
            ValueError: these hold for a part of all times only, and nobody knows the others.
        """
        if self.successor is None:
            raise ValueError(f"these parameters do not hold at {time}, and have no successor")
        return self.successor(time)

    def __post_init__(self) -> None:
        ids = self.class_ids
        lookup = np.full(int(ids.max()) + 1, -1, np.int32)
        lookup[ids] = np.arange(len(ids), dtype=np.int32)
        object.__setattr__(self, "class_lookup", lookup)
