"""How the server's threads take turns on a processor.

Every message is read by a thread of gRPC's, which wakes the loop's. As the kernel schedules by default, a thread that wakes takes the processor from
the one that runs: on a busy server the two interrupt each other twice a message. Under Linux's SCHED_BATCH a thread that wakes waits its turn (see
sched(7)), and the loop finds several messages when it looks.

The loop gives the interpreter's lock away whenever it waits for a message. A thread of review that computes meanwhile gives it back when it is asked
to, by default after five milliseconds.
"""

from __future__ import annotations

import os
import sys

from tertium_server.config import Scheduling
from tertium_server.logs import get_logger

_SWITCH_SECONDS = 0.0002
"""How long a thread keeps the interpreter's lock when others want it."""


def hand_over_soon() -> None:
    """Has threads that compute give the interpreter's lock to the event loop soon after it asks for it."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def schedule_threads(scheduling: Scheduling) -> bool:
    """Has this thread, and all that it will start, scheduled so; False: the system stays with what it has.

    A process that was started under another policy than the system's default (with chrt, say) keeps it.
    """
    if scheduling == "normal" or not hasattr(os, "SCHED_BATCH"):
        return False
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:  # a sandbox may forbid it
        get_logger("server").warning("threads are scheduled as by default", error=error.strerror)
        return False
    return True
