"""What people have decided of a track: it stands over the machine's verdicts, until the evidence has moved far against it."""

from dataclasses import dataclass

from tertium_server.engine.layout import Verdict

FAR = 4.0
"""Log-odds by which the slow level of evidence has to move against a ruling to undo it: what people saw is no longer what is there."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision of people on a track."""

    verdict: Verdict
    """YES or NO."""
    level: float
    """The slow level of evidence when it was made, log-odds."""

    def moved_against(self, level: float) -> float:
        """By how much the slow level has moved against it since, log-odds; negative: in its favour."""
        return level - self.level if self.verdict is Verdict.NO else self.level - level

    def is_outdated(self, level: float) -> bool:
        """Whether the evidence has moved far against it."""
        return self.moved_against(level) > FAR
