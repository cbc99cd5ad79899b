"""Calls a second of a short Python function, by the worker's `slots` and `prefetch`.

    python bench/worker_settings.py [--seconds 2] [--repeats 3]

The settings are interleaved. The table has the medians. CALLBOARD_COMMAND is the path of a release build of the
command.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import callboard
from run import process

OUTSTANDING = (1, 64, 512)
SETTINGS = ({"prefetch": 0}, {"prefetch": 1}, {"prefetch": 8}, {"prefetch": 64}, {"slots": 64})

WORKER = """
import json, sys
import callboard

app = callboard.Worker("bench", **json.loads(sys.argv[1]))

@app.read
def add(x: int, y: int) -> int:
    return x + y

app.run()
"""


def rate(client: callboard.Client, outstanding: int, seconds: float) -> float:
    """Makes calls for so many seconds. Returns the calls a second."""
    futures = collections.deque(client.submit("bench.add", 1, 2) for _ in range(outstanding))
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        assert futures.popleft().result() == 3
        futures.append(client.submit("bench.add", 1, 2))
        calls += 1
    return calls / (time.perf_counter() - start)


def measure(backend: str, frontend: str, settings: dict[str, int], seconds: float) -> list[float]:
    """Starts a worker and measures it."""
    words = [sys.executable, "-c", WORKER, json.dumps(settings)]
    worker = subprocess.Popen(words, env={**os.environ, "CALLBOARD_BACKEND": backend})
    try:
        with callboard.Client(frontend) as client:
            for _ in range(500):
                client.call("bench.add", 1, 2, wait_for_ready=True)
            return [rate(client, outstanding, seconds) for outstanding in OUTSTANDING]
    finally:
        worker.terminate()
        worker.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    default = Path(__file__).resolve().parents[3] / "target" / "release" / "callboard"
    command = os.environ.get("CALLBOARD_COMMAND", str(default))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        frontend, backend = (f"ipc://{folder}/{side}" for side in ("front", "back"))
        stack.enter_context(process(command, "broker", "--frontend", frontend, "--backend", backend, ready="ready"))
        rounds = [
            [measure(backend, frontend, settings, options.seconds) for settings in SETTINGS]
            for _ in range(options.repeats)
        ]
    print("| settings |", " | ".join(f"{outstanding} outstanding" for outstanding in OUTSTANDING), "|")
    print("|---|---|---|---|")
    for at, settings in enumerate(SETTINGS):
        medians = [statistics.median(round[at][column] for round in rounds) for column in range(len(OUTSTANDING))]
        name = ", ".join(f"{option}={number}" for option, number in settings.items()) or "default"
        print(f"| {name} | " + " | ".join(f"{median:,.0f}" for median in medians) + " |")


if __name__ == "__main__":
    main()
