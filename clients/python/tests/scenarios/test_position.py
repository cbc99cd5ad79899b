"""Scenario 5: a worker with a background loop, and clients that continue after errors."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from pathlib import Path

import callboard
import pytest

from ..processes import Broker, Process, until
from .conftest import Side


def start_worker(side: Side) -> Process:
    words = ("--address", side.broker.backend, "--every-ms", "2", "--degrees", "5", "--log", "error")
    return side.start("position", "worker", *words)


@pytest.fixture
def worker(worker_side: Side) -> Iterator[Process]:
    with start_worker(worker_side) as worker:
        worker_side.broker.wait_for_service("position")
        yield worker


def start_client(side: Side, *words: str) -> Process:
    return side.start("position", "client", *words, env={"POSITION_ADDRESS": side.broker.frontend})


@pytest.mark.usefixtures("worker")
def test_the_point_moves_by_itself_and_continues_from_a_published_place(client: callboard.Client) -> None:
    position = client.service("position")
    first = position.position("me")
    assert (first["status"], first["message"]) == ("ok", "for me")
    assert math.hypot(first["x"], first["y"]) == pytest.approx(1)
    until("the point has moved", lambda: position.position("me")["x"] != first["x"] or None)
    published = position.publish({"x": 0.0, "y": 3.0, "z": 0.0})
    assert published["status"] == "ok" and "90.0 degrees" in published["message"]
    assert position.publish({"x": 0.0, "y": 0.0, "z": 1.0})["status"] == "refused"


def test_a_polling_client_continues_after_errors_and_reports_them(
    worker_side: Side, client_side: Side, tmp_path: Path
) -> None:
    config = tmp_path / "position.json"
    config.write_text(json.dumps({"every_ms": 20, "log": "off"}))
    with start_client(client_side, "--config", str(config)) as client:
        client.wait_for("no position: ")
        for _ in range(2):
            with start_worker(worker_side):
                client.wait_for("for the example; missed 0")
            client.wait_for("no position: ")
        assert client.popen.poll() is None


@pytest.mark.usefixtures("worker")
def test_a_slow_watcher_gets_the_newest_position_and_how_many_it_missed(client_side: Side) -> None:
    with start_client(client_side, "--watch", "--every-ms", "50") as client:
        missed: list[int] = []
        while not missed or missed[-1] <= 20:
            missed.append(int(client.wait_for("; missed ").split()[-1]))
        assert missed == sorted(missed)


@pytest.mark.parametrize("worker_side", ["python"], ids=["python worker"], indirect=True)
def test_the_worker_stops_in_order_while_it_is_watched(client_side: Side, worker: Process) -> None:
    with start_client(client_side, "--watch", "--every-ms", "5", "--log", "error") as client:
        client.wait_for("; missed ")
        # A stream without an end is cut when the time for running calls has passed.
        worker.signal(signal.SIGTERM)
        client.wait_for("no position: ")
        assert worker.exit_code() == 0
        assert [line for line in worker.output if "ready, serving" not in line] == []


def test_the_error_of_an_invalid_setting_names_it(broker: Broker) -> None:
    side = Side(broker, "python")
    with side.start("position", "worker", env={"POSITION_EVERY_MS": "soon"}) as worker:
        worker.wait_for("argument --every-ms: invalid float value: 'soon'")
        assert worker.exit_code() == 2
