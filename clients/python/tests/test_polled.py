"""The polled client against a real broker and a worker in Rust."""

from __future__ import annotations

import select
import threading
from typing import Any

import callboard

from .processes import Broker, Process, example_path


def test_callbacks_run_in_process_and_only_there(broker: Broker, calculator: Process) -> None:
    outcomes: list[Any] = []
    threads = set()

    def keep(result: Any, error: BaseException | None) -> None:
        outcomes.append(error or result)
        threads.add(threading.current_thread())

    with callboard.PolledClient(broker.frontend) as client:
        client.submit("calculator.add", 2, 3, callback=keep)
        client.submit("calculator.add", "x", 3, callback=keep)
        while client.pending:
            assert select.select([client], [], [], 60)[0]
            client.process()
        assert client.process() == 0
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InvalidArgument", "int"]
    assert threads == {threading.current_thread()}


def test_closing_runs_each_pending_callback_once(broker: Broker) -> None:
    outcomes: list[Any] = []
    client = callboard.PolledClient(broker.frontend)
    for _ in range(3):
        client.submit("nobody.home", wait_for_ready=True, callback=lambda result, error: outcomes.append(error))
    cancel = client.submit("nobody.home", wait_for_ready=True, callback=lambda result, error: outcomes.append(error))
    assert cancel() and not cancel()
    client.close()
    assert [type(error) for error in outcomes] == [callboard.Cancelled] * 3


def test_items_are_delivered_one_by_one(broker: Broker) -> None:
    items: list[Any] = []
    with (
        broker.worker(example_path("streams-worker"), service="numbers"),
        callboard.PolledClient(broker.frontend) as client,
    ):
        client.for_each("numbers.count", 1_000, callback=lambda item, error: items.append(error or item))
        while client.pending:
            client.process(1)
    assert items == [*range(1, 1_001), callboard.END]


def test_an_exception_of_a_callback_changes_nothing_else(broker: Broker, calculator: Process) -> None:
    outcomes: list[Any] = []
    with callboard.PolledClient(broker.frontend) as client:
        client.submit("calculator.add", 2, 3, callback=lambda result, error: 1 // 0)
        client.submit("calculator.add", 2, 3, callback=lambda result, error: outcomes.append(result))
        while client.pending:
            client.process(1)
        assert client.statistics()["callbacks_failed"] == 1
    assert outcomes == [5]
