"""Real processes for the tests: a broker, workers and pools, each killed by its id at the end."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[4]
CONFORMANCE = ROOT / "clients" / "python" / "conformance"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COMMAND = Path(os.environ.get("CALLBOARD_COMMAND", TARGET / "debug" / "callboard")).absolute()
RUST_WORKER = COMMAND.parent / "examples" / "calculator-worker"
STREAMS_WORKER = COMMAND.parent / "examples" / "streams-worker"
PYTHON_WORKER = [sys.executable, str(CONFORMANCE / "examples" / "calculator_worker.py")]
FAULTY_WORKER = [sys.executable, str(CONFORMANCE / "examples" / "faulty_worker.py")]
DEADLINE = 60.0  # generous: a test that passes waits for events, not for this


class Process:
    """A process whose lines of output can be waited for. It inherits the given descriptors."""

    def __init__(self, arguments: list[str], *descriptors: int, **variables: str) -> None:
        own = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
        environment = own | {"PYTHONPATH": str(CONFORMANCE), "PYTHONUNBUFFERED": "1"} | variables
        self._process = subprocess.Popen(
            arguments,
            env=environment,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line.decode(errors="replace").rstrip())
        self._lines.put(None)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Returns the first match in a line that was not waited for before."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line with {pattern!r} in:\n" + "\n".join(self.output))
            self.output.append(line)
            if found := re.search(pattern, line):
                return found

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process alone."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Returns the exit status."""
        return self._process.wait(DEADLINE)

    def kill(self) -> None:
        """Kills and reaps the process, unless it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)


class Broker(Process):
    """A broker at free ports, or at sockets in a folder."""

    def __init__(self, folder: Path | None = None, **variables: str) -> None:
        frontend, backend = ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
        if folder is not None:
            frontend, backend = (f"ipc://{folder}/{name}" for name in ("frontend", "backend"))
        arguments = [str(COMMAND), "broker", "--frontend", frontend, "--backend", backend]
        super().__init__(arguments, **variables)
        ready = self.wait_for(r"ready frontend=(\S+) backend=(\S+)")
        self.frontend, self.backend = ready.group(1), ready.group(2)


def call(broker: Broker, *arguments: str, **variables: str) -> tuple[int, str]:
    """Runs `callboard call` and returns its exit status and its output."""
    process = Process([str(COMMAND), "call", *arguments], CALLBOARD_FRONTEND=broker.frontend, **variables)
    try:
        status = process.wait()
        process.kill()
        return status, "\n".join(iter(process._lines.get, None))
    finally:
        process.kill()


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds. It is for events that no process reports."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.01)
