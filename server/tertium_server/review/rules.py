"""What votes make of a case. Pure: the same votes, in whatever order they came, end alike once the case is closed.

One vote closes a case that agrees with the machine. A vote against an automatic verdict needs a second one, and a third breaks a tie: of a stratum
that is nearly always right, most lone votes against are the reviewer's errors. Where the machine said maybe there is nothing to contradict, and one
vote is enough, unless the policy wants a YES looked at twice. Two people who can't tell close a case without an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tertium_server.review.values import Answer, State, Verdict

_ENOUGH_CANNOT_TELL = 2
_AGAINST = {Verdict.YES: Answer.NO, Verdict.NO: Answer.YES}


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a case comes to."""

    state: State
    answer: Answer | None = None
    """What people settled on, where it is closed."""


def settle(machine: Verdict, votes: Sequence[Answer], *, double_check_yes: bool = False) -> Settlement:
    """The state and answer of a case on which these votes stand."""
    yes, no = votes.count(Answer.YES), votes.count(Answer.NO)
    suspect = _AGAINST.get(machine, Answer.YES if double_check_yes else None)
    if yes + no == 1:
        answer = Answer.YES if yes else Answer.NO
        settled = Settlement(State.SECOND_REVIEW) if answer is suspect else Settlement(State.CLOSED, answer)
    elif yes != no:
        settled = Settlement(State.CLOSED, Answer.YES if yes > no else Answer.NO)
    else:
        settled = Settlement(State.ESCALATED if yes else State.OPEN)
    if settled.state is not State.CLOSED and votes.count(Answer.CANNOT_TELL) >= _ENOUGH_CANNOT_TELL:
        return Settlement(State.CLOSED, Answer.CANNOT_TELL)
    return settled
