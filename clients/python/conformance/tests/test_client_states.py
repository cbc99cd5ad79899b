"""The tables of section 11 for a client, against a broker that a test controls."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from fake_broker import FakeBroker

from callboard_pure import CallError, Client, Code, Executed, wire
from callboard_pure.wire import Envelope, Kind


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    """A broker that does what the test tells it to."""
    with FakeBroker() as broker:
        yield broker


@pytest.fixture
def client(broker: FakeBroker) -> Iterator[Client]:
    """A client of the broker that is not connected yet."""
    client = Client(broker.address, heartbeat_ms=60_000)
    yield client
    client.post(lambda: client._end(None))  # the fake broker does not answer goodbye
    client.close()


def failure(future: Future[Any]) -> tuple[Code, Executed]:
    """Returns the failure of a call."""
    error = future.exception(60)
    assert isinstance(error, CallError)
    return error.code, error.executed


def answer(broker: FakeBroker, number: int, body: bytes = b"\x05", **keys: Any) -> None:
    """Sends a reply."""
    broker.send(Envelope(Kind.REPLY, number=number, body=body, **keys))


def test_open_calls_are_sent_again_in_order_and_before_new_ones(broker: FakeBroker, client: Client) -> None:
    hello = broker.accept()
    futures = [client.submit("a.b", [number]) for number in range(3)]
    client.submit("a.b", cast=True)
    for number in (1, 2, 3, 4):
        broker.expect(Kind.REQUEST, number)
    answer(broker, 2)
    assert futures[1].result() == 5
    broker.goodbye()
    again = broker.hello()
    new = client.submit("a.b")
    broker.admit()
    assert (again["session"], again["connection"]) == (hello["session"], 2)
    for number in (1, 3):
        assert broker.expect(Kind.REQUEST, number).flags == wire.RESEND
    request = broker.expect(Kind.REQUEST, 5)
    assert request.flags == 0
    answer(broker, 5)
    assert new.result() == 5


def test_cancels_come_first_after_a_reconnect(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    futures = [client.submit("a.b") for _ in range(2)]
    broker.expect(Kind.REQUEST, 1)
    broker.expect(Kind.REQUEST, 2)
    futures[1].cancel()
    broker.expect(Kind.CANCEL, 2)  # it may have been lost with the connection
    broker.goodbye()
    broker.accept()
    broker.expect(Kind.CANCEL, 2)
    broker.expect(Kind.REQUEST, 1)


def test_a_new_start_of_the_broker_ends_calls_of_effect_once(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    once, other = client.submit("a.b", effect="once"), client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
    broker.expect(Kind.REQUEST, 2)
    broker.goodbye()
    broker.accept(start=bytes([1] * 16))
    assert failure(once) == (Code.UNAVAILABLE, Executed.MAYBE)
    assert broker.expect(Kind.REQUEST, 2).flags == wire.RESEND
    answer(broker, 2)
    assert other.result() == 5


def test_a_final_goodbye_ends_the_client_and_its_calls(broker: FakeBroker, client: Client) -> None:
    broker.accept(credit_calls=1)
    sent, waiting = client.submit("a.b"), client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
    broker.goodbye(Code.PERMISSION_DENIED)
    assert failure(sent) == (Code.PERMISSION_DENIED, Executed.MAYBE)
    assert failure(waiting) == (Code.PERMISSION_DENIED, Executed.NO)
    assert failure(client.submit("a.b"))[1] is Executed.NO


def test_calls_wait_for_credit_in_calls_and_in_bytes(broker: FakeBroker, client: Client) -> None:
    broker.accept(credit_calls=2, credit_bytes=10)
    futures = [client.submit("a.b", ["1234"]) for _ in range(3)]  # bodies of 6 bytes
    broker.expect(Kind.REQUEST, 1)
    broker.send(Envelope(Kind.CREDIT, credit_bytes=2))
    broker.expect(Kind.REQUEST, 2)
    broker.send(Envelope(Kind.CREDIT, credit_bytes=100))
    answer(broker, 1, credit_calls=1)
    broker.expect(Kind.REQUEST, 3)
    assert futures[0].result() == 5


def test_an_idle_client_acknowledges_its_outcomes_beside_a_pong(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    future = client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
    answer(broker, 1)
    assert future.result() == 5
    broker.send(Envelope(Kind.PING, number=7))
    assert broker.next() == Envelope(Kind.PONG, number=7)
    ping = broker.next()
    assert (ping.kind, ping.done_below) == (Kind.PING, 2)


def test_a_cast_does_not_state_itself_as_done(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    client.submit("a.b", cast=True)
    assert broker.expect(Kind.REQUEST, 1).done_below is None
    client.submit("a.b", cast=True)
    assert broker.expect(Kind.REQUEST, 2).done_below == 2


def test_a_call_without_an_answer_ends_a_little_after_its_timeout(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    future = client.submit("a.b", timeout=0.2)
    broker.expect(Kind.REQUEST, 1)
    assert failure(future) == (Code.DEADLINE_EXCEEDED, Executed.MAYBE)
    broker.expect(Kind.CANCEL, 1)


@pytest.mark.parametrize(
    ("message", "executed"),
    [
        ("a300070101190101000140", Executed.MAYBE),  # a header that cannot be read, with a number
        ("a200070101420505", Executed.YES),  # two items in the body
        ("a20007010140", Executed.YES),  # no item in the body
    ],
)
def test_a_reply_that_cannot_be_read_ends_only_its_call(
    broker: FakeBroker, client: Client, message: str, executed: Executed
) -> None:
    broker.accept()
    future, other = client.submit("a.b"), client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
    broker.expect(Kind.REQUEST, 2)
    broker.send_frames(bytes.fromhex(message))
    assert failure(future) == (Code.INTERNAL, executed)
    answer(broker, 2)
    assert other.result() == 5


def test_what_a_client_does_not_expect_is_dropped(broker: FakeBroker, client: Client) -> None:
    broker.accept()
    future = client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
    broker.dispatch(1, "a.b")
    broker.send_frames(bytes.fromhex("a20018630101"), b"a frame too many", b"")
    broker.send_frames(b"\xff")
    broker.send(Envelope(Kind.ITEM, number=1, sequence=0, body=b"\x01"), Envelope(Kind.WELCOME, body=b"\xa0"))
    answer(broker, 99)
    answer(broker, 1)
    assert future.result() == 5
    assert client.connections == 1


def test_silence_of_the_broker_ends_the_connection(broker: FakeBroker, client: Client) -> None:
    assert broker.accept(heartbeat_ms=50)["connection"] == 1
    assert broker.accept()["connection"] == 2


def test_a_client_sends_at_least_once_in_each_of_its_intervals(broker: FakeBroker) -> None:
    with Client(broker.address, heartbeat_ms=50) as client:
        broker.accept()
        for number in (1, 2, 3):
            assert broker.next() == Envelope(Kind.PING, number=number)
        client.post(lambda: client._end(None))


@pytest.mark.parametrize(
    ("welcome", "code"), [({"version": 3}, Code.FAILED_PRECONDITION), ({"version": 1}, Code.FAILED_PRECONDITION)]
)
def test_a_version_that_was_not_offered_is_final(
    broker: FakeBroker, client: Client, welcome: dict[str, int], code: Code
) -> None:
    future = client.submit("a.b")
    broker.accept(**welcome)
    assert failure(future) == (code, Executed.NO)


def test_a_welcome_that_cannot_be_read_is_not_final(broker: FakeBroker, client: Client) -> None:
    broker.accept(heartbeat_ms="often")
    assert broker.accept(heartbeat_ms=60_000)["connection"] == 2
    client.submit("a.b")
    broker.expect(Kind.REQUEST, 1)
