"""Python workers under `callboard pool` (PROTOCOL.md section 17)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from harness import COMMAND, PYTHON_WORKER, Broker, Process, eventually

from callboard_pure import Client


@pytest.fixture
def pool(broker: Broker, start: Start) -> Process:
    """A pool of two calculators, both registered."""
    process = start([str(COMMAND), "pool", "-n", "2", "--backend", broker.backend, "--", *PYTHON_WORKER])
    process.wait_for("ready 2 workers")
    return process


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    """A client of the broker."""
    with Client(broker.frontend) as client:
        yield client


def workers(client: Client) -> list[int]:
    """Returns the process ids of the calculators at the broker."""
    found = client.call("callboard.status")["workers"]
    return [worker["pid"] for worker in found if "calculator" in worker["services"]]


def is_running(pid: int) -> bool:
    """Returns whether the process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("pool")
def test_a_pool_recognises_its_python_workers(client: Client) -> None:
    found = [worker for worker in client.call("callboard.status")["workers"] if "calculator" in worker["services"]]
    assert len(found) == 2
    assert {worker["pool"] for worker in found} == {"calculator_worker"}
    assert {worker["name"].rpartition("-")[2] for worker in found} == {"1", "2"}


def test_a_pool_drains_on_sigterm_and_every_call_ends(client: Client, pool: Process) -> None:
    pids = workers(client)
    futures = [client.submit("calculator.wait_for_drain") for _ in range(2)]
    for _ in futures:
        pool.wait_for("waiting$")
    pool.signal(signal.SIGTERM)
    assert sorted(future.result() for future in futures) == sorted(pids)
    assert pool.wait() == 0
    assert not any(is_running(pid) for pid in pids)


def test_workers_end_with_a_pool_that_is_killed(client: Client, pool: Process) -> None:
    pids = workers(client)
    pool.kill()
    eventually(lambda: not any(is_running(pid) for pid in pids))


def test_a_pool_replaces_a_worker_that_is_killed(client: Client, pool: Process) -> None:
    before = workers(client)
    os.kill(before[0], signal.SIGKILL)
    eventually(lambda: len(workers(client)) == 2 and workers(client) != before)
    assert client.call("calculator.add", [2, 3]) == 5
    assert pool.pid


@pytest.mark.parametrize("other_inode", [0, 1])
def test_a_worker_ends_when_its_lifeline_does(broker: Broker, other_inode: int) -> None:
    reader, writer = os.pipe()
    inode = os.fstat(reader).st_ino + other_inode
    variables = {"CALLBOARD_LIFELINE": f"{reader}:{inode}", "CALLBOARD_BACKEND": broker.backend}
    worker = Process(PYTHON_WORKER, reader, **variables)
    try:
        worker.wait_for("^ready$")
        os.close(writer)
        if other_inode:  # then the descriptor is not the lifeline, and only SIGTERM ends the worker
            with Client(broker.frontend) as client:
                assert client.call("calculator.add", [2, 3]) == 5
            worker.signal(signal.SIGTERM)
        assert worker.wait() == (0 if other_inode else 129)
    finally:
        os.close(reader)
        worker.kill()
