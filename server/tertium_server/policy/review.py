"""When people are asked, and what holds until they answer: the part of a policy that human review goes by."""

import math
from typing import Annotated, Literal

from pydantic import Field

from tertium_server.policy.values import Name, NotNegative, Value

LEAST_SHARE = 1e-4
"""Some of the confident answers are always audited: of a stratum that nobody looks at, nothing can be said."""

_LEAST_DOUBT = 0.1

Seconds = Annotated[float, Field(ge=1.0, le=31_536_000.0)]
Hits = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=LEAST_SHARE, le=1.0)]
DefaultVerdict = Literal["no", "maybe", "yes"]


class ClassReview(Value):
    """What a class has otherwise than the others; None: as they have it."""

    open_after: NotNegative | None = None
    deadline: Seconds | None = None
    default_verdict: DefaultVerdict | None = None
    audit_yes: Share | None = None
    audit_no: Share | None = None
    audit_no_hits: Hits | None = None
    double_check_yes: bool | None = None


class ReviewRules(Value):
    """Which tracks become cases, and what becomes of a case that nobody answers."""

    open_after: NotNegative = 2.0
    """Seconds, by capture times, that a track has to be MAYBE before its case is opened; a track that ends MAYBE is a case at once."""
    deadline: Seconds = 86_400.0
    """Seconds from the opening of a case after which ``default_verdict`` holds. Answers are taken after that, too, as corrections."""
    default_verdict: DefaultVerdict = "maybe"
    """What holds of a case without an answer."""
    audit_yes: Share = 0.03
    """Probability that a track that ends YES is audited."""
    audit_no: Share = 0.03
    """Probability that a track that ends NO is audited."""
    audit_no_hits: Hits = 3
    """Detections from which on a track that never left NO counts as a decision, and may be audited; with fewer it is a flash, and no track.

    The less likely such a track was, the less often it is audited than ``audit_no`` says: see :meth:`audit_of_dismissed`.
    """
    audit_frames: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Probability that a frame is shown whole, to ask what was missed in it; 0: none is, for whole pictures leave the camera's machine for it."""
    double_check_yes: bool = False
    """A first YES on a case of the source maybe needs a second vote."""
    salt: Annotated[str, Field(max_length=64)] = ""
    """Goes into the audit's coin: another salt chooses other tracks, the same salt the same ones."""
    classes: dict[Name, ClassReview] = Field(default={})
    """By class name, what is otherwise."""

    def for_class(self, name: str) -> "ReviewRules":
        """The rules for a class, without those for others."""
        own = self.classes.get(name)
        changes = {} if own is None else own.model_dump(exclude_none=True)
        return self.model_copy(update={**changes, "classes": {}})

    def audit_of_dismissed(self, probability: float) -> float:
        """Probability that a track that never left NO is audited, from its own.

        There are many such tracks and few of them are real: looking where doubt is greatest, sqrt(p (1 - p)), says more about recall for as many
        looks. A floor leaves no track without a chance. Never more than ``audit_no``.
        """
        doubt = 2.0 * math.sqrt(max(probability * (1.0 - probability), 0.0))
        return max(LEAST_SHARE, self.audit_no * max(doubt, _LEAST_DOUBT))
