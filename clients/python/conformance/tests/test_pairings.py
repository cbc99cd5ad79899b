"""Both pairings with the real broker: this client with a Rust worker, and this worker with `callboard call`."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from harness import Broker, Process, call, eventually

from callboard_pure import CallError, Client, Code, Executed, cbor
from callboard_pure.contract import contract_hash

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def client(broker: Broker, rust_worker: Process) -> Iterator[Client]:
    """A client of a broker with a Rust worker."""
    with Client(broker.frontend) as client:
        assert client.call("calculator.add", [0, 0], wait_for_ready=True) == 0
        yield client


def test_a_rust_worker_returns_results_for_positions_and_names(client: Client) -> None:
    assert client.call("calculator.add", [2, 3]) == 5
    assert client.call("calculator.add", {"x": 2.5, "y": 3}) == 5.5
    assert client.call("calculator.sub", {0: 2, "y": 3}) == -1


def test_an_own_error_of_a_rust_worker_has_its_type_and_details(client: Client) -> None:
    with pytest.raises(CallError) as failed:
        client.call("calculator.div", [1, 0])
    error = failed.value
    assert (error.code, error.executed, error.attempt) == (Code.UNKNOWN, Executed.YES, 1)
    assert (error.type_name, error.message) == ("DivisionByZero", "cannot divide 1 by zero")
    assert error.decoded_details() == {"dividend": 1}


def test_arguments_that_do_not_fit_did_not_run(client: Client) -> None:
    with pytest.raises(CallError) as failed:
        client.call("calculator.sub", [[1, 2], 4])
    assert (failed.value.code, failed.value.executed) == (Code.INVALID_ARGUMENT, Executed.NO)
    assert failed.value.decoded_details()["argument"] == "x"


def test_an_unknown_method_is_unimplemented(client: Client) -> None:
    with pytest.raises(CallError, match="did you mean add") as failed:
        client.call("calculator.ad", [1, 2])
    assert failed.value.code is Code.UNIMPLEMENTED


def test_the_hash_of_a_rust_worker_is_that_of_its_description(client: Client) -> None:
    (stated,) = client.call("callboard.describe", ["calculator"])["contracts"]
    assert contract_hash(cbor.decode(stated["description"])) == stated["hash"]


def test_more_calls_than_credit_all_end(client: Client) -> None:
    futures = [client.submit("calculator.add", [number, 1]) for number in range(10_000)]
    assert [future.result() for future in futures] == list(range(1, 10_001))


def test_casts_that_wait_are_sent_before_goodbye(broker: Broker, client: Client) -> None:
    for _ in range(100):
        client.submit("calculator.add", [1, 2], cast=True)
    client.close()
    with Client(broker.frontend) as second:  # the fixture has made one call; a status may be 50 ms old
        eventually(lambda: second.call("callboard.status")["workers"][0]["answered"] == 101)


def test_a_broadcast_returns_the_result_of_each_worker(client: Client) -> None:
    (answer,) = client.call("calculator.add", [2, 3], broadcast=True)
    assert answer["result"] == b"\x05"


def test_a_closed_client_fails_its_calls(client: Client) -> None:
    client.close()
    with pytest.raises(CallError) as failed:
        client.call("calculator.add", [1, 2])
    assert (failed.value.code, failed.value.executed) == (Code.CANCELLED, Executed.NO)


@pytest.mark.usefixtures("python_worker")
@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [
        (["calculator.add", "2", "3"], 0, "5"),
        (["calculator.add", "x=2.5", "y=3"], 0, "5.5"),
        (["calculator.div", "1", "0"], 1, "UNKNOWN DivisionByZero: cannot divide 1 by zero (executed: yes, attempt 1"),
        (["calculator.add", "[1,2]", "4"], 1, "INVALID_ARGUMENT ArgumentError: argument x: expected float, got list"),
        (["calculator.add", "1"], 1, "argument y: expected a value, got nothing (executed: no"),
        (["calculator.add", "1", "2", "3"], 1, "expected at most 2 arguments"),
        (["calculator.sub", "1", "2"], 1, "UNIMPLEMENTED"),
        (["calculator.crash"], 1, "INTERNAL Panic: ValueError: no (executed: yes"),
    ],
)
def test_the_command_calls_a_python_worker(broker: Broker, arguments: list[str], status: int, output: str) -> None:
    result = call(broker, *arguments)
    assert result[0] == status
    assert output in result[1]


def test_a_worker_drains_on_sigterm_and_finishes_its_call(broker: Broker, python_worker: Process) -> None:
    with Client(broker.frontend) as client:
        future = client.submit("calculator.wait_for_drain")
        python_worker.wait_for("^waiting$")
        python_worker.signal(signal.SIGTERM)
        assert future.result() == python_worker.pid
    assert python_worker.wait() == 0
