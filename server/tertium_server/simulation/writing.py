"""Simulated footage as files: MOTChallenge folders, and Tertium's own recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tertium.recording import FrameArrays, Opening, PartName, encode_frames, encode_opening, stream_folder
from tertium.recording.layout import MAGIC

from .errors import WorldError
from .footage import HIDDEN, Footage
from .loading import dump_world
from .world import World

EPOCH = 1
"""Of all recordings."""

_AT_A_TIME = 100
"""Frames of a record."""


def write_world(
    world: World, folder: Path, footages: Iterable[Footage], told: Callable[[Footage], None] = lambda _: None
) -> None:
    """Writes ``recordings/`` and ``mot/`` with detections and truth, and ``world.yaml``. ``told`` hears each camera that is done.

    MOTChallenge knows one class: a world of several gets ``mot/<class>/<camera>`` in place of ``mot/<camera>``.

    Raises:
        WorldError: the folder can't be written, or holds something.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise WorldError(f"{folder}: is not empty; give a folder that is, or a new one")
        (folder / "world.yaml").write_text(dump_world(world), "utf-8")
        for footage in footages:
            write_recording(footage, folder / "recordings")
            write_mot(footage, folder / "mot")
            told(footage)
    except OSError as error:
        raise WorldError(f"{folder}: can't be written ({error.strerror or error}); choose another folder") from error


def write_recording(footage: Footage, folder: Path) -> Path:
    """One camera as `tertium serve --record` would have written it, with ``gt/gt.txt``; its folder."""
    world, said = footage.world, footage.detections
    mine = stream_folder(folder, footage.name)
    (mine / "gt").mkdir(parents=True)
    counts = np.bincount(said.frames, minlength=world.frames).astype(np.uint32)
    ends = np.concatenate([[0], np.cumsum(counts)])
    indices, times = np.arange(world.frames, dtype=np.int64), footage.capture_times()
    opening = Opening(
        stream_id=footage.name,
        epoch=EPOCH,
        class_names=world.class_names,
        frame_width=world.frame_size[0],
        frame_height=world.frame_size[1],
        nominal_fps=world.fps,
        recorded_by="simulation",
    )
    with (mine / str(PartName(EPOCH, 0))).open("wb") as file:
        file.write(MAGIC + encode_opening(opening))
        for start in range(0, world.frames, _AT_A_TIME):
            stop = min(start + _AT_A_TIME, world.frames)
            here = slice(int(ends[start]), int(ends[stop]))
            arrays = FrameArrays(
                indices[start:stop], times[start:stop], counts[start:stop], said.boxes[here], said.scores[here],
                said.class_ids[here], np.empty(0, np.int64),
            )  # fmt: skip
            file.write(encode_frames(arrays))
    everything = np.ones(len(footage.scene.frames), np.bool_)
    (mine / "gt/gt.txt").write_text(_truth_rows(footage, everything, 0, footage.scene.class_ids), "ascii")
    return mine


def write_mot(footage: Footage, folder: Path) -> None:
    """One camera as MOTChallenge has it: det/det.txt, gt/gt.txt and seqinfo.ini; for each class by itself where there are several."""
    world, said, scene = footage.world, footage.detections, footage.scene
    for class_id, name in world.class_names.items():
        mine = (folder if len(world.classes) == 1 else folder / name) / footage.name
        (mine / "det").mkdir(parents=True)
        (mine / "gt").mkdir()
        chosen = np.flatnonzero(said.class_ids == class_id)
        boxes = said.boxes[chosen].astype(np.float64)
        columns = [(said.frames[chosen] + 1).tolist(), *_sides(boxes), said.scores[chosen].tolist()]
        rows = [
            f"{frame},-1,{x:.3f},{y:.3f},{w:.3f},{h:.3f},{score:.6f},-1,-1,-1\n"
            for frame, x, y, w, h, score in zip(*columns, strict=True)
        ]
        (mine / "det/det.txt").write_text("".join(rows), "ascii")
        ones = np.ones(len(scene.frames), np.uint32)
        (mine / "gt/gt.txt").write_text(_truth_rows(footage, scene.class_ids == class_id, 1, ones), "ascii")
        (mine / "seqinfo.ini").write_text(
            f"[Sequence]\nname={footage.name}\nframeRate={world.fps:g}\nseqLength={world.frames}\n"
            f"imWidth={world.frame_size[0]}\nimHeight={world.frame_size[1]}\n",
            "utf-8",
        )


def _sides(boxes: NDArray[np.float64]) -> list[list[float]]:
    """Left, top, width and height."""
    return [
        boxes[:, 0].tolist(), boxes[:, 1].tolist(), (boxes[:, 2] - boxes[:, 0]).tolist(), (boxes[:, 3] - boxes[:, 1]).tolist()
    ]  # fmt: skip


def _truth_rows(footage: Footage, chosen: NDArray[np.bool_], first: int, class_ids: NDArray[np.uint32]) -> str:
    """Rows ``frame,id,left,top,width,height,evaluate,class``, by frames from ``first``."""
    scene = footage.scene
    order = np.flatnonzero(chosen)[np.argsort(scene.frames[chosen], kind="stable")]
    columns = [
        (scene.frames[order] + first).tolist(), (scene.objects[order] + 1).tolist(), *_sides(scene.boxes[order]),
        (scene.cover[order] <= HIDDEN).astype(int).tolist(), class_ids[order].tolist(),
    ]  # fmt: skip
    return "".join(
        f"{frame},{number},{x:.3f},{y:.3f},{w:.3f},{h:.3f},{evaluate},{kind}\n"
        for frame, number, x, y, w, h, evaluate, kind in zip(*columns, strict=True)
    )
