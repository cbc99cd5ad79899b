"""A key-value store: plain functions under names. It stops on Ctrl-C, and on Enter if it was started by hand.

callboard broker &
python worker.py
callboard call kvs.put a 10
callboard call kvs.get a
"""

import os
import platform
import threading
from typing import Any

import callboard

app = callboard.Worker("kvs")
values: dict[str, Any] = {}


@app.read
def get(k: str) -> Any:
    """Returns the value, or None."""
    return values.get(k)


@app.idempotent
def put(k: str, v: Any) -> None:
    values[k] = v


@app.once
def inc(k: str) -> int:
    """Adds one and returns the new value. A missing value counts as 0."""
    value = values.get(k, 0)
    if not isinstance(value, int):
        raise callboard.FailedPrecondition("there is no number to increment: put a number first")
    values[k] = value + 1
    return value + 1


@app.read
def uname() -> dict[str, str]:
    """Returns the operating system of the worker's machine, which shows where the code ran."""
    system = platform.uname()
    return {"sysname": system.system, "nodename": system.node, "release": system.release}


def stop_on_enter() -> None:
    # Not by sys.stdin: a thread that still reads it cannot end with the interpreter. End-of-file is not Enter.
    if os.read(0, 1):
        app.stop()


if __name__ == "__main__":
    if "CALLBOARD_POOL" not in os.environ:
        threading.Thread(target=stop_on_enter, daemon=True).start()
    app.run()
