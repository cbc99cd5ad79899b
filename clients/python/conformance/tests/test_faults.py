"""Lost workers and brokers, deadlines, cancels, keys and silence, with the real broker."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from conftest import Start
from harness import DEADLINE, FAULTY_WORKER, Broker, Process, eventually

from callboard_pure import CallError, Client, Code, Executed, wire
from callboard_pure.peer import SOCKET_OPTIONS
from callboard_pure.wire import Envelope, Kind


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, because the path of a socket is limited."""
    with tempfile.TemporaryDirectory(prefix="callboard-") as name:
        yield Path(name)


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    """A client of the broker."""
    with Client(broker.frontend) as client:
        yield client


def faulty(start: Start, broker: Broker, **variables: str) -> Process:
    """Returns a worker that has registered."""
    worker = start(FAULTY_WORKER, CALLBOARD_BACKEND=broker.backend, **variables)
    worker.wait_for("^ready$")
    return worker


def test_a_read_call_moves_to_another_worker_when_its_worker_dies(broker: Broker, client: Client, start: Start) -> None:
    faulty(start, broker)
    faulty(start, broker)
    assert client.call("faulty.attempt") == 2


def test_a_once_call_whose_worker_dies_may_have_run(broker: Broker, client: Client, start: Start) -> None:
    faulty(start, broker)
    with pytest.raises(CallError) as failed:
        client.call("faulty.exit")
    assert (failed.value.code, failed.value.executed) == (Code.UNAVAILABLE, Executed.MAYBE)


def test_a_handler_that_raises_system_exit_is_a_panic(broker: Broker, client: Client, start: Start) -> None:
    worker = faulty(start, broker)
    with pytest.raises(CallError, match="SystemExit") as failed:
        client.call("faulty.system_exit")
    assert (failed.value.code, failed.value.type_name) == (Code.INTERNAL, "Panic")
    assert client.call("faulty.pid") == worker.pid


def test_a_call_waits_for_a_worker_if_it_asks_for_that(broker: Broker, client: Client, start: Start) -> None:
    future = client.submit("faulty.pid", wait_for_ready=True)
    worker = faulty(start, broker)
    assert future.result() == worker.pid


def test_a_deadline_cancels_the_handler(broker: Broker, client: Client, start: Start) -> None:
    worker = faulty(start, broker)
    with pytest.raises(CallError) as failed:
        client.call("faulty.wait", ["/nonexistent"], timeout=0.5)
    assert (failed.value.code, failed.value.executed) == (Code.DEADLINE_EXCEEDED, Executed.YES)
    worker.wait_for("^cancelled$")
    assert client.call("faulty.pid") == worker.pid


def test_cancelling_a_future_cancels_the_handler(broker: Broker, client: Client, start: Start) -> None:
    worker = faulty(start, broker)
    future = client.submit("faulty.wait", ["/nonexistent"])
    worker.wait_for("^waiting$")
    assert future.cancel()
    worker.wait_for("^cancelled$")
    assert client.call("faulty.pid") == worker.pid


def test_large_bodies_have_a_frame_of_their_own(broker: Broker, client: Client, start: Start) -> None:
    faulty(start, broker)
    for size in (16_300, 16_384, 16_385, 100_000, 8_000_000):
        value = bytes(size)
        assert client.call("faulty.echo", [value]) == value


def test_a_body_beyond_the_limit_is_not_sent(broker: Broker, client: Client, start: Start) -> None:
    worker = faulty(start, broker)
    with pytest.raises(CallError) as failed:
        client.call("faulty.echo", [bytes(16_777_216 - 4096)])
    assert (failed.value.code, failed.value.executed) == (Code.RESOURCE_EXHAUSTED, Executed.NO)
    assert client.call("faulty.pid") == worker.pid


@pytest.mark.parametrize("prefetch", ["0", "8"])
def test_calls_beyond_the_slots_wait_and_all_end(broker: Broker, client: Client, start: Start, prefetch: str) -> None:
    worker = faulty(start, broker, SLOTS="2", PREFETCH=prefetch)
    assert {client.submit("faulty.pid").result() for _ in range(200)} == {worker.pid}
    futures = [client.submit("faulty.pid", priority="low") for _ in range(500)]
    assert {future.result() for future in futures} == {worker.pid}


def test_calls_with_one_affinity_key_run_one_at_a_time(
    broker: Broker, client: Client, start: Start, folder: Path
) -> None:
    worker = faulty(start, broker, SLOTS="2")
    file = folder / "go"
    # A broker runs no call with a key in its first 3 heartbeats (4.17.6), so the first call waits that long.
    first, second = (client.submit("faulty.wait", [str(file)], key="one") for _ in range(2))
    worker.wait_for("^waiting$")
    assert client.call("faulty.pid") == worker.pid, "the second slot is free"
    assert not second.done()
    file.touch()
    assert first.result() == second.result() == "one True"


def test_peers_survive_a_restart_of_the_broker(folder: Path, start: Start) -> None:
    broker = Broker(folder)
    try:
        worker = faulty(start, broker)
        with Client(broker.frontend) as client:
            assert client.call("faulty.pid") == worker.pid
            read = client.submit("faulty.wait", [str(folder / "go")])
            once = client.submit("faulty.hold_lock", [0.0], effect="once", key="never")  # waits for 3 heartbeats
            worker.wait_for("^waiting$")
            broker.kill()
            (folder / "go").touch()
            broker = Broker(folder)
            assert read.result() == "None False", "the read call is sent again to the new broker"
            with pytest.raises(CallError) as failed:
                once.result()
            assert (failed.value.code, failed.value.executed) == (Code.UNAVAILABLE, Executed.MAYBE)
            worker.wait_for("^ready$")
            assert client.call("faulty.pid") == worker.pid
    finally:
        broker.kill()


def test_a_client_without_a_broker_names_its_address() -> None:
    with (
        Client("tcp://127.0.0.1:1") as client,
        pytest.raises(CallError, match=r"no broker at tcp://127\.0\.0\.1:1") as failed,
    ):
        client.call("faulty.pid", timeout=0.2)
    assert (failed.value.code, failed.value.executed) == (Code.DEADLINE_EXCEEDED, Executed.NO)


def test_a_client_at_the_backend_is_rejected(broker: Broker) -> None:
    with Client(broker.backend) as client, pytest.raises(CallError) as failed:
        client.call("faulty.pid")
    assert failed.value.code is Code.FAILED_PRECONDITION
    assert broker.frontend in failed.value.message


def test_a_goodbye_can_be_read_after_the_broker_has_closed_the_connection(broker: Broker) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        for option, value in SOCKET_OPTIONS.items():
            dealer.setsockopt(option, value)
        # libzmq reports this when it has processed the end of the connection. With -1 it never does, and has dropped
        # by then what was not read.
        monitor = dealer.get_monitor_socket(zmq.EVENT_CONNECT_RETRIED)
        dealer.connect(broker.frontend)
        dealer.send(wire.write_header(Envelope(Kind.DRAIN)) + b"\x40")  # no hello: the broker says why, and closes
        assert monitor.poll(int(DEADLINE * 1000))
        (goodbye,) = wire.read_message(dealer.recv_multipart(zmq.NOBLOCK))
        assert isinstance(goodbye, Envelope)
        assert (goodbye.kind, goodbye.code) == (Kind.GOODBYE, Code.FAILED_PRECONDITION)
        dealer.disable_monitor()
        monitor.close()


def test_the_broker_answers_goodbye(broker: Broker) -> None:
    with Client(broker.frontend) as client:
        client.call("callboard.ping")
    assert client.goodbye_answered


KEY = "5dI/u3v1Yk0R2mYv0f3m2b4n6q8s0u2w4y6A8C0E2G4="


def test_both_sides_prove_the_key(start: Start) -> None:
    broker = Broker(CALLBOARD_AUTHKEY=KEY)
    try:
        worker = faulty(start, broker, CALLBOARD_AUTHKEY=f"# a comment\nid=farm roles=worker,client key={KEY}\n")
        with Client(broker.frontend, KEY.encode()) as client:
            assert client.call("faulty.pid") == worker.pid
        for key in (None, b"another key of sufficient length"):
            with Client(broker.frontend, key) as client, pytest.raises(CallError) as failed:
                client.call("faulty.pid")
            assert failed.value.code is Code.UNAUTHENTICATED
    finally:
        broker.kill()


def test_a_client_with_a_key_does_not_accept_a_broker_without_one(broker: Broker) -> None:
    with Client(broker.frontend, KEY.encode()) as client, pytest.raises(CallError) as failed:
        client.call("faulty.pid")
    assert failed.value.code is Code.UNAUTHENTICATED


def test_a_worker_that_holds_the_lock_beyond_its_heartbeats_is_lost(
    broker: Broker, client: Client, start: Start
) -> None:
    worker = faulty(start, broker, HEARTBEAT_MS="100")
    with pytest.raises(CallError) as failed:
        client.call("faulty.hold_lock", [2.0])
    assert (failed.value.code, failed.value.executed) == (Code.UNAVAILABLE, Executed.MAYBE)
    worker.wait_for("^ready$")
    assert client.call("faulty.pid", wait_for_ready=True) == worker.pid, "it registers again"


def test_a_long_heartbeat_keeps_a_worker_that_holds_the_lock(broker: Broker, client: Client, start: Start) -> None:
    worker = faulty(start, broker, HEARTBEAT_MS="60000")
    assert client.call("faulty.hold_lock", [2.0]) == worker.pid
    worker.signal(signal.SIGKILL)
    eventually(lambda: client.call("callboard.status")["workers"] == [])  # a closed connection needs no heartbeat
