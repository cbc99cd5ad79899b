"""What the clients of the bench share: the message, the loops, and the result line."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

MESSAGE = {"id": 7, "name": "0123456789abcdef", "payload": b"x" * 64}
WARM_UP = 200


def options(*positional: str) -> argparse.Namespace:
    """The options of a client."""
    parser = argparse.ArgumentParser()
    for name in positional:
        parser.add_argument(name, nargs="?")
    parser.add_argument("--outstanding", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=3)
    return parser.parse_args()


class Meter:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self.started, self.cpu = time.perf_counter(), time.process_time()

    def print(self, calls: int) -> None:
        seconds = time.perf_counter() - self.started
        cpu = time.process_time() - self.cpu
        print(json.dumps({"calls": calls, "seconds": seconds, "rate": calls / seconds, "cpu": cpu}))


def one_after_the_other(call: Callable[[Any], Any], seconds: float) -> None:
    """One call at a time."""
    for _ in range(WARM_UP):
        assert call(MESSAGE) == MESSAGE
    meter, calls, end = Meter(), 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        call(MESSAGE)
        calls += 1
    meter.print(calls)


def threads(call: Callable[[Any], Any], outstanding: int, seconds: float) -> None:
    """A thread for each outstanding call."""
    for _ in range(WARM_UP):
        assert call(MESSAGE) == MESSAGE
    counts: list[int] = []

    def work() -> None:
        calls = 0
        while time.perf_counter() < end:
            call(MESSAGE)
            calls += 1
        counts.append(calls)

    workers = [threading.Thread(target=work) for _ in range(outstanding)]
    meter, end = Meter(), time.perf_counter() + seconds
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    meter.print(sum(counts))


async def tasks(call: Callable[[Any], Awaitable[Any]], outstanding: int, seconds: float) -> None:
    """A task for each outstanding call."""
    for _ in range(WARM_UP):
        assert await call(MESSAGE) == MESSAGE
    calls = 0

    async def work() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            await call(MESSAGE)
            calls += 1

    meter, end = Meter(), time.perf_counter() + seconds
    await asyncio.gather(*(work() for _ in range(outstanding)))
    meter.print(calls)
