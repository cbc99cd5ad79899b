"""The client against a real broker and a worker in Rust."""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import callboard
import pytest

from .processes import Broker, Process, example_path, until


def test_a_call_returns_the_result(client: callboard.Client, calculator: Process) -> None:
    assert client.call("calculator.add", 2, 3) == 5
    assert client.call("calculator.sub", y=3, x=2) == -1
    assert client.call("calculator.sub", 2, y=3) == -1


def test_a_proxy_calls_methods_by_name(client: callboard.Client, calculator: Process) -> None:
    service = client.service("calculator", timeout=20)
    assert service.add(2, y=3) == 5
    assert service.add.submit(2, 3).result() == 5
    assert "add" in dir(service)
    assert repr(service.add) == "<callboard.Method calculator.add>"


def test_errors_have_a_class_for_each_code(client: callboard.Client, calculator: Process) -> None:
    with pytest.raises(callboard.InvalidArgument) as caught:
        client.call("calculator.sub", [1, 2], 4)
    error = caught.value
    assert (error.code, error.executed, error.type_name) == ("INVALID_ARGUMENT", "no", "ArgumentError")
    assert error.details["argument"] == "x"
    with pytest.raises(callboard.Unimplemented):
        client.call("calculator.pow", 1, 2)
    with pytest.raises(callboard.Unavailable, match="nobody"):
        client.call("nobody.home")
    with pytest.raises(callboard.Error) as divided:
        client.call("calculator.div", 1, 0)
    assert divided.value.executed == "yes" and "calculator" in (divided.value.worker or "")


def test_a_registered_exception_is_raised_as_itself(client: callboard.Client, calculator: Process) -> None:
    with pytest.raises(callboard.Error) as divided:
        client.call("calculator.div", 1, 0)
    name = divided.value.type_name
    assert name and not isinstance(divided.value, ZeroDivisionError)


def test_what_cannot_be_sent_is_a_type_error_that_names_the_path(client: callboard.Client) -> None:
    with pytest.raises(TypeError, match=r'args\[1\]\["when"\]'):
        client.call("calculator.add", 1, {"when": object()})


def test_a_wrong_option_is_an_error(client: callboard.Client) -> None:
    with pytest.raises(ValueError, match="priority"):
        client.call("calculator.add", 1, 2, priority="urgent")
    with pytest.raises(ValueError, match="timeout"):
        client.call("calculator.add", 1, 2, timeout=-1)
    with pytest.raises(TypeError, match="unknown option"):
        client.service("calculator", retries=3).add(1, 2)


def test_a_call_without_a_broker_ends_with_its_timeout() -> None:
    with callboard.Client("tcp://127.0.0.1:9", timeout=0.2) as client, pytest.raises(callboard.Error) as caught:
        client.call("calculator.add", 2, 3)
    assert "tcp://127.0.0.1:9" in str(caught.value)
    with pytest.raises(ValueError, match="bogus"):
        callboard.Client("bogus")


def test_futures_work_with_the_standard_library(client: callboard.Client, calculator: Process) -> None:
    futures = [client.submit("calculator.add", number, 1) for number in range(100)]
    assert [future.result() for future in futures] == list(range(1, 101))
    futures = [client.submit("calculator.add", number, 1) for number in range(100)]
    done, left = concurrent.futures.wait(futures, timeout=60)
    assert not left and sum(future.result() for future in done) == 5050
    futures = [client.submit("calculator.add", number, 1) for number in range(10)]
    assert sorted(future.result() for future in concurrent.futures.as_completed(futures)) == list(range(1, 11))
    failed = client.submit("calculator.add", "x", 1)
    assert isinstance(failed.exception(), callboard.InvalidArgument)


def test_a_callback_runs_once_for_each_outcome(client: callboard.Client, calculator: Process) -> None:
    outcomes: list[Any] = []
    ended = threading.Semaphore(0)

    def done(future: callboard.Future[Any]) -> None:
        outcomes.append(future.exception() or future.result())
        ended.release()

    client.submit("calculator.add", 2, 3, callback=done)
    client.submit("calculator.add", "x", 3, callback=done)
    client.submit("nobody.home", callback=done, timeout=0.1, wait_for_ready=True)
    for _ in range(3):
        assert ended.acquire(timeout=60)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlineExceeded", "InvalidArgument", "int"]


def test_a_client_whose_callbacks_have_run_is_idle(client: callboard.Client, calculator: Process) -> None:
    assert client.submit("calculator.add", 2, 3, callback=lambda future: None).result() == 5
    before = time.process_time()
    time.sleep(1)
    # Load makes this smaller, not larger.
    assert time.process_time() - before < 0.5


def test_an_exception_of_a_callback_changes_nothing_else(client: callboard.Client, calculator: Process) -> None:
    def fail(future: callboard.Future[Any]) -> None:
        raise ZeroDivisionError

    ended = threading.Event()
    client.submit("calculator.add", 2, 3, callback=fail).result()
    assert client.submit("calculator.add", 2, 3, callback=lambda future: ended.set()).result() == 5
    assert ended.wait(60)
    statistics = client.statistics()
    assert (statistics["callbacks_failed"], statistics["answered"]) == (1, 2)


def test_a_cast_to_all_runs_at_each_worker(client: callboard.Client, broker: Broker) -> None:
    def values() -> list[Any]:
        return [answer.result for answer in client.broadcast("kvs.get", "color")]

    with contextlib.ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(broker.worker(example_path("kvs-worker"), service="kvs"))
        until("two workers", lambda: values() == [None, None] or None)
        client.cast_to_all("kvs.put", "color", "red")
        until("both have the value", lambda: values() == ["red", "red"] or None)


def test_several_threads_wait_for_one_future(client: callboard.Client, broker: Broker) -> None:
    with broker.worker(example_path("pool-worker"), service="jobs"):
        future = client.submit("jobs.pause", 300)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: future.result(60), range(8)))
        assert len(results) == 8


def test_a_cancelled_future_cancels_its_call(client: callboard.Client, broker: Broker) -> None:
    with broker.worker(example_path("pool-worker"), service="jobs"):
        future = client.submit("jobs.pause", 600_000)
        assert future.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()
        quick = client.submit("jobs.pause", 600_000)
        with pytest.raises(TimeoutError):
            quick.result(timeout=0.05)
        quick.cancel()
        counted = '"cancelled":2'
        until("both calls are cancelled", lambda: counted in broker.run("status", "--json").stdout or None)


def test_a_cast_reaches_the_broker_before_the_close(broker: Broker, calculator: Process) -> None:
    with callboard.Client(broker.frontend) as client:
        for _ in range(100):
            client.cast("calculator.add", 2, 3)
    answered = '"answered":100'
    until("all casts have run", lambda: answered in broker.run("status", "--json").stdout or None)
    with pytest.raises(callboard.FailedPrecondition):
        client.call("calculator.add", 2, 3)


def test_a_broadcast_returns_the_answer_of_each_worker(client: callboard.Client, broker: Broker) -> None:
    path = example_path("calculator-worker")
    with broker.worker(path, service="calculator"), broker.worker(path, service="calculator"):
        two = until(
            "two answers", lambda: answers if len(answers := client.broadcast("calculator.add", 2, 3)) == 2 else None
        )
        assert [(answer.result, answer.error) for answer in two] == [(5, None), (5, None)]
        failed = client.broadcast("calculator.add", "x", 3)
        assert all(isinstance(answer.error, callboard.InvalidArgument) for answer in failed)


@pytest.fixture
def numbers(broker: Broker) -> Iterator[Process]:
    with broker.worker(example_path("streams-worker"), service="numbers") as worker:
        yield worker


def test_streams_go_in_both_directions(client: callboard.Client, numbers: Process) -> None:
    assert list(client.stream("numbers.count", 1000)) == list(range(1, 1001))
    assert client.upload(range(1000), "numbers.sum") == sum(range(1000))
    with client.duplex("numbers.sums", 0) as sums:
        assert sums.send(1) and next(sums) == 1
        sums.send_all([2, 3])
        assert list(sums) == [3, 6]
    with client.stream("numbers.count", 10**9) as items:
        assert next(items) == 1
    with pytest.raises(StopIteration):
        next(items)


def test_ctrl_c_interrupts_a_wait(broker: Broker, calculator: Process) -> None:
    # A shell that runs the tests in the background may ignore Ctrl-C.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _interrupt_a_wait(broker)
    finally:
        signal.signal(signal.SIGINT, previous)


def _interrupt_a_wait(broker: Broker) -> None:
    with callboard.Client(broker.frontend) as client:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            client.call("nobody.home", wait_for_ready=True, timeout=60)
        assert client.call("calculator.add", 2, 3) == 5


def _add(address: str, results: Any) -> None:
    with callboard.Client(address) as client:
        results.put(client.call("calculator.add", 2, 3))


def test_a_forked_child_has_a_session_of_its_own(client: callboard.Client, calculator: Process) -> None:
    assert client.call("calculator.add", 2, 3) == 5
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(client.call("calculator.add", 2, 30, timeout=30))
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 32
    assert client.call("calculator.add", 2, 3) == 5


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_processes_of_multiprocessing_call(broker: Broker, calculator: Process, method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_add, args=(broker.frontend, results))
    process.start()
    assert results.get(timeout=60) == 5
    process.join(60)
    assert process.exitcode == 0


def test_a_client_survives_a_restart_of_the_broker(
    calculator: Process, broker: Broker, client: callboard.Client
) -> None:
    assert client.call("calculator.add", 2, 3) == 5
    broker.kill()
    with Broker(frontend=broker.frontend, backend=broker.backend):
        assert client.call("calculator.add", 2, 3, wait_for_ready=True, timeout=60) == 5


def test_waits_do_not_hold_the_interpreter(client: callboard.Client, broker: Broker) -> None:
    with broker.worker(example_path("pool-worker"), service="jobs"):
        future = client.submit("jobs.pause", 500)
        waiting = threading.Thread(target=future.result)
        waiting.start()
        turns = 0
        while waiting.is_alive():
            turns += 1
            time.sleep(0.001)
        assert turns > 1
