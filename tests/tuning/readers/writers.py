"""One scene with its truth, in every format there is."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tertium.recording import FrameArrays, Opening, Recorder
from tests.scenes import HEIGHT, WIDTH, Scene, write_kitti, write_mot

FPS = 12.5
Row = tuple[int, float, float, float, float, float, str, int]


def truth_of(scene: Scene) -> list[Row]:
    """What there is to find: the rows that are objects."""
    return [row for row in scene.rows if row[-1] >= 0]


def mot(scene: Scene, folder: Path) -> tuple[Path, Path]:
    path = write_mot(scene, folder, fps=FPS)
    (path / "gt").mkdir()
    rows = [f"{row[0] + 1},{row[7] + 1},{row[1]},{row[2]},{row[3]},{row[4]},1,1,1\n" for row in truth_of(scene)]
    (path / "gt/gt.txt").write_text("".join(rows))
    return folder, folder


def kitti(scene: Scene, folder: Path) -> tuple[Path, Path]:
    write_kitti(scene, folder / "detections")
    rows = [
        f"{row[0]} {row[7]} {row[6]} 0 0 -10 {row[1]} {row[2]} {row[1] + row[3]} {row[2] + row[4]} -1 -1 -1 -1 -1 -1 -1\n"
        for row in truth_of(scene)
    ]
    (folder / "labels").mkdir()
    (folder / f"labels/{scene.name}.txt").write_text("".join(rows))
    return folder, folder


def coco(scene: Scene, folder: Path) -> tuple[Path, Path]:
    classes = sorted({row[6] for row in scene.rows})

    def entries(rows: list[Row], **more: Callable[[Row], Any]) -> list[dict[str, Any]]:
        return [
            {"image_id": row[0], "category_id": classes.index(row[6]), "bbox": list(row[1:5])}
            | {key: value(row) for key, value in more.items()}
            for row in rows
        ]

    images = [
        {"id": frame, "file_name": f"{frame}.jpg", "width": WIDTH, "height": HEIGHT, "video_id": 1, "frame_id": frame}
        for frame in range(scene.length)
    ]
    document = {
        "videos": [{"id": 1, "name": scene.name, "fps": FPS}],
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(classes)],
        "annotations": entries(truth_of(scene), track_id=lambda row: row[7]),
    }
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(entries(scene.rows, score=lambda row: row[5])))
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder / "results.json", folder / "annotations.json"


def yolo(scene: Scene, folder: Path) -> tuple[Path, Path]:
    classes = sorted({row[6] for row in scene.rows})

    def shares(row: Row) -> str:
        x, y = (row[1] + row[3] / 2) / WIDTH, (row[2] + row[4] / 2) / HEIGHT
        return f"{classes.index(row[6])} {x!r} {y!r} {row[3] / WIDTH!r} {row[4] / HEIGHT!r}"

    for part, rows in (("detections", scene.rows), ("labels", truth_of(scene))):
        (folder / scene.name / part).mkdir(parents=True)
        for frame in sorted({row[0] for row in rows}):
            here = [(shares(row), f" {row[5]!r} -1" if part == "detections" else "") for row in rows if row[0] == frame]
            (folder / scene.name / part / f"{frame}.txt").write_text("".join(f"{box}{tail}\n" for box, tail in here))
    (folder / "classes.txt").write_text("\n".join(classes))
    (folder / scene.name / "seqinfo.ini").write_text(
        f"[Sequence]\nframeRate={FPS}\nseqLength={scene.length}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    )
    return folder, folder


def fiftyone(scene: Scene, folder: Path) -> tuple[Path, Path]:
    def boxes(rows: list[Row], frame: int, **more: Callable[[Row], Any]) -> dict[str, Any]:
        return {
            "detections": [
                {
                    "label": row[6],
                    "bounding_box": [row[1] / WIDTH, row[2] / HEIGHT, row[3] / WIDTH, row[4] / HEIGHT],
                    **{key: value(row) for key, value in more.items()},
                }
                for row in rows
                if row[0] == frame
            ]
        }

    metadata = {"frame_width": WIDTH, "frame_height": HEIGHT, "frame_rate": FPS, "total_frame_count": scene.length}
    sample = {"_id": {"$oid": "1"}, "filepath": f"data/{scene.name}.mp4", "metadata": metadata}
    frames = [
        {
            "_sample_id": {"$oid": "1"},
            "frame_number": frame + 1,
            "predictions": boxes(scene.rows, frame, confidence=lambda row: row[5]),
            "ground_truth": boxes(truth_of(scene), frame, index=lambda row: row[7]),
        }
        for frame in range(scene.length)
    ]
    folder.mkdir(parents=True)
    (folder / "samples.json").write_text(json.dumps({"samples": [sample]}))
    (folder / "frames.json").write_text(json.dumps({"frames": frames}))
    return folder, folder


def tertium(scene: Scene, folder: Path) -> tuple[Path, Path]:
    classes = sorted({row[6] for row in scene.rows})
    opening = Opening(
        stream_id=scene.name,
        epoch=1,
        class_names=dict(enumerate(classes)),
        frame_width=WIDTH,
        frame_height=HEIGHT,
        nominal_fps=FPS,
    )
    with Recorder(folder) as recorder:
        stream = recorder.open(opening)
        for frame in range(scene.length):
            rows = [row for row in scene.rows if row[0] == frame]
            boxes = np.array([(row[1], row[2], row[1] + row[3], row[2] + row[4]) for row in rows], np.float32)
            stream.write(
                FrameArrays(
                    indices=struct.pack("<q", frame),
                    times=b"",
                    counts=struct.pack("<I", len(rows)),
                    boxes=boxes.tobytes(),
                    scores=np.array([row[5] for row in rows], np.float32).tobytes(),
                    class_ids=np.array([classes.index(row[6]) for row in rows], np.uint32).tobytes(),
                    track_ids=b"",
                )
            )
    (folder / scene.name / "gt").mkdir()
    (folder / scene.name / "gt/gt.txt").write_text(
        "".join(
            f"{row[0]},{row[7]},{row[1]},{row[2]},{row[3]},{row[4]},1,{classes.index(row[6])}\n"
            for row in truth_of(scene)
        )
    )
    return folder, folder


WRITERS: dict[str, Callable[[Scene, Path], tuple[Path, Path]]] = {
    "mot": mot,
    "kitti": kitti,
    "coco": coco,
    "yolo": yolo,
    "fiftyone": fiftyone,
    "tertium": tertium,
}
