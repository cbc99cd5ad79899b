"""A key-value store: plain functions under names. It stops on Ctrl-C, and on Enter if it was started by hand.

callboard broker &
python worker.py
callboard call kvs.put a 10
callboard call kvs.get a
"""

import os
import platform
import sys
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
    values[k] = values.get(k, 0) + 1
    return int(values[k])


@app.read
def uname() -> dict[str, str]:
    """Returns the operating system of the worker's machine, which shows where the code ran."""
    system = platform.uname()
    return {
        "sysname": system.system,
        "nodename": system.node,
        "release": system.release,
    }


def stop_on_enter() -> None:
    if sys.stdin.readline():
        app.stop()


if __name__ == "__main__":
    if "CALLBOARD_POOL" not in os.environ:
        threading.Thread(target=stop_on_enter, daemon=True).start()
    app.run()
