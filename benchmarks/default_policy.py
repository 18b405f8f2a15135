"""Fits the built-in policy: one set of read-outs over several detectors' labelled recordings, for users nothing is known of.

    python benchmarks/default_policy.py mot:FOLDER kitti:FOLDER … [--out policy.yaml] [--json figures.json]

Each folder is one detector's data, and counts as much as any other, however large it is. The tracker and the evidence parameters are those of the
present built-in policy; what is fitted are the read-outs and the thresholds. Printed, and kept as provenance: what the same fit without a
detector's data says of that detector, beside its raw score.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tertium_server.engine import Workspace
from tertium_server.policy import Policy, default_policy, dump_policy
from tertium_server.tuning.fit.logistic import Floats, Ridge, fit_logistic, log_loss, sigmoid
from tertium_server.tuning.fit.observation import match_by_score, observe
from tertium_server.tuning.fit.readouts import BOX_NAMES, BOX_RISING, TRACK_NAMES, TRACK_RISING
from tertium_server.tuning.readers import read_labelled

PRECISION_OF_YES = 0.95
TRUE_UNDER_NO = 0.05
LEAST_YES = 0.5  # whatever the data allow: a yes that is less likely than not would be believed by nobody
STRENGTH = 3.0
# What is learned of heights and neighbours, and of good scores apart, holds for the detector and camera it was learned of, and does harm to others:
# without a set's own data, F1 is 0.2 points lower on average with all that is weighed than with these (docs/evidence.md).
BOX, TRACK = BOX_NAMES[:7], TRACK_NAMES[:6]
DIGITS = 4


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """One detector's judged detections."""

    name: str
    digest: str
    box_features: Floats
    track_features: Floats
    scores: Floats
    true: Floats
    real: Floats
    objects: int


def load(argument: str, policy: Policy) -> DataSet:
    """Replays a labelled folder, given as FORMAT:FOLDER, with a policy."""
    format_name, _, folder = argument.partition(":")
    path = Path(folder)
    workspace = Workspace()
    boxes, tracks, scores, true, real, digest, objects = [], [], [], [], [], hashlib.sha256(), 0
    for one in read_labelled(path, path, format_name):
        matches = match_by_score(one, iou=0.5)
        seen = observe(one, matches, policy, workspace)
        judged = matches.labels >= 0
        boxes.append(plain(seen.box_features[judged]))
        tracks.append(seen.track_features[judged][:, : len(TRACK)])
        scores.append(one.sequence.scores[judged])
        true.append((matches.labels[judged] == 1).astype(np.float64))
        real.append(seen.real[judged])
        objects += int(matches.objects.sum())
        digest.update(one.sequence.source.read_bytes())
    return DataSet(
        path.name, digest.hexdigest(), np.concatenate(boxes), np.concatenate(tracks), np.concatenate(scores),
        np.concatenate(true), np.concatenate(real), objects,
    )  # fmt: skip


def plain(features: Floats) -> Floats:
    """(N, 7) of the box's features (N, 13): those that are weighed of detectors nothing is known of."""
    chosen = features[:, : len(BOX)].copy()
    for name, rest in (("score", "score_high"), ("slow", "slow_large")):
        chosen[:, BOX.index(name)] += features[:, BOX_NAMES.index(rest)]
    return chosen


def fit(sets: Sequence[DataSet], *, tracks: bool) -> Floats:
    """Weights of a read-out over several sets, each counting alike."""
    features = np.concatenate([one.track_features if tracks else one.box_features for one in sets])
    labels = np.concatenate([one.real if tracks else one.true for one in sets])
    weights = np.concatenate([np.full(len(one.true), 1.0 / len(one.true)) for one in sets])
    rising = TRACK_RISING[: len(TRACK)] if tracks else BOX_RISING[: len(BOX)]
    return fit_logistic(features, labels, rising, Ridge(np.zeros(len(rising)), STRENGTH), weights)


def best_f1(scores: Floats, true: Floats, objects: int) -> float:
    """The largest F1 over all thresholds."""
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(true[order])
    last = np.append(np.diff(scores[order]) != 0.0, True)
    return float((2.0 * right / (np.arange(1, len(order) + 1) + objects))[last].max())


def band(probabilities: Floats, true: Floats) -> tuple[float, float, float]:
    """The lowest threshold of yes with the precision wanted, the highest of no with few true boxes under it, and the share between them."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], np.cumsum(true[order])
    precise = np.flatnonzero(right >= PRECISION_OF_YES * np.arange(1, len(order) + 1))
    yes = float(ranked[precise[-1]]) if len(precise) else 1.0
    no_place = int(np.searchsorted(right, (1.0 - TRUE_UNDER_NO) * right[-1]))
    no = min(float(ranked[min(no_place, len(ranked) - 1)]), yes)
    return yes, no, float(((ranked < yes) & (ranked >= no)).mean())


def held_out(sets: Sequence[DataSet]) -> list[dict[str, Any]]:
    """For each set, what weights fitted on the other sets say of it, beside its raw score."""
    rows = []
    for one in sets:
        others = [other for other in sets if other is not one]
        fused = sigmoid(one.box_features @ fit(others, tracks=False))
        measured = [
            DataSet(o.name, o.digest, o.box_features[:, :2], o.track_features, o.scores, o.true, o.real, o.objects)
            for o in others
        ]
        calibrated = _fit_score(measured)
        raw = sigmoid(one.box_features[:, :2] @ calibrated)
        rows.append(
            {
                "data": one.name,
                "detections": len(one.true),
                "f1_raw": best_f1(one.scores, one.true, one.objects),
                "f1_fused": best_f1(fused, one.true, one.objects),
                "log_loss_calibrated_raw": log_loss(raw, one.true),
                "log_loss_fused": log_loss(fused, one.true),
                "maybe_band_raw": band(one.scores, one.true)[2],
                "maybe_band_fused": band(fused, one.true)[2],
            }
        )
    return rows


def _fit_score(sets: Sequence[DataSet]) -> Floats:
    features = np.concatenate([one.box_features for one in sets])
    labels = np.concatenate([one.true for one in sets])
    weights = np.concatenate([np.full(len(one.true), 1.0 / len(one.true)) for one in sets])
    return fit_logistic(features, labels, (False, True), Ridge(np.array([0.0, 1.0]), STRENGTH), weights)


def with_weights(policy: Policy, box: Floats, track: Floats) -> Policy:
    """The policy with other read-outs."""
    tree = policy.model_dump(mode="json")
    rounded = [[round(float(value), DIGITS) for value in values] for values in (box, track)]
    tree["defaults"]["box"]["weights"] = dict(zip(BOX, rounded[0], strict=True))
    tree["defaults"]["track"]["weights"] = dict(zip(TRACK, rounded[1], strict=True))
    return Policy.model_validate(tree)


def with_thresholds(policy: Policy, sets: Sequence[DataSet]) -> Policy:
    """The policy with the medians of the thresholds that give each set the precision and the recall wanted.

    One detector's floods of low boxes would else set the thresholds of all.
    """
    tree = policy.model_dump(mode="json")
    of_box, of_track = policy.defaults.box.weights, policy.defaults.track.weights
    box_weights = np.array([getattr(of_box, name) for name in BOX])
    track_weights = np.array([getattr(of_track, name) for name in TRACK])
    boxes = [band(sigmoid(one.box_features @ box_weights), one.true)[:2] for one in sets]
    tracks = [band(sigmoid(one.track_features @ track_weights), one.real)[:2] for one in sets]
    for name, found in (("box", boxes), ("track", tracks)):
        yes, no = np.median(found, axis=0)
        tree["defaults"][name]["thresholds"] |= {"yes": round(max(float(yes), LEAST_YES), 2), "no": round(float(no), 2)}
    return Policy.model_validate(tree)


def main() -> int:
    """Fits, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "data", nargs="+", metavar="FORMAT:FOLDER", help="labelled recordings of one detector, such as mot:FOLDER"
    )
    parser.add_argument("--out", type=Path, help="where the policy is written; else it is printed")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    arguments = parser.parse_args()
    policy = default_policy()
    # Read-outs say which tracks are established, so what they are fitted on depends on them: twice is enough.
    sets = [load(argument, policy) for argument in arguments.data]
    for _ in range(2):
        policy = with_weights(policy, fit(sets, tracks=False), fit(sets, tracks=True))
        sets = [load(argument, policy) for argument in arguments.data]
    policy = with_thresholds(policy, sets)
    rows = held_out(sets)
    provenance = {
        "made_by": "benchmarks/default_policy.py",
        "date": datetime.now(UTC).date().isoformat(),
        "data": {one.name: {"detections": len(one.true), "sha256": one.digest} for one in sets},
        "thresholds": f"medians over the data sets of: precision of yes {PRECISION_OF_YES:g} (yes at {LEAST_YES:g} or more), "
        f"share of true boxes under no {TRUE_UNDER_NO:g}",
        "held_out": [
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ],
    }
    policy = Policy.model_validate({**policy.model_dump(mode="json"), "provenance": provenance})
    for row in rows:
        sys.stderr.write(
            f"{row['data']:24} F1 {row['f1_raw']:.4f} -> {row['f1_fused']:.4f}   log loss {row['log_loss_calibrated_raw']:.4f} -> "
            f"{row['log_loss_fused']:.4f}   maybe {row['maybe_band_raw']:.3f} -> {row['maybe_band_fused']:.3f}\n"
        )
    text = dump_policy(
        policy, "The built-in policy, in force where none is given. Made by benchmarks/default_policy.py."
    )
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
