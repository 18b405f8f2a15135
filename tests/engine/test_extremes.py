"""Whatever a policy may hold, to the bounds of every field, comes out as numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from tertium_server.engine import Verdict
from tertium_server.policy import Policy
from tests.engine.streams import engine_with, play, troubled
from tests.policies import plain_policy, policy_with

NUMBERS = ("probabilities", "track_probabilities", "track_lower", "track_upper", "coasted_probabilities")


def bounds(model: type[BaseModel], *before: str) -> Iterator[tuple[str, float, float]]:
    """Path, least and largest value of every number of a section."""
    for name, each in model.model_fields.items():
        if isinstance(each.annotation, type) and issubclass(each.annotation, BaseModel):
            yield from bounds(each.annotation, *before, name)
        elif each.annotation in {float, float | None}:
            limits = {
                limit: getattr(rule, limit) for rule in each.metadata for limit in ("ge", "le") if hasattr(rule, limit)
            }
            yield ".".join((*before, name)), limits["ge"], limits["le"]


def sections() -> Iterator[tuple[str, float, float]]:
    for name in ("tracker", "defaults"):
        model = Policy.model_fields[name].annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        yield from bounds(model, name)


def extreme(seed: int) -> Policy:
    """A policy of which a third of the numbers lie on a bound."""
    random = np.random.default_rng(seed)
    changes: dict[str, object] = {
        path: float(random.choice([least, largest])) for path, least, largest in sections() if random.random() < 0.33
    }
    for judged in ("box", "track"):
        paths = [f"defaults.{judged}.thresholds.{name}" for name in ("no", "yes")]
        thresholds: Any = getattr(plain_policy().defaults, judged).thresholds
        values = sorted(float(str(changes.get(path, getattr(thresholds, path[-3:].strip("."))))) for path in paths)
        changes |= dict(zip(paths, values, strict=True))
    heights = [f"defaults.box.heights.{name}" for name in ("least", "most")]
    bounds_of_heights = plain_policy().defaults.box.heights
    given = sorted(float(str(changes.get(path, getattr(bounds_of_heights, path.split(".")[-1])))) for path in heights)
    changes |= dict(zip(heights, given, strict=True))
    return policy_with(changes)


@pytest.mark.parametrize("seed", range(60))
def test_every_number_decided_is_finite_and_in_its_range(seed: int) -> None:
    client_tracks, width = seed % 3 == 0, 640 * (seed % 2)
    engine = engine_with(
        extreme(seed), client_tracks=client_tracks, include_features=True, frame_width=width, frame_height=360
    )
    journal = play(engine, troubled(seed % 7, length=50), [9] * 50, finish=True, client_tracks=client_tracks)
    for name in NUMBERS:
        assert ((journal[name] >= 0) & (journal[name] <= 1)).all(), name
    assert (
        (journal["track_lower"] <= journal["track_probabilities"])
        & (journal["track_probabilities"] <= journal["track_upper"])
    ).all()
    for name in ("boxes", "coasted_boxes"):
        assert np.isfinite(journal[name]).all(), name
        assert (journal[name][:, :2] <= journal[name][:, 2:]).all(), name
    for name in ("box_features", "track_features"):
        assert np.isfinite(journal[name]).all(), name
    for name in ("verdicts", "track_verdicts", "coasted_verdicts"):
        assert set(journal[name].tolist()) <= set(Verdict), name


def test_the_bounds_of_these_tests_are_those_of_the_whole_policy() -> None:
    found = list(sections())
    assert len(found) > 40
    assert {path.split(".")[1] for path, *_ in found} >= {
        "motion",
        "association",
        "lifetime",
        "scores",
        "evidence",
        "box",
        "track",
    }
