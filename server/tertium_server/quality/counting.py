"""Counters made of tallies: what a refresh finds more than the one before. So each track counts once, whoever booked or answered it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tertium_server.quality.values import Reviews, Stratum, Tally, Weighted

OUTCOMES = ("tp", "fp", "fn", "tn", "cannot_tell")
"""What the verdict that held turned out to be."""

_OUTCOME_OF = {
    Stratum.AUTO_YES: {"yes": "tp", "no": "fp"},
    Stratum.AUTO_NO: {"yes": "fn", "no": "tn"},
    Stratum.MAYBE: {"yes": "tp", "no": "tn"},
}
"""By answer. On a maybe the answer is what holds."""


class Running:
    """A counter of something that may be taken back: it never falls, and what was taken back is made up for before it grows again."""

    __slots__ = ("_sum", "value")

    def __init__(self) -> None:
        self._sum = 0.0
        self.value = 0.0

    def add(self, change: float) -> None:
        """Something more, or less."""
        self._sum += change
        self.value = max(self.value, self._sum)


class Growth:
    """The counters, by class and stratum, all from zero."""

    def __init__(self, classes: Iterable[str]) -> None:
        keys = [(name, stratum) for name in classes for stratum in Stratum]
        self.population = {key: Running() for key in keys}
        self.squares = {key: Running() for key in keys}
        self.reviewed = {(*key, outcome): Running() for key in keys for outcome in OUTCOMES}
        self.weights = {(*key, outcome): Running() for key in keys for outcome in OUTCOMES}

    def add(self, before: Mapping[str, Tally], after: Mapping[str, Tally]) -> None:
        """Counts what tallies of the same time have more now than they had, by class."""
        for class_name, tally in after.items():
            known = before.get(class_name, Tally())
            for stratum in Stratum:
                if (class_name, stratum) in self.population:
                    self._add(class_name, stratum, known.of(stratum), tally.of(stratum))

    def _add(self, class_name: str, stratum: Stratum, before: Reviews, after: Reviews) -> None:
        key = (class_name, stratum)
        self.population[key].add(after.population - before.population)
        self.squares[key].add(after.answered.squares - before.answered.squares)
        for answer in ("yes", "no", "cannot_tell"):
            old: Weighted = getattr(before, answer)
            new: Weighted = getattr(after, answer)
            outcome = _OUTCOME_OF[stratum].get(answer, answer)
            self.reviewed[*key, outcome].add(new.count - old.count)
            self.weights[*key, outcome].add(new.weight - old.weight)
