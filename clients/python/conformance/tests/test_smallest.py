"""The smallest client and the smallest worker, with the real broker and with each other."""

from __future__ import annotations

import signal
import sys

import pytest
from conftest import Start
from harness import CONFORMANCE, Broker, Process, call

SMALLEST = CONFORMANCE / "examples"


@pytest.fixture
def worker(broker: Broker, start: Start) -> Process:
    """The smallest worker, registered."""
    process = start([sys.executable, str(SMALLEST / "smallest_worker.py"), broker.backend])
    process.wait_for("^ready$")
    return process


@pytest.mark.usefixtures("worker")
def test_the_smallest_peers_make_a_call(broker: Broker, start: Start) -> None:
    client = start([sys.executable, str(SMALLEST / "smallest_client.py"), broker.frontend, "greeter.greet", '"Ann"'])
    client.wait_for("^Hello, Ann!$")
    assert client.wait() == 0


@pytest.mark.usefixtures("worker")
def test_the_smallest_client_prints_a_failure(broker: Broker, start: Start) -> None:
    client = start([sys.executable, str(SMALLEST / "smallest_client.py"), broker.frontend, "greeter.greet", "5"])
    client.wait_for("7: 3.*ArgumentError")
    assert client.wait() == 1


def test_the_command_calls_the_smallest_worker_and_it_drains(broker: Broker, worker: Process) -> None:
    assert call(broker, "greeter.greet", "name=Ann") == (0, '"Hello, Ann!"')
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
