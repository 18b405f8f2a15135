"""A process that books cases and answers them as fast as it can, until it is killed. It tells its starter what it was told is done.

    python -m tests.review.mortal STORE_URL SPOOL_FOLDER FIRST_TRACK

Each line on standard output names something that must not be lost: "case ID" once it is booked, "vote ID REVIEWER ANSWER" once it is taken.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tertium_server.review.office import ReviewOffice
from tertium_server.review.queue import QueueRules
from tertium_server.review.spool import Spool
from tertium_server.review.values import Answer, Stratum
from tertium_server.storage import open_store
from tests.review.builders import booking

_LINE = threading.Lock()


def tell(line: str) -> None:
    """Says something durable was done: after it was."""
    with _LINE:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def review(desk: ReviewOffice, who: str, seed: int) -> None:
    """Leases and votes for ever."""
    turn = seed
    while True:
        for lease in desk.lease(who, 3):
            turn += 1
            answer = list(Answer)[turn % 3]
            desk.vote(lease.case.id, who, lease.token, answer)
            tell(f"vote {lease.case.id} {who} {answer.value}")


def main() -> None:
    """Works until it is killed."""
    url, folder, first = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # Leases of the dead are free at once: their successors go on with their cases.
    desk = ReviewOffice(open_store(url), QueueRules(lease_seconds=0.05))
    spool = Spool(folder, 1 << 24)
    for number in range(3):
        threading.Thread(target=review, args=(desk, f"reviewer {number}", first + number), daemon=True).start()
    track = first
    while True:
        batch = [booking(track + k, list(Stratum)[(track + k) % 3]) for k in range(5)]
        track += 5
        if track % 20 == first % 20:
            # Some go by the spool, as while the store is away.
            spool.put(batch)
            names = list[str]()
            while (found := spool.oldest()) is not None:
                names += desk.book(found[1])
                spool.remove(found[0])
        else:
            names = desk.book(batch)
        for name in names:
            tell(f"case {name}")


if __name__ == "__main__":
    main()
