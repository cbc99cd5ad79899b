"""Workers in programs with a loop of their own, and background functions of workers."""

from __future__ import annotations

import signal
import textwrap
import threading
from pathlib import Path

import callboard
import pytest

from .processes import Broker, Process, python, until


def new_worker(broker: Broker, service: str = "s") -> callboard.Worker:
    return callboard.Worker(service, address=broker.backend)


def test_a_worker_serves_while_its_block_runs(broker: Broker, client: callboard.Client) -> None:
    app = new_worker(broker)

    @app.read
    def thread() -> str:
        return threading.current_thread().name

    for _ in range(2):
        with app.start():
            assert client.call("s.thread", wait_for_ready=True) == "callboard-worker"
            with pytest.raises(RuntimeError, match="is running"):
                app.run()
        broker.wait_for("worker left")
        with pytest.raises(callboard.Unavailable) as unserved:
            client.call("s.thread")
        assert unserved.value.executed == "no"


def test_the_end_of_the_block_waits_for_running_calls(broker: Broker, client: callboard.Client) -> None:
    app = new_worker(broker)
    started, finish = threading.Event(), threading.Event()

    @app.once
    def slow() -> str:
        started.set()
        assert finish.wait(60)
        return "finished"

    with app.start():
        call = client.submit("s.slow", wait_for_ready=True)
        assert started.wait(60)
        threading.Timer(0.1, finish.set).start()
    assert call.result() == "finished"


def test_async_functions_and_threads_serve_in_a_block(broker: Broker, client: callboard.Client) -> None:
    app = callboard.Worker("s", address=broker.backend, threads=2)
    together = threading.Barrier(2)

    @app.read
    def meet() -> int:
        return together.wait(60)

    @app.read
    async def name() -> str:
        return threading.current_thread().name

    with app.start():
        assert client.call("s.name", wait_for_ready=True) == "callboard-worker"
        assert sorted(call.result() for call in [client.submit("s.meet") for _ in range(2)]) == [0, 1]


def serves() -> bool:
    """Whether a worker serves in this process."""
    return any(thread.name == "callboard-worker" for thread in threading.enumerate())


def test_a_block_raises_why_its_worker_failed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="no service"), callboard.Worker().start():
        pass
    key = tmp_path / "keys"
    key.write_text("the shared secret\n")
    key.chmod(0o600)
    with Broker("--authkey-file", str(key)) as broker:
        app = callboard.Worker("s", address=broker.backend, authkey="another secret of enough bytes")
        app.read(name="f")(lambda: None)
        with pytest.raises(callboard.Rejected), app.start():
            until("the worker has stopped", lambda: None if serves() else True)
        assert "the worker has stopped: Rejected" in caplog.text
        with pytest.raises(KeyError, match="of the block"), app.start():
            raise KeyError("of the block")


PROGRAM = """
import asyncio, time
import callboard

app = callboard.Worker("s")
rounds = 0

@app.read
def count() -> int:
    return rounds

@app.once
async def fail() -> None:
    failing.set()

@app.background
async def wait_for_failure() -> None:
    global failing
    failing = asyncio.Event()
    await failing.wait()
    raise ValueError("of the background")

@app.background
async def turn() -> None:
    global rounds
    try:
        while True:
            await asyncio.sleep(0.001)
            rounds += 1
    finally:
        print("cancelled", flush=True)

@app.background
async def end_at_once() -> None:
    print("ended", flush=True)

app.run()
"""


@pytest.fixture
def program(tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "worker.py"
    path.write_text(textwrap.dedent(PROGRAM))
    return python(str(path))


def test_background_functions_run_beside_calls_until_the_worker_stops(
    broker: Broker, client: callboard.Client, program: tuple[str, ...]
) -> None:
    with broker.worker(*program, service="s") as worker:
        worker.wait_for("ended")
        before = client.call("s.count")
        while client.call("s.count") == before:
            pass
        worker.signal(signal.SIGTERM)
        worker.wait_for("cancelled")
        assert worker.exit_code() == 0


def test_a_background_function_that_fails_stops_the_worker(
    broker: Broker, client: callboard.Client, program: tuple[str, ...]
) -> None:
    with broker.worker(*program, service="s") as worker:
        client.call("s.fail")
        worker.wait_for("ValueError: of the background")
        assert worker.exit_code() == 1
        broker.wait_for("worker left")


def test_an_interrupt_in_the_programs_loop_stops_its_worker(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "game.py"
    path.write_text(
        textwrap.dedent(
            """
            import time
            import callboard

            app = callboard.Worker("s")
            app.read(name="f")(lambda: None)
            with app.start():
                print("playing", flush=True)
                while True:
                    time.sleep(0.01)
            """
        )
    )
    with Process(*python(str(path)), env={"CALLBOARD_BACKEND": broker.backend}) as game:
        game.wait_for("playing")
        broker.wait_for_service("s")
        game.signal(signal.SIGINT)
        game.wait_for("KeyboardInterrupt")
        game.exit_code()
        broker.wait_for("worker left")


def test_a_background_function_must_be_async() -> None:
    with pytest.raises(TypeError, match="is not an async function"):
        callboard.Worker("s").background(lambda: None)  # type: ignore[type-var]
