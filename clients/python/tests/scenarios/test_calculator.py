"""Scenario 2: the calculator."""

from __future__ import annotations

from collections.abc import Iterator

import callboard
import pytest

from ..processes import Broker, Process
from .conftest import Side


@pytest.fixture(autouse=True)
def worker(broker: Broker, worker_side: Side) -> Iterator[Process]:
    with worker_side.start("calculator", "worker") as worker:
        broker.wait_for_service("calculator")
        yield worker


def test_the_client_of_the_example(client_side: Side) -> None:
    with client_side.start("calculator", "client", client_side.broker.frontend) as client:
        assert client.exit_code() == 0
        lines = [client.wait_for(": " if at > 2 else " = ") for at in range(5)]
    assert lines[:3] == ["2 + 3 = 5", "2.5 + 3 = 5.5", "2 - 3 = -1"]
    assert lines[3].startswith("[1, 2] - 4: ArgumentError: argument x: expected a")
    assert lines[3].endswith("number, got an array")
    details = "{'dividend': 1}" if client_side.language == "python" else '{"dividend": 1}'
    assert lines[4] == f"1 / 0: DivisionByZero: cannot divide 1 by zero {details}"


def test_functions_take_arguments_by_position_and_by_name(client: callboard.Client) -> None:
    calculator = client.service("calculator")
    results = [calculator.add(2, 3), calculator.sub(2, 3), calculator.sub(y=3, x=2), calculator.add(2.5, 3)]
    assert results == [5, -1, -1, 5.5]
    assert [type(result) for result in results] == [int, int, int, float]


def test_each_wrong_call_has_an_error_of_its_own_and_the_worker_continues(
    client: callboard.Client, worker: Process
) -> None:
    calculator = client.service("calculator")
    with pytest.raises(callboard.Unimplemented, match="mul"):
        calculator.mul(2, 3)
    with pytest.raises(callboard.InvalidArgument) as missing:
        calculator.add(2)
    assert missing.value.details["argument"] == "y" and missing.value.details["got"] == "nothing"
    with pytest.raises(callboard.InvalidArgument) as wrong:
        calculator.sub([1, 2], 4)
    error = wrong.value
    assert (error.code, error.type_name, error.executed) == ("INVALID_ARGUMENT", "ArgumentError", "no")
    assert error.details["argument"] == "x" and error.details["got"] == "an array"
    with pytest.raises(callboard.Unknown, match="cannot divide 1 by zero") as own:
        calculator.div(1, 0)
    assert (own.value.type_name, own.value.details) == ("DivisionByZero", {"dividend": 1})
    assert calculator.add(2, 3) == 5
    assert worker.popen.poll() is None
