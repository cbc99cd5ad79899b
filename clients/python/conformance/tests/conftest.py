"""Fixtures: a broker for a test, and the processes that a test starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import zmq
from harness import COMMAND, PYTHON_WORKER, RUST_WORKER, STREAMS_WORKER, Broker, Process

Start = Callable[..., Process]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Checks once that the programs exist, because each test would otherwise fail with a message of its own."""
    for program in (COMMAND, RUST_WORKER, STREAMS_WORKER):
        assert program.exists(), f"{program} is missing: run cargo build --bin callboard --examples"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that end with the test."""
    processes: list[Process] = []

    def begin(arguments: list[str], **variables: str) -> Process:
        processes.append(Process(arguments, **variables))
        return processes[-1]

    yield begin
    for process in reversed(processes):
        process.kill()


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker at free ports."""
    process = Broker()
    yield process
    process.kill()


@pytest.fixture
def rust_worker(broker: Broker, start: Start) -> Process:
    """The calculator of the Rust examples."""
    return start([str(RUST_WORKER)], CALLBOARD_BACKEND=broker.backend)


@pytest.fixture
def python_worker(broker: Broker, start: Start) -> Process:
    """The calculator of this package, registered."""
    worker = start(PYTHON_WORKER, CALLBOARD_BACKEND=broker.backend)
    worker.wait_for("^ready$")
    return worker


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A context that leaves nothing behind."""
    context = zmq.Context()
    yield context
    context.destroy(linger=0)
