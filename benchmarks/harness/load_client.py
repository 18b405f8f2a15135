"""The load: many calls at once, each on a connection of its own, sending messages made in advance. Prints its measurements as JSON.

A process of its own on the standard library alone, so that it starts fast and leaves the processor to the server.
"""

import argparse
import heapq
import json
import os
import random
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from http2 import StreamingCall, data_frames  # type: ignore[import-not-found]  # beside this script, where checkers do not look

_LONGEST_SECONDS = 120.0


class OverrunError(RuntimeError):
    """A measurement took longer than any may."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: the calls' first messages, and the messages that all of them send after it."""

    calls: list[StreamingCall]
    messages: list[bytes]
    pid: int


def read_messages(path: Path) -> list[bytes]:
    """Messages of a file, each behind its length in four bytes."""
    data = path.read_bytes()
    messages = []
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        messages.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return messages


def processor_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total * 1e-9


def resident_bytes(pid: int) -> int:
    """Memory a process holds, while its calls are open."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_calls(load: Load, opens: list[bytes]) -> None:
    """Sends each call's first message and waits for its answer."""
    for call, first in zip(load.calls, opens, strict=True):
        call.send(data_frames(first))
    for call in load.calls:
        while call.receive() == 0:
            pass
        call.answer_bytes = 0


def saturate(load: Load, warm: int, count: int) -> dict[str, float]:
    """Keeps one message of each call on its way, until ``count`` have been answered after the first ``warm``."""
    calls = {call.file_number: call for call in load.calls}
    left = {number: iter(load.messages) for number in calls}
    poll = select.epoll()
    for number, call in calls.items():
        poll.register(number, select.EPOLLIN)
        call.send(next(left[number]))
    answered = 0
    started = processor = bytes_before = 0.0
    deadline = time.monotonic() + _LONGEST_SECONDS
    while answered < warm + count:
        for number, _ in poll.poll(1.0):
            call = calls[number]
            for _ in range(call.receive()):
                answered += 1
                message = next(left[number], None)
                if message is not None:
                    call.send(message)
                if answered == warm:
                    started, processor = time.perf_counter(), processor_seconds(load.pid)
                    bytes_before = sum(call.answer_bytes for call in load.calls)
        if time.monotonic() > deadline:
            raise OverrunError(f"{answered} answers in {_LONGEST_SECONDS:g} seconds")
    seconds = time.perf_counter() - started
    return {
        "messages": answered - warm,
        "all_messages": answered,
        "seconds": seconds,
        "server_processor_seconds": processor_seconds(load.pid) - processor,
        "server_resident_bytes": resident_bytes(load.pid),
        "answer_bytes": (sum(call.answer_bytes for call in load.calls) - bytes_before) / (answered - warm),
    }


def pace(load: Load, rate: float, seconds: float, seed: int) -> dict[str, object]:
    """Sends each call's messages at a steady rate, whatever comes back when; latencies count from when a message was due."""
    interval = 1.0 / rate
    dice = random.Random(seed)  # noqa: S311 - cameras that don't know of each other
    calls = {call.file_number: call for call in load.calls}
    on_their_way: dict[int, deque[tuple[float, float]]] = {number: deque() for number in calls}
    left = {number: iter(load.messages) for number in calls}
    begin = time.perf_counter() + 0.05
    due = [(begin + dice.random() * interval, number) for number in calls]
    heapq.heapify(due)
    measured_from = begin + 0.2 * seconds
    processor, processor_from = 0.0, 0.0
    from_due: list[float] = []
    from_sent: list[float] = []
    numbers = list(calls)
    clock = time.perf_counter
    while due or any(on_their_way.values()):
        now = clock()
        if now > begin + seconds + _LONGEST_SECONDS:
            raise OverrunError(f"answers are {_LONGEST_SECONDS:g} seconds behind")
        while due and due[0][0] <= now:
            when, number = heapq.heappop(due)
            on_their_way[number].append((when, clock()))
            calls[number].send(next(left[number]))
            if when + interval < begin + seconds:
                heapq.heappush(due, (when + interval, number))
            if not processor_from and when > measured_from:
                processor, processor_from = processor_seconds(load.pid), clock()
            now = clock()
        ready, _, _ = select.select(numbers, [], [], max(0.0, due[0][0] - now) if due else 1.0)
        for number in ready:
            for _ in range(calls[number].receive()):
                came = clock()
                when, sent = on_their_way[number].popleft()
                if when > measured_from:
                    from_due.append(came - when)
                    from_sent.append(came - sent)
    return {
        "messages": len(from_sent),
        "server_processor_seconds": processor_seconds(load.pid) - processor,
        "latency_from_due": from_due,
        "latency_from_sent": from_sent,
    }


def main() -> None:
    """Reads what to do from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--pid", type=int, required=True, help="the server's process, whose processor time is read")
    parser.add_argument("--opens", type=Path, required=True, help="file with each call's first message")
    parser.add_argument("--messages", type=Path, required=True, help="file with the messages all calls send")
    parser.add_argument("--warm", type=int, default=0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    opens = read_messages(options.opens)
    messages = [data_frames(message) for message in read_messages(options.messages)]
    load = Load([StreamingCall(options.host, options.port, options.path) for _ in opens], messages, options.pid)
    open_calls(load, opens)
    if options.rate:
        result = pace(load, options.rate, options.seconds, options.seed)
    else:
        result = dict[str, object](saturate(load, options.warm, options.count))
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
