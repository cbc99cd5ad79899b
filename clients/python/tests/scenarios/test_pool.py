"""A pool of Python workers under load, one of which is killed."""

from __future__ import annotations

import collections
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import callboard
import pytest

from ..processes import DEADLINE, Broker, Process, command_path, python, until

WORKERS = 3
CALLS = 1500
WORKER = """
import os, sys, time
import callboard

app = callboard.Worker("s")
log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@app.read
def square(number: int) -> int:
    time.sleep(0.001)
    return number * number

@app.once
def write(number: int) -> int:
    os.write(log, f"{number}\\n".encode())
    time.sleep(0.001)
    return number

@app.read
def pid() -> int:
    return os.getpid()

app.run()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file to which the workers write the numbers of their calls."""
    return tmp_path / "log"


@pytest.fixture
def pool(broker: Broker, tmp_path: Path, log: Path) -> Iterator[Process]:
    program = tmp_path / "worker.py"
    program.write_text(WORKER)
    words = ("pool", "-n", str(WORKERS), "--backend", broker.backend, "--", *python(str(program), str(log)))
    with Process(command_path(), *words) as pool:
        pool.wait_for(f"ready {WORKERS} workers")
        yield pool
        pool.signal(signal.SIGTERM)
        assert pool.exit_code() == 0


class Outcomes:
    """Counts how often each call has an outcome."""

    def __init__(self) -> None:
        self.counts: collections.Counter[tuple[str, int]] = collections.Counter()
        self.some = threading.Event()

    def of(self, method: str, number: int) -> Callable[[object], None]:
        def outcome(_: object) -> None:
            self.counts[method, number] += 1
            if self.counts.total() > CALLS // 5:
                self.some.set()

        return outcome


@pytest.mark.usefixtures("pool")
def test_no_call_hangs_or_is_answered_twice_when_a_worker_is_killed(
    broker: Broker, client: callboard.Client, log: Path
) -> None:
    outcomes = Outcomes()
    victim = min(pids(client))
    calls = {
        (method, number): client.submit(f"s.{method}", number, timeout=DEADLINE, callback=outcomes.of(method, number))
        for number in range(CALLS)
        for method in ("square", "write")
    }
    assert outcomes.some.wait(DEADLINE)
    os.kill(victim, signal.SIGKILL)
    errors = {call: future.exception(DEADLINE) for call, future in calls.items()}
    written = collections.Counter(int(line) for line in log.read_text().split())
    for (method, number), error in errors.items():
        if error is None:
            assert calls[method, number].result() == (number * number if method == "square" else number)
            assert method == "square" or written[number] == 1
        else:
            # Only the call that the killed worker ran cannot be repeated.
            assert method == "write" and isinstance(error, callboard.Unavailable)
            assert error.executed in ("yes", "maybe") and written[number] <= 1
    assert sum(error is not None for error in errors.values()) <= 1
    until("a replacement serves", lambda: len(pids(client) - {victim}) == WORKERS or None)
    client.close()
    assert set(outcomes.counts.values()) == {1} and len(outcomes.counts) == 2 * CALLS


def pids(client: callboard.Client) -> set[int]:
    """The processes that serve now."""
    return {answer.result for answer in client.broadcast("s.pid") if answer.error is None}
