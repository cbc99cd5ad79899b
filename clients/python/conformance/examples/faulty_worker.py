"""A worker whose handlers wait, end their process, or hold the interpreter's lock. The tests run it."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

from callboard_pure import Worker


def say(line: str) -> None:
    """Prints a line at once: two threads that use print() may mix theirs."""
    os.write(1, f"{line}\n".encode())


worker = Worker(
    slots=int(os.environ.get("SLOTS", "1")),
    prefetch=int(os.environ.get("PREFETCH", "0")),
    heartbeat_ms=int(os.environ.get("HEARTBEAT_MS", "1000")),
    on_ready=lambda: say("ready"),
)


@worker.method("faulty.pid", effect="read")
def pid() -> int:
    """Returns the process id."""
    return os.getpid()


@worker.method("faulty.echo", effect="read")
def echo(value: bytes) -> bytes:
    """Returns its argument."""
    return value


@worker.method("faulty.attempt", effect="read")
def attempt() -> int:
    """Ends the process on the first attempt, and returns the number of a later one."""
    number = worker.context().attempt
    if number == 1:
        os._exit(1)
    return number


@worker.method("faulty.exit")
def exit_process() -> None:
    """Ends the process."""
    os._exit(1)


@worker.method("faulty.system_exit")
def system_exit() -> None:
    """Raises what would end a program."""
    sys.exit(1)


@worker.method("faulty.wait", effect="read")
def wait(path: str) -> str:
    """Waits until the file exists or the call is cancelled."""
    context = worker.context()
    say("waiting")
    while not Path(path).exists():
        if context.cancelled.wait(0.01):
            say("cancelled")
            return "cancelled"
    return f"{context.key} {context.fence is not None}"


@worker.method("faulty.hold_lock")
def hold_lock(seconds: float) -> int:
    """Holds the interpreter's lock, as a long computation in an extension module does, and returns the process id."""
    started = time.monotonic()
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    assert time.monotonic() - started >= seconds
    return os.getpid()


if __name__ == "__main__":
    worker.run()
