"""What votes make of a case."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tertium_server.review.rules import Settlement, settle
from tertium_server.review.values import Answer, State, Verdict

Y, N, U = Answer.YES, Answer.NO, Answer.CANNOT_TELL
OPEN, SECOND, TIED = Settlement(State.OPEN), Settlement(State.SECOND_REVIEW), Settlement(State.ESCALATED)


def closed(answer: Answer) -> Settlement:
    return Settlement(State.CLOSED, answer)


@pytest.mark.parametrize(
    ("machine", "votes", "expected"),
    [
        (Verdict.YES, [], OPEN),
        (Verdict.YES, [Y], closed(Y)),
        (Verdict.YES, [N], SECOND),
        (Verdict.YES, [N, N], closed(N)),
        (Verdict.YES, [N, Y], TIED),
        (Verdict.YES, [N, Y, Y], closed(Y)),
        (Verdict.YES, [N, Y, N], closed(N)),
        (Verdict.NO, [N], closed(N)),
        (Verdict.NO, [Y], SECOND),
        (Verdict.NO, [Y, Y], closed(Y)),
        (Verdict.MAYBE, [Y], closed(Y)),
        (Verdict.MAYBE, [N], closed(N)),
        (Verdict.MAYBE, [U], OPEN),
        (Verdict.MAYBE, [U, Y], closed(Y)),
        (Verdict.MAYBE, [U, U], closed(U)),
        (Verdict.YES, [U, N], SECOND),
        (Verdict.YES, [N, U, U], closed(U)),
        (Verdict.YES, [N, Y, U], TIED),
    ],
)
def test_the_rules_by_example(machine: Verdict, votes: list[Answer], expected: Settlement) -> None:
    assert settle(machine, votes) == expected


def test_a_yes_on_a_maybe_is_looked_at_twice_where_the_policy_wants_it() -> None:
    assert settle(Verdict.MAYBE, [Y], double_check_yes=True) == SECOND
    assert settle(Verdict.MAYBE, [Y, Y], double_check_yes=True) == closed(Y)
    assert settle(Verdict.MAYBE, [N], double_check_yes=True) == closed(N)


def until_closed(machine: Verdict, votes: Sequence[Answer]) -> tuple[int, Settlement]:
    """How many of the votes are taken before the case is closed, and what it comes to."""
    for count in range(1, len(votes) + 1):
        settlement = settle(machine, votes[:count])
        if settlement.state is State.CLOSED:
            return count, settlement
    return len(votes), settle(machine, votes)


@pytest.mark.parametrize("machine", list(Verdict))
def test_five_votes_close_any_case(machine: Verdict) -> None:
    # At most: against, for, cannot tell, and then either another cannot tell or the one that breaks the tie.
    for votes in product(list(Answer), repeat=5):
        count, settlement = until_closed(machine, votes)
        assert settlement.state is State.CLOSED
        assert count <= 4


@given(some.sampled_from(Verdict), some.lists(some.sampled_from(Answer), max_size=6))
def test_the_order_of_votes_does_not_matter(machine: Verdict, votes: list[Answer]) -> None:
    assert settle(machine, votes) == settle(machine, sorted(votes))


@given(some.sampled_from([Verdict.YES, Verdict.NO]), some.lists(some.sampled_from(Answer), max_size=6))
def test_nothing_less_than_two_votes_more_overturns_the_machine(machine: Verdict, votes: list[Answer]) -> None:
    against = N if machine is Verdict.YES else Y
    _, settlement = until_closed(machine, votes)
    if settlement == closed(against):
        assert votes.count(against) >= 2


def test_a_second_vote_takes_out_the_bias_of_reviewers_who_err() -> None:
    # 3 % errors among 97 % true: of lone votes, 2.9 % + … of all would wrongly be NO; with a second, hardly any.
    rng = np.random.default_rng(5)

    def vote(truth: object) -> Answer:
        return Y if bool(truth) ^ (rng.random() < 0.03) else N

    cases = [rng.random() < 0.97 for _ in range(20_000)]
    settled = [until_closed(Verdict.YES, [vote(truth) for _ in range(5)])[1].answer is Y for truth in cases]
    lone = [vote(truth) is Y for truth in cases]
    share = sum(cases) / len(cases)
    assert sum(lone) / len(cases) - share < -0.02
    assert abs(sum(settled) / len(cases) - share) < 0.003
