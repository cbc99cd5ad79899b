"""The tables of section 11 for a worker, against a broker that a test controls."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fake_broker import FakeBroker
from harness import eventually

from callboard_pure import Code, Executed, Worker, cbor, worker
from callboard_pure.wire import Envelope, Kind


class Service:
    """A worker in this process whose handlers wait until the test lets them go."""

    def __init__(self, address: str, methods: tuple[str, ...] = ("a.wait",), **settings: Any) -> None:
        self.begun: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.go = threading.Semaphore(0)
        self.worker = Worker(address, heartbeat_ms=60_000, **settings)
        for method in methods:
            self.worker.method(method)(self.wait)
        self.thread = threading.Thread(target=self.worker.run, kwargs={"catch_signals": False})
        self.thread.start()

    def wait(self, value: int) -> int:
        """Returns its argument when the test allows it."""
        self.begun.put(value)
        assert self.go.acquire(timeout=60)
        return value

    def stop(self) -> None:
        """Ends the worker without a broker."""
        self.go.release(100)
        self.worker.post(lambda: self.worker._end(None))
        self.thread.join(60)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """A broker that does what the test tells it to."""
    with FakeBroker() as broker:
        yield broker


@pytest.fixture(autouse=True)
def _no_call_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a long call nothing is held, and on a busy machine any call may take 20 ms."""
    monkeypatch.setattr(worker, "STARTED_SECONDS", 3600.0)


@pytest.fixture
def long_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call is long after a moment."""
    monkeypatch.setattr(worker, "STARTED_SECONDS", 0.02)


@pytest.fixture
def service(broker: FakeBroker) -> Iterator[Service]:
    """A worker of one slot that holds one more call ready."""
    service = Service(broker.address, prefetch=1)
    yield service
    service.stop()


def result(broker: FakeBroker, number: int) -> Any:
    """Returns the result of a dispatch."""
    reply = broker.expect(Kind.REPLY, number)
    assert reply.code is None, reply
    return cbor.decode(reply.body)


def failure(broker: FakeBroker, number: int) -> tuple[Code, Executed]:
    """Returns the failure of a dispatch."""
    reply = broker.expect(Kind.REPLY, number)
    return Code(reply.code or 0), Executed(reply.executed or 0)


def test_a_registration_states_what_is_served(broker: FakeBroker, service: Service) -> None:
    assert broker.register() == {
        "service": "a",
        "slots": 1,
        "free": 1,
        "prefetch": 1,
        "methods": [{"name": "wait", "effect": "once", "arguments": ["value"]}],
    }
    assert service.thread.is_alive()


def test_calls_run_in_slots_are_held_by_prefetch_and_handed_back_beyond(broker: FakeBroker, service: Service) -> None:
    broker.register()
    for number in (1, 2, 3):
        broker.dispatch(number, "a.wait", number)
    broker.expect(Kind.HANDBACK, 3)
    assert service.begun.get(timeout=60) == 1
    service.go.release(2)
    assert [result(broker, 1), result(broker, 2)] == [1, 2]


def test_services_share_the_slots_and_the_oldest_held_call_of_any_service_runs_next(broker: FakeBroker) -> None:
    service = Service(broker.address, ("a.wait", "b.wait"), prefetch=2)
    try:
        broker.accept()
        registration = cbor.decode(broker.expect(Kind.REGISTER).body)
        assert (registration["slots"], registration["prefetch"], len(registration["offers"])) == (1, 2, 2)
        broker.send(Envelope(Kind.PONG, number=broker.expect(Kind.PING).number))
        for number, method in enumerate(("a.wait", "b.wait", "a.wait", "b.wait"), 1):
            broker.dispatch(number, method, number)
        broker.expect(Kind.HANDBACK, 4)
        service.go.release(3)
        assert [result(broker, number) for number in (1, 2, 3)] == [1, 2, 3]
        assert [service.begun.get(timeout=60) for _ in range(3)] == [1, 2, 3]
    finally:
        service.stop()


@pytest.mark.usefixtures("long_calls")
def test_a_long_call_is_reported_as_started(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    assert broker.expect(Kind.STARTED, 1)
    service.go.release()
    assert result(broker, 1) == 1


@pytest.mark.usefixtures("long_calls")
def test_held_calls_are_handed_back_behind_a_long_call(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    broker.dispatch(2, "a.wait", 2)
    broker.expect(Kind.STARTED, 1)
    broker.expect(Kind.HANDBACK, 2)
    broker.dispatch(3, "a.wait", 3)
    broker.expect(Kind.HANDBACK, 3)
    service.go.release(2)
    assert result(broker, 1) == 1
    broker.dispatch(4, "a.wait", 4)
    assert result(broker, 4) == 4


def test_a_held_call_that_is_cancelled_did_not_run(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    broker.dispatch(2, "a.wait", 2)
    broker.send(Envelope(Kind.CANCEL, number=2))
    assert failure(broker, 2) == (Code.CANCELLED, Executed.NO)
    broker.send(Envelope(Kind.CANCEL, number=1))
    broker.catch_up()
    assert service.begun.get(timeout=60) == 1
    service.go.release()
    assert failure(broker, 1) == (Code.CANCELLED, Executed.YES)


def test_a_held_call_that_expires_did_not_run(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    broker.dispatch(2, "a.wait", 2, timeout_ms=20)
    broker.dispatch(3, "a.wait", 3, timeout_ms=0)
    assert failure(broker, 3) == (Code.DEADLINE_EXCEEDED, Executed.NO)
    assert failure(broker, 2) == (Code.DEADLINE_EXCEEDED, Executed.NO)
    service.go.release()
    assert result(broker, 1) == 1


def test_a_call_of_a_lost_connection_keeps_its_slot_and_its_key(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1, key="one", fence=5)
    broker.dispatch(2, "a.wait", 2)
    assert service.begun.get(timeout=60) == 1
    broker.goodbye()
    offer = broker.register()
    assert (offer["free"], offer["keys"]) == (0, ["one"])
    service.go.release()
    credit = broker.expect(Kind.CREDIT)
    assert (credit.credit_calls, credit.offer, credit.key) == (1, 0, "one")
    broker.dispatch(3, "a.wait", 3)
    service.go.release()
    assert result(broker, 3) == 3, "the held call was dropped with its connection"


def test_a_call_that_ends_between_connections_needs_no_credit(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    assert service.begun.get(timeout=60) == 1
    broker.goodbye()
    broker.hello()
    service.go.release()
    eventually(lambda: not service.worker._running)
    broker.admit()
    (offer,) = cbor.decode(broker.expect(Kind.REGISTER).body)["offers"]
    assert offer["free"] == 1


def test_a_duplicate_dispatch_is_dropped(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    broker.dispatch(1, "a.wait", 1)
    broker.catch_up()
    assert service.begun.get(timeout=60) == 1
    service.go.release(2)
    assert result(broker, 1) == 1
    broker.dispatch(2, "a.wait", 2)
    assert result(broker, 2) == 2


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("a60005010102656120776169740b01100111010140", Code.INVALID_ARGUMENT),  # a method that is no name
        ("a1000540", None),  # a request without a number
        ("a20013010140", Code.UNIMPLEMENTED),  # kind 19, with a number
        ("a3000501011818f640", Code.UNIMPLEMENTED),  # a reserved key
        ("a3000701010701811840", None),  # a reply: it has no sender that waits
    ],
)
def test_a_refused_envelope_is_answered_if_its_sender_waits(
    broker: FakeBroker, message: str, code: Code | None
) -> None:
    broker.register()
    broker.send_frames(bytes.fromhex(message))
    if code is not None:
        assert failure(broker, 1) == (code, Executed.NO)
    broker.catch_up()


@pytest.mark.usefixtures("service")
def test_calls_that_this_worker_cannot_run_did_not_run(broker: FakeBroker) -> None:
    broker.register()
    broker.dispatch(1, "a.other")
    assert failure(broker, 1) == (Code.UNIMPLEMENTED, Executed.NO)
    broker.dispatch(2, "a.wait", 2, streams=1)
    assert failure(broker, 2) == (Code.INVALID_ARGUMENT, Executed.NO)
    broker.dispatch(3, "a.wait", "3")
    assert failure(broker, 3) == (Code.INVALID_ARGUMENT, Executed.NO)


def test_a_drain_hands_back_finishes_and_waits_for_its_pong(broker: FakeBroker, service: Service) -> None:
    broker.register()
    broker.dispatch(1, "a.wait", 1)
    broker.dispatch(2, "a.wait", 2)
    assert service.begun.get(timeout=60) == 1
    broker.catch_up()
    service.worker.drain()
    broker.expect(Kind.DRAIN)
    broker.expect(Kind.HANDBACK, 2)
    ping = broker.expect(Kind.PING)
    broker.dispatch(3, "a.wait", 3)
    broker.expect(Kind.HANDBACK, 3)
    service.go.release()
    assert result(broker, 1) == 1
    broker.dispatch(4, "a.wait", 4)
    broker.expect(Kind.HANDBACK, 4)
    broker.send(Envelope(Kind.PONG, number=ping.number))
    broker.expect(Kind.GOODBYE)
    broker.goodbye(None)
    service.thread.join(60)
    assert service.worker.goodbye_answered
