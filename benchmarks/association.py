"""Measures tracks beside those of other trackers on the same detections, by TrackEval: ``make association DATA="FOLDER …"``.

Ours: every detection may start a candidate; counted are boxes that are YES, of tracks that reached YES. Each sequence is judged by a policy fitted
without it. Rivals (Roboflow's trackers, in an environment of their own that is made once in benchmarks/.rivals) get the best of a grid over their own
threshold, chosen by HOTA on the very data they are measured on, which is generous to them. What they reach is kept there, by what they were run on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness.report import Bound, describe_machine, print_table, write_json
from scoring.reading import read_sets
from scoring.runs import Effort, tuned

from tertium_server.engine import Verdict, Workspace
from tertium_server.policy import Policy
from tertium_server.tuning.fit.observation import match_by_score
from tertium_server.tuning.readers import ALL_CLASSES, Labelled
from tertium_server.tuning.replay import replay

_ENVIRONMENT = Path(__file__).parent / ".rivals"
_SCORER = Path(__file__).parent / "harness" / "track_scorer.py"
_PACKAGES = ("trackers", "supervision", "trackeval")
_RIVALS = ("ByteTrack", "C-BIoU", "OC-SORT", "SORT")
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
_RESULTS = Path(__file__).parent / "results"
_FIGURES = ("HOTA", "IDF1", "MOTA", "DetA", "AssA")
_COMPARED = ("HOTA", "IDF1", "MOTA")
_KEPT = _ENVIRONMENT / "figures.json"
OURS = "tertium"


def main() -> int:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="+", metavar="[FORMAT:]FOLDER", help="labelled recordings, or a folder of such folders"
    )
    parser.add_argument("--thresholds", type=float, nargs="+", default=_THRESHOLDS, help="of rivals: the best is taken")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder to write to")
    options = parser.parse_args()
    _prepare()
    results: dict[str, Any] = {"machine": describe_machine(), "data": {}}
    for argument in options.data:
        for name, labelled in read_sets(argument):
            print(f"  {name}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                results["data"] |= _measure(name, labelled, options.thresholds, Path(folder))
    for name, figures in results["data"].items():
        rows = [
            (tracker, *(f"{100 * found[key]:.1f}" for key in _FIGURES), found.get("threshold", ""))
            for tracker, found in figures.items()
        ]
        print_table(name, ("tracker", *_FIGURES, "its threshold"), rows)
    results["gaps"] = gaps(results["data"])
    shown = [
        (name, *(f"{found[key]['gap']:+.1f}  {found[key]['rival']}" for key in _COMPARED))
        for name, found in results["gaps"].items()
    ]
    print_table("Points over the best rival of each", ("data", *_COMPARED), shown)
    checked = bounds(results["data"])
    print("\nBounds")
    for bound in checked:
        print(f"  {bound}")
    results["bounds"] = [
        {"name": one.name, "value": one.value, "limit": one.limit, "met": one.holds} for one in checked
    ]
    write_json(options.out / "association.json", results)
    return 0


def bounds(data: dict[str, dict[str, dict[str, float]]]) -> list[Bound]:
    """Ours on average over all data, beside the rival that is best on average."""
    found = []
    for key in _COMPARED:
        means = {
            tracker: 100 * float(np.mean([figures[tracker][key] for figures in data.values()]))
            for tracker in (OURS, *_RIVALS)
        }
        best = max(_RIVALS, key=lambda rival: means[rival])
        found.append(Bound(f"average: {key} over {best}'s", means[OURS] - means[best], 0.0, "points", at_least=True))
    return found


def gaps(data: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """By how many points ours is over the best rival on each data set, which is another one each time, and who that is; and on average."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, figures in data.items():
        found[name] = {}
        for key in _COMPARED:
            best = max(_RIVALS, key=lambda rival: figures[rival][key])
            found[name][key] = {"gap": 100 * (figures[OURS][key] - figures[best][key]), "rival": best}
    found["average"] = {
        key: {"gap": float(np.mean([each[key]["gap"] for each in found.values()])), "rival": "the best of each"}
        for key in _COMPARED
    }
    return found


def _prepare() -> None:
    """Makes the rivals' environment, where there is none."""
    python = _python()
    if not python.exists():
        venv.create(_ENVIRONMENT, with_pip=True)
    missing = [package for package in _PACKAGES if _fails([str(python), "-c", f"import {package}"])]
    if missing:
        print(f"  installing {', '.join(missing)} into {_ENVIRONMENT.name}", file=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *missing], check=True)  # noqa: S603 - ours


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0  # noqa: S603 - ours


def _python() -> Path:
    return _ENVIRONMENT / "bin" / "python"


def _measure(name: str, labelled: Sequence[Labelled], thresholds: Sequence[float], folder: Path) -> dict[str, Any]:
    """Figures of all trackers, by data set and class."""
    policies = _policies(labelled)
    names = labelled[0].sequence.class_names
    results = {}
    for class_id, kind in names.items():
        if not any((one.truth.class_ids == class_id).any() for one in labelled):
            continue
        recordings = [folder / f"{place}.npz" for place in range(len(labelled))]
        for one, path in zip(labelled, recordings, strict=True):
            np.savez(path, **_recording(one, class_id))
        found: dict[str, dict[str, float]] = {OURS: _ours(labelled, class_id, policies, recordings)}
        for rival in _RIVALS:
            print(f"    {kind}: {rival}", file=sys.stderr)
            found[rival] = max(_rival(rival, thresholds, recordings), key=lambda each: each["HOTA"])
        results[name if len(names) == 1 else f"{name} {kind}"] = found
    return results


def _policies(labelled: Sequence[Labelled]) -> list[Policy]:
    """For each sequence a policy that was fitted without it; where there is but one, the one fitted on it."""
    matches = [match_by_score(one, iou=0.5) for one in labelled]
    policies = []
    for place in range(len(labelled)):
        rest = [index for index in range(len(labelled)) if index != place or len(labelled) == 1]
        policies.append(
            tuned(
                [labelled[index] for index in rest], [matches[index] for index in rest], Effort(sweeps=0, guarded=False)
            )[1]
        )
    return policies


def _recording(one: Labelled, class_id: int) -> dict[str, Any]:
    """What the scorer reads."""
    sequence, truth = one.sequence, one.truth
    mine, true = sequence.class_ids == class_id, np.isin(truth.class_ids, (class_id, ALL_CLASSES))
    return {
        "det_frames": sequence.frames[mine],
        "det_boxes": sequence.boxes[mine].astype(np.float64),
        "det_scores": sequence.scores[mine],
        "true_frames": truth.frames[true],
        "true_boxes": truth.boxes[true],
        "true_ids": truth.track_ids[true],
        "kinds": truth.kinds[true],
        "first_frame": sequence.first_frame,
        "length": sequence.length,
        "fps": sequence.fps,
        "least_height": truth.min_height,
    }


def _ours(
    labelled: Sequence[Labelled], class_id: int, policies: Sequence[Policy], recordings: Sequence[Path]
) -> dict[str, float]:
    workspace = Workspace()
    for one, policy, path in zip(labelled, policies, recordings, strict=True):
        said = replay(one.sequence, policy, workspace=workspace)
        mine = one.sequence.class_ids == class_id
        reached = np.unique(said.track_ids[mine & (said.track_verdicts == Verdict.YES)])
        counted = mine & np.isin(said.track_ids, reached) & (said.verdicts == Verdict.YES)
        np.savez(
            _tracks_of(path),
            frames=one.sequence.frames[counted],
            boxes=one.sequence.boxes[counted].astype(np.float64),
            ids=said.track_ids[counted],
        )
    return _score(recordings)


def _rival(name: str, thresholds: Sequence[float], recordings: Sequence[Path]) -> list[dict[str, float]]:
    """What a rival reaches at each threshold; taken from what was kept where it has run on the same."""
    asked = ("run", name, ",".join(map(str, thresholds)))
    key = _fingerprint(asked, recordings)
    kept = json.loads(_KEPT.read_text()) if _KEPT.exists() else {}
    if key not in kept:
        kept[key] = json.loads(_ask(*asked, *map(str, recordings)).splitlines()[-1])
        _KEPT.write_text(json.dumps(kept))
    return [{**figures, "threshold": threshold} for figures, threshold in zip(kept[key], thresholds, strict=True)]


def _fingerprint(asked: Sequence[str], recordings: Sequence[Path]) -> str:
    """Of all that a rival's figures depend on: itself, its packages, how it is run and scored, and on what."""
    digest = hashlib.sha256(" ".join(asked).encode())
    digest.update(_SCORER.read_bytes())
    packages = [path.name for path in _ENVIRONMENT.glob("lib/*/site-packages/*.dist-info")]
    digest.update(" ".join(sorted(one for one in packages if one.startswith(_PACKAGES))).encode())
    for path in recordings:
        with np.load(path) as file:
            for name in sorted(file):
                digest.update(name.encode() + file[name].tobytes())
    return digest.hexdigest()


def _score(recordings: Sequence[Path]) -> dict[str, float]:
    output = _ask("score", *(f"{path}:{_tracks_of(path)}" for path in recordings))
    return dict[str, float](json.loads(output.splitlines()[-1]))


def _ask(*arguments: str) -> str:
    done = subprocess.run([_python(), _SCORER, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise SystemExit(f"{_SCORER.name} {' '.join(arguments[:3])} failed:\n{done.stderr}")
    return done.stdout


def _tracks_of(recording: Path) -> Path:
    return recording.with_name(f"{recording.stem}-tracks.npz")


if __name__ == "__main__":
    raise SystemExit(main())
