"""Processes for tests: a broker, workers and commands, on free ports, killed at the end of their test."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")
P = TypeVar("P", bound="Process")
REPOSITORY = Path(__file__).resolve().parents[3]
DEADLINE = 60.0
"""How long a test waits for an event: far longer than a loaded machine needs."""


def command_path() -> str:
    """The path of the command `callboard`."""
    given = os.environ.get("CALLBOARD_COMMAND")
    path = Path(given) if given else REPOSITORY / "target" / "debug" / "callboard"
    assert path.exists(), f"{path} is missing: run cargo build, or set CALLBOARD_COMMAND"
    return str(path)


def example_path(name: str) -> str:
    """The path of a Rust example."""
    path = Path(command_path()).parent / "examples" / name
    assert path.exists(), f"{path} is missing: run cargo build --examples"
    return str(path)


def until(what: str, look: Callable[[], T | None]) -> T:
    """Looks until there is a result."""
    end = time.monotonic() + DEADLINE
    while (seen := look()) is None:
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.01)
    return seen


def _handle_interrupts() -> None:
    """A shell that runs the tests in the background may ignore Ctrl-C, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Process:
    """A process whose output lines can be waited for."""

    def __init__(
        self, *words: str, env: dict[str, str] | None = None, stdin: bool = False, cwd: Path | None = None
    ) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
        self.words = words
        self.popen = subprocess.Popen(
            words,
            env={**clean, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            preexec_fn=_handle_interrupts,
        )
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        assert self.popen.stdout is not None and self.popen.stderr is not None
        for stream in (self.popen.stdout, self.popen.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.output.append(line)
            self._lines.put(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_for(self, text: str) -> str:
        """Waits for a line with this text."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"{self.words} did not print {text!r}:\n{''.join(self.output)}") from None
            if line is not None and text in line:
                return line

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def exit_code(self) -> int:
        """Waits for the end of the process."""
        try:
            return self.popen.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.words} did not end:\n{''.join(self.output)}") from None

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()

    def __enter__(self: P) -> P:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Broker(Process):
    """A broker on free ports."""

    def __init__(self, *flags: str, frontend: str = "tcp://127.0.0.1:0", backend: str = "tcp://127.0.0.1:0") -> None:
        super().__init__(command_path(), "broker", "--frontend", frontend, "--backend", backend, *flags)
        words = dict(word.split("=", 1) for word in self.wait_for("ready ").split()[1:])
        self.frontend, self.backend = words["frontend"], words["backend"]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `callboard WORDS...` as a client of this broker."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
        return subprocess.run(
            [command_path(), *words],
            env={**clean, "CALLBOARD_FRONTEND": self.frontend},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=check,
            stdin=subprocess.DEVNULL,
        )

    def wait_for_service(self, name: str) -> None:
        """Waits until a worker serves the service."""
        served = f'"name":"{name}"'
        until(f"a worker serves {name}", lambda: True if served in self.run("services", "--json").stdout else None)

    def worker(self, *words: str, service: str) -> Process:
        """Starts a worker of this broker, and waits until it serves."""
        worker = Process(*words, env={"CALLBOARD_BACKEND": self.backend})
        self.wait_for_service(service)
        return worker


def python(*words: str) -> tuple[str, ...]:
    """The words that run this Python."""
    return (sys.executable, *words)
