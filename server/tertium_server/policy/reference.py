"""What tuning saw: the scores of its tracks, which those of live ones are compared with."""

from typing import Annotated

from pydantic import Field

from tertium_server.policy.values import Name, Value

BINS = 20
"""Of one width, over probabilities from 0 to 1."""

Counts = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(strict=False, min_length=BINS, max_length=BINS)]


class Reference(Value):
    """Figures of the data a policy was tuned on. They judge nothing; drift is told against them."""

    scores: dict[Name, Counts] = Field(default={}, max_length=4096)
    """By class name: how many tracks had P(real object) in each of twenty bins when they were decided."""
