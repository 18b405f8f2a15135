"""Synthetic recordings, by seed: objects that cross, flicker and hide, clutter that stays put, frames without any."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True)
class Scene:
    """Rows of a recording: frame (from 0), left, top, width, height, score, class, the object's number (-1: none)."""

    name: str
    length: int
    rows: list[tuple[int, float, float, float, float, float, str, int]] = field(repr=False)


def scene(seed: int, length: int = 80, objects: int = 5, classes: tuple[str, ...] = ("person",)) -> Scene:
    """A scene that depends on the seed alone."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, float, float, float, float, float, str, int]] = []
    paths = [_path(random, length) for _ in range(objects)]
    clutter = random.uniform((0, 0, 20, 40), (WIDTH - 60, HEIGHT - 90, 60, 90), (3, 4))
    for frame in range(length):
        if frame % 17 in (11, 12):  # the detector saw nothing at all
            continue
        for number, (boxes, seen, confidence) in enumerate(paths):
            if seen[frame]:
                score = float(np.clip(confidence + random.normal(0, 0.15), 0.01, 0.99))
                rows.append((frame, *_jittered(boxes[frame], random), score, classes[number % len(classes)], number))
        for place in clutter:
            if random.random() < 0.4:
                score = float(random.uniform(0.02, 0.35))
                rows.append((frame, *_jittered(place, random), score, classes[0], -1))
    return Scene(f"scene-{seed}", length, rows)


def _path(random: np.random.Generator, length: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """(length, 4) boxes of an object on a straight line, when it is seen, and how sure the detector tends to be."""
    start, end = random.uniform((0, 0), (WIDTH - 50, HEIGHT - 100), (2, 2))
    share = np.linspace(0, 1, length)[:, None]
    size = np.tile(random.uniform((25, 60), (50, 100)), (length, 1))
    boxes = np.hstack([start + share * (end - start), size])
    born, gone = sorted(random.integers(0, length, 2).tolist())
    seen = (random.random(length) < random.uniform(0.5, 1)) & (np.arange(length) >= born) & (np.arange(length) <= gone)
    return boxes, seen, float(random.uniform(0.25, 0.9))


def _jittered(box: NDArray[np.float64], random: np.random.Generator) -> tuple[float, float, float, float]:
    left, top, width, height = np.round(box + random.normal(0, 1.5, 4), 2).tolist()
    return left, top, max(width, 2.0), max(height, 2.0)


def write_mot(scene: Scene, folder: Path, fps: float = 12, *, ids: bool = False) -> Path:
    """The scene as MOTChallenge in folder/<name>, clutter without ids."""
    sequence = folder / scene.name
    (sequence / "det").mkdir(parents=True)
    rows = [
        f"{frame + 1},{number + 1 if ids and number >= 0 else -1},{left},{top},{width},{height},{score:.6f},-1,-1,-1\n"
        for frame, left, top, width, height, score, _, number in scene.rows
    ]
    (sequence / "det/det.txt").write_text("".join(rows))
    (sequence / "seqinfo.ini").write_text(
        f"[Sequence]\nname={scene.name}\nframeRate={fps:g}\nseqLength={scene.length}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    )
    return sequence


def write_kitti(scene: Scene, folder: Path, *, ids: bool = False) -> Path:
    """The scene as KITTI tracking in folder/<name>.txt, clutter without ids."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{scene.name}.txt"
    rows = [
        f"{frame} {number if ids else -1} {name} -1 -1 -10 {left} {top} {left + width:.2f} {top + height:.2f} "
        f"-1000 -1000 -1000 -1000 -1000 -1000 -10 {score:.6f}\n"
        for frame, left, top, width, height, score, name, number in scene.rows
    ]
    file.write_text("".join(rows))
    return file
