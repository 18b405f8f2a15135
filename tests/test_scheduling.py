"""How threads are scheduled: tried in processes of their own, for a process can't always go back."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux knows batches")

SCRIPT = """
import os, threading
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))  # whatever those who run the tests have
from tertium_server.app.scheduling import schedule_threads
{before}
done = schedule_threads({scheduling!r})
found = []
thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
thread.start()
thread.join()
print(done, os.sched_getscheduler(0), *found)
"""


def scheduled(scheduling: str, before: str = "") -> list[str]:
    """Whether the call did something; the policies of its thread and of one that was started after it."""
    script = SCRIPT.format(scheduling=scheduling, before=before)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_threads_that_are_started_later_wait_their_turn_too() -> None:
    assert scheduled("batch") == ["True", str(os.SCHED_BATCH), str(os.SCHED_BATCH)]


def test_normal_leaves_threads_as_they_are() -> None:
    assert scheduled("normal") == ["False", str(os.SCHED_OTHER), str(os.SCHED_OTHER)]


def test_what_an_operator_has_chosen_stays() -> None:
    before = "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    assert scheduled("batch", before) == ["False", str(os.SCHED_IDLE), str(os.SCHED_IDLE)]


def test_a_sandbox_that_forbids_it_is_told_of_and_nothing_else() -> None:
    before = (
        "def refuse(*_): raise PermissionError(1, 'not here')\nos.sched_setscheduler = refuse\n"
        "from tertium_server.logs import configure_logs\nconfigure_logs('info', 'json')"
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(scheduling="batch", before=before)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == "False"
    assert "scheduled as by default" in done.stderr
    assert "not here" in done.stderr


def test_the_server_hands_the_interpreter_over_soon() -> None:
    script = "import sys\nfrom tertium_server.app.scheduling import hand_over_soon\n{}\nprint(sys.getswitchinterval())"
    before, after = (
        float(
            subprocess.run(
                [sys.executable, "-c", script.format(call)], capture_output=True, text=True, check=True
            ).stdout
        )
        for call in ("", "hand_over_soon()")
    )
    assert after < before / 10
