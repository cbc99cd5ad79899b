"""Workers in Python against a real broker, called by the Python client and the command."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import callboard
import pytest
from callboard._worker import _is_local

from .processes import Broker, Process, command_path, python, until

Serve = Callable[..., AbstractContextManager[Process]]

HEADER = """
import asyncio, os, signal, sys, threading, time
from collections.abc import AsyncIterator, Iterator
from typing import Any, Optional
import callboard
"""


def write_worker(folder: Path, source: str, name: str = "worker") -> Path:
    """Writes a program that serves `app`."""
    path = folder / f"{name}.py"
    path.write_text(HEADER + textwrap.dedent(source) + '\nif __name__ == "__main__":\n    app.run()\n')
    return path


@pytest.fixture
def serve(broker: Broker, tmp_path: Path) -> Iterator[Serve]:
    """Starts a program as a worker, and waits until it serves."""

    def start(source: str, service: str = "s") -> Process:
        worker = Process(
            *python(str(write_worker(tmp_path, source))),
            env={"CALLBOARD_BACKEND": broker.backend, "FRONTEND": broker.frontend},
        )
        broker.wait_for_service(service)
        return worker

    yield start


CALCULATOR = '''
app = callboard.Worker("s")

@app.read
def add(x: int, y: int = 1) -> int:
    """Returns the sum."""
    return x + y

@app.idempotent(name="shout", service="texts.loud", soft_limit=2, hard_limit=20, concurrency=3)
def to_upper(text: str, *, mark: str = "!") -> str:
    return text.upper() + mark
'''


def test_a_function_serves_calls_by_position_and_by_name(client: callboard.Client, serve: Serve) -> None:
    with serve(CALCULATOR):
        assert client.call("s.add", 2, 3) == 5
        assert client.call("s.add", 2) == 3
        assert client.call("s.add", y=7, x=2) == 9
        assert client.call("s.add", 2, y=None) == 3
        assert client.call("s.add", 2**70, 2**70) == 2**71
        assert client.call("texts.loud.shout", "hey") == "HEY!"
        assert client.call("texts.loud.shout", "hey", mark="?") == "HEY?"
        assert client.call("texts.loud.shout", "hey", "?") == "HEY?"


def test_the_contract_has_types_and_comments(broker: Broker, serve: Serve) -> None:
    with serve(CALCULATOR):
        described = broker.run("describe", "s").stdout
        assert "add(x: i64, y: i64 or null) -> i64" in described and "Returns the sum." in described
        assert "[read]" in described
        assert (
            "shout(text: text, mark: text or null) -> text  [idempotent]" in broker.run("describe", "texts.loud").stdout
        )
        assert broker.run("call", "s.add", "x=2", "y=3").stdout == "5\n"


@pytest.mark.parametrize(
    ("args", "kwargs", "argument", "expected", "got"),
    [
        ((), {}, "x", "a value", "nothing"),
        ((1, 2, 3), {}, "", "x, y", "3"),
        ((1,), {"z": 2}, "z", "x, y", "z"),
        ((1,), {"x": 2}, "x", "one value", "two"),
        (("1",), {}, "x", "an integer", "text"),
        ((True,), {}, "x", "an integer", "a boolean"),
        ((1.0,), {}, "x", "an integer", "a float"),
        ((None,), {}, "x", "an integer", "null"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_the_function_runs(
    client: callboard.Client,
    calculator_in_python: Process,
    args: tuple[object, ...],
    kwargs: dict[str, object],
    argument: str,
    expected: str,
    got: str,
) -> None:
    with pytest.raises(callboard.InvalidArgument) as caught:
        client.call("s.add", *args, **kwargs)
    error = caught.value
    assert (error.executed, error.type_name) == ("no", "ArgumentError")
    assert error.details == {"argument": argument, "expected": expected, "got": got}


@pytest.fixture
def calculator_in_python(serve: Serve) -> Iterator[Process]:
    with serve(CALCULATOR) as worker:
        yield worker


FAILURES = """
app = callboard.Worker("s")

class OutOfStock(Exception): ...

class Shortage(callboard.ResourceExhausted): ...

@app.once
def own(item: str, left: int) -> None:
    raise OutOfStock(item, left)

@app.once
def code(name: str) -> None:
    raise getattr(callboard, name)("not today", details={"retry": False})

@app.once
def subclass() -> None:
    raise Shortage("no more")

@app.once
def unsendable() -> Any:
    return {"when": object()}

@app.once
def leave(code: int) -> None:
    sys.exit(code)

@app.once
def interrupt() -> None:
    raise KeyboardInterrupt
"""


def test_an_exception_reaches_the_caller_with_its_name_arguments_and_traceback(
    client: callboard.Client, serve: Serve
) -> None:
    with serve(FAILURES):
        with pytest.raises(callboard.Unknown) as caught:
            client.call("s.own", "tea", 3)
        error = caught.value
        assert (error.type_name, error.message, error.executed) == ("OutOfStock", "('tea', 3)", "yes")
        assert error.details["args"] == ["tea", 3]
        assert "raise OutOfStock(item, left)" in (error.traceback or "")
        with pytest.raises(callboard.NotFound) as coded:
            client.call("s.code", "NotFound")
        assert (coded.value.message, coded.value.details, coded.value.type_name) == ("not today", {"retry": False}, "")
        with pytest.raises(callboard.ResourceExhausted) as shortage:
            client.call("s.subclass")
        assert shortage.value.type_name == "Shortage"
        with pytest.raises(callboard.Internal, match=r'result\["when"\]'):
            client.call("s.unsendable")
        with pytest.raises(callboard.Internal, match="KeyboardInterrupt"):
            client.call("s.interrupt")


def test_an_exception_is_logged_with_the_id_that_the_caller_gets(client: callboard.Client, serve: Serve) -> None:
    with serve(FAILURES) as worker:
        with pytest.raises(callboard.NotFound):
            client.call("s.code", "NotFound")
        with pytest.raises(callboard.Unknown) as caught:
            client.call("s.own", "tea", 3)
        call = caught.value.call_id
        assert call is not None and str(caught.value).endswith(f"(executed: yes, call {call})")
        worker.wait_for(f"call {call} of s.own raised OutOfStock")
        worker.wait_for("raise OutOfStock(item, left)")
        assert not any("NotFound" in line for line in worker.output)


def test_system_exit_fails_its_call_and_ends_the_worker_with_its_code(client: callboard.Client, serve: Serve) -> None:
    with serve(FAILURES) as worker:
        with pytest.raises(callboard.Internal, match="SystemExit: 3"):
            client.call("s.leave", 3)
        assert worker.exit_code() == 3


STREAMS = """
app = callboard.Worker("s")
closed = threading.Event()

@app.read
def count(to: int) -> Iterator[int]:
    try:
        yield from range(to)
    finally:
        closed.set()

@app.read
def was_closed() -> bool:
    return closed.wait(30)

@app.read
def total(numbers: Iterator[int]) -> int:
    return sum(numbers)

@app.read
def running(start: int, numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        start += number
        yield start

@app.read
def broken() -> Iterator[int]:
    yield 1
    raise ValueError("after one")
"""

ASYNC_STREAMS = """
app = callboard.Worker("s")
closed = asyncio.Event()

@app.read
async def count(to: int) -> AsyncIterator[int]:
    try:
        for number in range(to):
            yield number
    finally:
        closed.set()

@app.read
async def was_closed() -> bool:
    await asyncio.wait_for(closed.wait(), 30)
    return True

@app.read
async def total(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])

@app.read
async def running(start: int, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
    async for number in numbers:
        start += number
        yield start

@app.read
async def broken() -> AsyncIterator[int]:
    yield 1
    raise ValueError("after one")
"""


@pytest.mark.parametrize("source", [STREAMS, ASYNC_STREAMS], ids=["generators", "async generators"])
def test_streams_in_both_directions(client: callboard.Client, serve: Serve, source: str) -> None:
    with serve(source):
        assert list(client.stream("s.count", 1000)) == list(range(1000))
        assert client.upload(range(1000), "s.total") == 499500
        with client.duplex("s.running", 10) as running:
            assert running.send(1) and next(running) == 11
            running.send_all([2, 3])
            assert list(running) == [13, 16]
        received: list[int] = []
        with pytest.raises(callboard.Unknown, match="after one"):
            received.extend(client.stream("s.broken"))
        with pytest.raises(callboard.InvalidArgument, match="item"):
            client.upload(["a"], "s.total")


@pytest.mark.parametrize("source", [STREAMS, ASYNC_STREAMS], ids=["generator", "async generator"])
def test_a_generator_is_closed_when_its_caller_leaves(client: callboard.Client, serve: Serve, source: str) -> None:
    with serve(source):
        with client.stream("s.count", 1_000_000) as numbers:
            assert next(numbers) == 0
        assert client.call("s.was_closed", timeout=40) is True


ASYNC = """
app = callboard.Worker("s", slots=100)
met: dict[str, asyncio.Event] = {}
cancelled = asyncio.Event()

@app.read
async def meet(mine: str, other: str) -> str:
    met.setdefault(mine, asyncio.Event()).set()
    await met.setdefault(other, asyncio.Event()).wait()
    return threading.current_thread().name

@app.read
async def forever() -> None:
    try:
        await asyncio.sleep(10000)
    finally:
        cancelled.set()

@app.read
async def was_cancelled() -> bool:
    await asyncio.wait_for(cancelled.wait(), 30)
    return True

@app.read
async def fail() -> None:
    raise ValueError("no")

@app.once
async def leave() -> None:
    sys.exit(4)
"""


def test_async_functions_run_at_once_on_the_main_thread(client: callboard.Client, serve: Serve) -> None:
    with serve(ASYNC) as worker:
        first, second = client.submit("s.meet", "a", "b"), client.submit("s.meet", "b", "a")
        assert (first.result(), second.result()) == ("MainThread", "MainThread")
        with pytest.raises(callboard.Unknown, match="no") as failed:
            client.call("s.fail")
        assert 'raise ValueError("no")' in (failed.value.traceback or "")
        with pytest.raises(callboard.DeadlineExceeded):
            client.call("s.forever", timeout=0.2)
        assert client.call("s.was_cancelled") is True
        with pytest.raises(callboard.Internal, match="SystemExit"):
            client.call("s.leave")
        assert worker.exit_code() == 4


def test_plain_functions_run_on_the_main_thread_beside_async_ones(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s")
    waiting = threading.Event()

    @app.read
    async def wait() -> str:
        waiting.set()
        while not released.is_set():
            await asyncio.sleep(0.001)
        return threading.current_thread().name

    released = threading.Event()

    @app.read
    def release() -> str:
        waiting.wait()
        released.set()
        return threading.current_thread().name
    """
    with serve(source):
        waits = client.submit("s.wait")
        assert client.call("s.release") == "MainThread"
        assert waits.result() == "callboard-asyncio"


def test_threads_run_plain_functions_at_once_and_keep_their_local_data(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s", threads=3)
    together = threading.Barrier(3)
    local = threading.local()

    @app.read
    def meet() -> list[Any]:
        together.wait(60)
        local.calls = getattr(local, "calls", 0) + 1
        return [threading.current_thread().name, local.calls]
    """
    with serve(source):
        for calls in (1, 2):
            met = sorted(future.result() for future in [client.submit("s.meet") for _ in range(3)])
            assert met == [[f"callboard-handler-{number}", calls] for number in (1, 2, 3)]


def test_the_context_of_a_call(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s")

    @app.read
    def ask(context: callboard.Context, extra: int = 0) -> list[Any]:
        context.progress(1, 2, "half")
        assert context.deadline is not None and 0 < context.deadline <= 25
        return [context.method, context.attempt, context.key, context.fencing_token is None, context.cancelled, extra]

    @app.read
    def until_cancelled(context: callboard.Context) -> None:
        while not context.cancelled:
            time.sleep(0.001)
        ended.set()

    ended = threading.Event()

    @app.read
    def has_ended() -> bool:
        return ended.wait(30)
    """
    with serve(source):
        assert client.call("s.ask", timeout=25) == ["s.ask", 1, None, True, False, 0]
        assert client.call("s.ask", 7, timeout=25, key="k") == ["s.ask", 1, "k", False, False, 7]
        seen: list[tuple[int, int | None, str]] = []
        client.with_progress(lambda *report: seen.append(report), "s.ask", timeout=25)
        assert seen == [(1, 2, "half")]
        # The handler returns at the deadline: its result may still be in time.
        with contextlib.suppress(callboard.DeadlineExceeded):
            client.call("s.until_cancelled", timeout=0.2)
        assert client.call("s.has_ended", timeout=40) is True


def test_the_methods_of_an_object(broker: Broker, client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker()

    class Store:
        def __init__(self) -> None:
            self.values: dict[str, int] = {}

        @callboard.idempotent
        def put(self, name: str, value: int) -> None:
            self.values[name] = value

        @callboard.read
        def read(self, name: str) -> int | None:
            return self.values.get(name)

        def increment(self, name: str) -> int:
            self.values[name] += 1
            return self.values[name]

        def _private(self) -> None: ...

        @property
        def size(self) -> int:
            raise AssertionError("properties are not read")

    app.register(Store(), service="s")
    """
    with serve(source):
        client.call("s.put", "a", 1)
        assert client.call("s.increment", "a") == 2
        assert client.call("s.read", "a") == 2
        described = broker.run("describe", "s").stdout
        assert "increment(name: text) -> i64  [once]" in described
        assert "put(name: text, value: i64) -> null  [idempotent]" in described
        assert "_private" not in described and "size" not in described


def test_with_more_slots_plain_functions_still_run_one_after_another(
    broker: Broker, client: callboard.Client, serve: Serve
) -> None:
    source = """
    app = callboard.Worker("s", slots=16)
    running = 0

    @app.read
    def alone() -> int:
        global running
        running += 1
        time.sleep(0.01)
        running -= 1
        return running
    """
    with serve(source):
        futures = [client.submit("s.alone") for _ in range(40)]
        assert [future.result() for future in futures] == [0] * 40
        assert re.search(r"^s +1 +16 ", broker.run("status").stdout, re.MULTILINE)


@pytest.mark.parametrize(("settings", "slots"), [("", 1), ("threads=2", 2), ("slots=3", 3)])
def test_services_of_plain_functions_share_the_slots_of_the_worker(
    broker: Broker, client: callboard.Client, serve: Serve, settings: str, slots: int
) -> None:
    source = f"""
    app = callboard.Worker(prefetch=0, {settings})
    release = threading.Event()

    @app.read(service="s")
    def wait() -> None:
        release.wait(60)

    @app.read(service="t")
    def wait_too() -> None:
        release.wait(60)
    """
    with serve(source):
        calls = [client.submit(name) for name in ("s.wait", "t.wait_too") * 3]
        (worker,) = client.call("callboard.status")["workers"]
        assert (worker["slots"], worker["running"]) == (slots, slots)
        assert len(calls) == 6


@pytest.mark.parametrize(("effect", "settings", "held"), [("read", "", 8), ("once", "", 0), ("once", "prefetch=2", 2)])
def test_by_default_no_calls_are_held_ready_if_a_function_of_the_service_is_once(
    broker: Broker, client: callboard.Client, serve: Serve, effect: str, settings: str, held: int
) -> None:
    source = f"""
    app = callboard.Worker("s", {settings})

    @app.{effect}
    def work() -> None:
        time.sleep(0.005)
    """
    with serve(source):
        calls = [client.submit("s.work") for _ in range(200)]
        seen = 0
        while not calls[-1].done():
            seen = max(seen, client.call("callboard.status")["workers"][0]["running"])
        assert seen == 1 + held
        assert [call.result() for call in calls] == [None] * 200


def test_sigterm_drains_and_a_second_interrupt_ends_at_once(
    broker: Broker, client: callboard.Client, serve: Serve
) -> None:
    source = """
    app = callboard.Worker("s")

    @app.once
    def slow(seconds: float) -> str:
        print("started", flush=True)
        time.sleep(seconds)
        return "finished"
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        with serve(source) as worker:
            call = client.submit("s.slow", 1)
            worker.wait_for("started")
            worker.signal(number)
            assert call.result() == "finished"
            assert worker.exit_code() == 0
            assert not any("Traceback" in line for line in worker.output)
    with serve(source) as worker:
        call = client.submit("s.slow", 100)
        worker.wait_for("started")
        worker.signal(signal.SIGINT)
        broker.wait_for(f"worker drains name=worker-{worker.pid}")
        worker.signal(signal.SIGTERM)
        assert worker.popen.poll() is None
        worker.signal(signal.SIGINT)
        assert worker.exit_code() == 130
        with pytest.raises(callboard.Unavailable) as lost:
            call.result()
        assert lost.value.executed in ("yes", "maybe")


def test_a_handler_that_holds_the_gil_does_not_lose_its_worker(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s")

    @app.once
    def hold(seconds: float) -> int:
        # One call in C, which does not release the GIL.
        end, size, rounds = time.monotonic() + seconds, 10**7, 0
        sys.setswitchinterval(1000)
        while time.monotonic() < end:
            rounds += sum(range(size)) > 0
        return os.getpid()

    @app.read
    def pid() -> int:
        return os.getpid()
    """
    with serve(source) as worker:
        assert client.call("s.hold", 5.0, timeout=60) == worker.pid
        assert client.call("s.pid") == worker.pid


def test_an_idle_worker_runs_the_signal_handlers_of_the_program(serve: Serve) -> None:
    source = """
    app = callboard.Worker("s")
    signal.signal(signal.SIGUSR1, lambda number, frame: print("a signal", flush=True))

    @app.read
    def pid() -> int:
        return os.getpid()
    """
    with serve(source) as worker:
        worker.signal(signal.SIGUSR1)
        worker.wait_for("a signal")
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0


POOL = """
app = callboard.Worker("s")

@app.once(hard_limit=0.3)
def deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

@app.idempotent
def pid() -> int:
    return os.getpid()

@app.once
def crash(how: str) -> None:
    if how == "abort":
        os.abort()
    os.kill(os.getpid(), signal.SIGKILL)

@app.once
def leave() -> None:
    sys.exit(3)
"""


def test_a_pool_replaces_a_worker_that_crashes(broker: Broker, client: callboard.Client, tmp_path: Path) -> None:
    words = (
        command_path(),
        "pool",
        "-n",
        "2",
        "--backend",
        broker.backend,
        "--",
        *python(str(write_worker(tmp_path, POOL))),
    )
    with Process(*words) as pool:
        pool.wait_for("ready 2 workers")
        for how in ("kill", "abort"):
            before = pids(client)
            with pytest.raises(callboard.Unavailable) as lost:
                client.call("s.crash", how)
            assert lost.value.executed in ("yes", "maybe") and "worker-" in (lost.value.worker or "")
            until_replaced(client, before)
        with pytest.raises(callboard.Internal):
            client.call("s.leave")
        pool.wait_for("exit status 3")
        pool.signal(signal.SIGTERM)
        assert pool.exit_code() == 0


def test_a_pool_replaces_a_worker_with_a_deadlock_and_reloads(
    broker: Broker, client: callboard.Client, tmp_path: Path
) -> None:
    path = str(write_worker(tmp_path, POOL))
    words = (
        command_path(),
        "pool",
        "-n",
        "2",
        "--backend",
        broker.backend,
        "--canary-period",
        "10ms",
        "--",
        *python(path),
    )
    with Process(*words) as pool:
        pool.wait_for("ready 2 workers")
        before = pids(client)
        with pytest.raises(callboard.DeadlineExceeded) as stopped:
            client.call("s.deadlock")
        assert stopped.value.executed == "yes"
        until_replaced(client, before)
        until("both workers serve", lambda: True if len(pids(client)) == 2 else None)
        before = pids(client)
        broker.run("reload", "worker")
        assert not before & pids(client)


def until_replaced(client: callboard.Client, before: set[int]) -> None:
    until("the pool replaces the worker", lambda: pids(client) - before or None)


def pids(client: callboard.Client) -> set[int]:
    """The processes that serve now."""
    return {answer.result for answer in client.broadcast("s.pid") if answer.error is None}


def test_calls_of_a_coroutine_and_of_its_tasks_inherit_its_deadline(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s")
    client = callboard.aio.Client(os.environ["FRONTEND"])

    @app.read
    async def outer() -> list[float]:
        return [await client.call("s.inner", timeout=1000), *await asyncio.gather(client.call("s.inner", timeout=1000))]

    @app.read
    async def inner(context: callboard.Context) -> float:
        return context.deadline or 0
    """
    with serve(source):
        assert all(0 < left <= 25 for left in client.call("s.outer", timeout=25))


def test_calls_of_a_handler_inherit_its_deadline(client: callboard.Client, serve: Serve) -> None:
    source = """
    app = callboard.Worker("s", threads=2)
    client = callboard.Client(os.environ["FRONTEND"])

    @app.read
    def outer() -> float:
        return client.call("s.inner", timeout=1000)

    @app.read
    def inner(context: callboard.Context) -> float:
        return context.deadline or 0
    """
    with serve(source):
        assert 0 < client.call("s.outer", timeout=25) <= 25


FORKS = """
import multiprocessing
app = callboard.Worker("s")

@app.read
def pid() -> int:
    return os.getpid()

@app.once
def stop() -> None:
    app.stop()

def serve() -> None:
    app.run()

if __name__ == "__main__":
    app.run()
    context = multiprocessing.get_context(os.environ["METHOD"])
    children = [context.Process(target=serve) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(sum(child.exitcode for child in children))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_serve_after_their_parent(
    broker: Broker, client: callboard.Client, tmp_path: Path, method: str
) -> None:
    path = tmp_path / "prefork.py"
    path.write_text(HEADER + FORKS)
    with Process(*python(str(path)), env={"CALLBOARD_BACKEND": broker.backend, "METHOD": method}) as parent:
        broker.wait_for_service("s")
        assert client.call("s.pid") == parent.pid
        client.call("s.stop")
        until("two children serve", lambda: True if len(pids(client) - {parent.pid}) == 2 else None)
        for child in pids(client):
            os.kill(child, signal.SIGTERM)
        assert parent.exit_code() == 0


def test_the_module_command_runs_a_worker(broker: Broker, client: callboard.Client, tmp_path: Path) -> None:
    write_worker(tmp_path, CALCULATOR, "calculators")
    words = python("-m", "callboard", "worker", "calculators")
    with Process(*words, env={"CALLBOARD_BACKEND": broker.backend}, cwd=tmp_path) as worker:
        broker.wait_for_service("s")
        assert client.call("s.add", 2, 3) == 5
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0
    with Process(*python("-m", "callboard", "worker", "no_such_module:app"), cwd=tmp_path) as worker:
        worker.wait_for("no module 'no_such_module'")
        assert worker.exit_code() == 2


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_a_worker_runs_on_any_thread_until_it_is_stopped(
    broker: Broker, client: callboard.Client, is_async: bool
) -> None:
    app = callboard.Worker("s", address=broker.backend)

    def name() -> str:
        return threading.current_thread().name

    async def async_name() -> str:
        return name()

    app.read(name="name")(async_name if is_async else name)
    for _ in range(2):
        thread = threading.Thread(target=app.run, name="its own")
        thread.start()
        assert client.call("s.name", wait_for_ready=True) == "its own"
        with pytest.raises(RuntimeError, match="is running"):
            app.run()
        app.stop()
        thread.join(60)
        assert not thread.is_alive()


def test_a_worker_that_cannot_start_raises_an_error() -> None:
    with pytest.raises(ValueError, match="no service"):
        callboard.Worker().read(lambda: None)
    with pytest.raises(ValueError, match="no service"):
        callboard.Worker("s").run()
    with pytest.raises(ValueError, match="threads=0"):
        callboard.Worker("s", threads=0)

    def many(*numbers: int) -> None: ...

    app = callboard.Worker("s", address="tcp://127.0.0.1:1")
    app.read(many)
    with pytest.raises(TypeError, match=r"\*numbers"):
        app.run()
    bad = callboard.Worker("s", address="udp://nowhere")
    bad.read(name="f")(lambda: None)
    with pytest.raises(ValueError, match="udp://nowhere"):
        bad.run()


def test_a_worker_without_the_brokers_key_is_rejected(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("correct horse battery staple\n")
    key.chmod(0o600)
    with Broker("--authkey-file", str(key)) as broker:
        app = callboard.Worker("s", address=broker.backend)
        app.read(name="f")(lambda: None)
        with pytest.raises(callboard.Rejected, match="requires a key"):
            app.run()
        path = write_worker(tmp_path, CALCULATOR.replace('"s")', '"s", authkey="correct horse battery staple")', 1))
        worker = Process(*python(str(path)), env={"CALLBOARD_BACKEND": broker.backend})
        with worker, callboard.Client(broker.frontend, "correct horse battery staple") as client:
            assert client.call("s.add", 2, 3, wait_for_ready=True) == 5


def test_tracebacks_are_sent_to_this_machine_only(client: callboard.Client, serve: Serve) -> None:
    for address in ("ipc:///run/b", "tcp://127.0.0.1:5560", "tcp://localhost:1", "tcp://[::1]:1"):
        assert _is_local(address)
    for address in ("tcp://10.0.0.1:5560", "tcp://broker:5560", "tcp://127.example.org:1"):
        assert not _is_local(address)
    with serve(FAILURES.replace('"s")', '"s", traceback=False)', 1)):
        with pytest.raises(callboard.Unknown) as caught:
            client.call("s.own", "tea", 3)
        assert caught.value.traceback is None and caught.value.details == {"args": ["tea", 3]}
