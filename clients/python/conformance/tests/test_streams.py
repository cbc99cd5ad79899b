"""Streams and progress of a Rust worker, envelope by envelope (PROTOCOL.md 5.5 to 5.12)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import zmq
from conftest import Start
from dealer import Dealer
from harness import STREAMS_WORKER, Broker

from callboard_pure import Code, Executed, cbor, wire
from callboard_pure.wire import Envelope, Kind

TO_CLIENT, FROM_CLIENT, PROGRESS = 1, 2, 4
WINDOW_ITEMS, WINDOW_BYTES = 64, 262_144  # of the items to the client
WORKER_WINDOW_ITEMS = 1_024
CALL = 1  # the number of the only call of each test


@pytest.fixture
def client(broker: Broker, start: Start, context: zmq.Context[zmq.Socket[bytes]]) -> Dealer:
    """A client of a broker with the numbers of the Rust examples."""
    start([str(STREAMS_WORKER)], CALLBOARD_BACKEND=broker.backend)
    return Dealer(context, broker.frontend, uuid.uuid4().bytes, 1)


def call(client: Dealer, method: str, *arguments: Any, streams: int) -> None:
    """Sends the call, and with it the credit for items to the client."""
    request = Envelope(Kind.REQUEST, number=CALL, method=f"numbers.{method}", flags=wire.WAIT_FOR_READY)
    request.streams, request.body = streams, cbor.encode(list(arguments))
    client.send(request)
    if streams & TO_CLIENT:
        client.send(Envelope(Kind.CREDIT, number=CALL, credit_calls=WINDOW_ITEMS, credit_bytes=WINDOW_BYTES))


def item(sequence: int, value: Any) -> Envelope:
    """Returns an item from the client."""
    return Envelope(Kind.ITEM, number=CALL, sequence=sequence, body=cbor.encode(value))


def batch(sequence: int, *values: Any) -> Envelope:
    """Returns items from the client in one envelope."""
    body = b"".join(map(cbor.encode, values))
    return Envelope(Kind.ITEM, number=CALL, sequence=sequence, items=len(values), body=body)


def receive_items(client: Dealer, count: int) -> list[Any]:
    """Receives items to the client, in as many envelopes as they come."""
    values: list[Any] = []
    while len(values) < count:
        found = client.receive()
        assert (found.kind, found.number, found.sequence) == (Kind.ITEM, CALL, len(values))
        values += map(cbor.decode, wire.read_items(found))
    return values


def failure(reply: Envelope) -> tuple[Code, Executed]:
    """Returns how the call failed."""
    assert reply.code is not None, reply
    return Code(reply.code), Executed(reply.executed or 0)


def test_items_to_the_client_come_in_order_and_within_its_credit(client: Dealer) -> None:
    call(client, "count", 200, streams=TO_CLIENT)
    granted, unreturned = WINDOW_ITEMS, [0, 0]
    received = 0
    while received < 200:
        found = client.receive(Kind.ITEM)
        assert (found.number, found.sequence) == (CALL, received)
        values = [cbor.decode(value) for value in wire.read_items(found)]
        assert values == list(range(received + 1, received + 1 + found.items))
        received += found.items
        assert received <= granted
        unreturned = [unreturned[0] + found.items, unreturned[1] + len(found.body)]
        if unreturned[0] >= WINDOW_ITEMS // 2:
            client.send(Envelope(Kind.CREDIT, number=CALL, credit_calls=unreturned[0], credit_bytes=unreturned[1]))
            granted, unreturned = granted + unreturned[0], [0, 0]
    reply = client.receive(Kind.REPLY)
    assert cbor.decode(reply.body) is None


def test_a_reader_that_grants_nothing_stops_the_writer(client: Dealer) -> None:
    call(client, "count", 1_000, streams=TO_CLIENT)
    assert receive_items(client, WINDOW_ITEMS) == list(range(1, WINDOW_ITEMS + 1))
    client.send(Envelope(Kind.CANCEL, number=CALL))
    client.send(Envelope(Kind.PING, number=1))
    assert client.receive() == Envelope(Kind.PONG, number=1), "neither an item beyond the credit, nor a reply"


def test_items_from_the_client_need_credit_and_an_end(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    credit = client.receive(Kind.CREDIT)
    assert credit.number == CALL
    assert 0 < credit.credit_calls <= WORKER_WINDOW_ITEMS
    for sequence, value in enumerate((1, 2, 39)):
        client.send(item(sequence, value))
    client.send(Envelope(Kind.END, number=CALL, sequence=3))
    assert cbor.decode(client.receive(Kind.REPLY).body) == 42


def test_items_in_both_directions_are_those_of_the_example_in_5_13(client: Dealer) -> None:
    call(client, "sums", 10, streams=TO_CLIENT | FROM_CLIENT)
    credit = client.receive(Kind.CREDIT)
    assert credit == Envelope(Kind.CREDIT, number=CALL, credit_calls=WORKER_WINDOW_ITEMS, credit_bytes=WINDOW_BYTES)
    client.send(Envelope(Kind.ITEM, number=CALL, sequence=0, body=b"\x01"))
    assert client.receive() == Envelope(Kind.ITEM, number=CALL, sequence=0, body=b"\x0b")
    client.send(Envelope(Kind.ITEM, number=CALL, sequence=1, items=2, body=b"\x02\x03"))
    sums = b""
    while len(sums) < 2:
        found = client.receive(Kind.ITEM)
        assert (found.sequence, found.items) == (1 + len(sums), len(found.body))
        sums += found.body
    assert sums == b"\x0d\x10"
    client.send(Envelope(Kind.END, number=CALL, sequence=3))
    assert client.receive() == Envelope(Kind.REPLY, number=CALL, body=b"\xf6")


def test_a_batch_of_the_most_items_counts_as_its_items(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    client.send(batch(0, *[1] * wire.BATCH_ITEMS_MAX))
    client.send(batch(wire.BATCH_ITEMS_MAX, 2, 3))
    client.send(Envelope(Kind.END, number=CALL, sequence=wire.BATCH_ITEMS_MAX + 2))
    assert cbor.decode(client.receive(Kind.REPLY).body) == wire.BATCH_ITEMS_MAX + 5


@pytest.mark.parametrize(
    "body", [b"", b"\x01", b"\x01\x02\x03", b"\x01\x1c"], ids=["none", "one", "three", "malformed"]
)
def test_a_batch_of_other_than_its_items_fails_the_call(client: Dealer, body: bytes) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    client.send(Envelope(Kind.ITEM, number=CALL, sequence=0, items=2, body=body))
    client.send(Envelope(Kind.END, number=CALL, sequence=2))
    assert failure(client.receive(Kind.REPLY))[0] is Code.INVALID_ARGUMENT


def test_a_batch_beyond_its_credit_breaks_the_stream(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    batches = [batch(at * 205, *[1] * 205) for at in range(5)]  # one item more than the window
    (bundle,) = wire.write_messages(batches)  # together, so that no credit can come between
    client.send_frames(*bundle)
    assert failure(client.receive(Kind.REPLY))[0] is Code.RESOURCE_EXHAUSTED


def test_progress_is_sent_to_a_caller_that_requested_it(client: Dealer) -> None:
    call(client, "walk", 300, streams=PROGRESS)
    done, total, message = cbor.decode(client.receive(Kind.PROGRESS).body)
    assert 0 < done <= total == 300
    assert message == "walking"
    assert cbor.decode(client.receive(Kind.REPLY).body) == 300


def test_a_call_of_another_style_does_not_run(client: Dealer) -> None:
    call(client, "count", 3, streams=0)
    assert failure(client.receive(Kind.REPLY)) == (Code.INVALID_ARGUMENT, Executed.NO)


def test_an_item_out_of_order_breaks_the_stream(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    client.send(item(1, 5))
    assert failure(client.receive(Kind.REPLY))[0] is Code.INVALID_ARGUMENT


def test_an_end_with_a_wrong_count_breaks_the_stream(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    client.send(Envelope(Kind.END, number=CALL, sequence=1))
    assert failure(client.receive(Kind.REPLY))[0] is Code.INVALID_ARGUMENT


def test_an_item_without_credit_breaks_the_stream(client: Dealer) -> None:
    request = Envelope(Kind.REQUEST, number=CALL, method="numbers.sum", flags=wire.WAIT_FOR_READY, body=b"\x80")
    request.streams = FROM_CLIENT
    (bundle,) = wire.write_messages([request, item(0, 5)])  # together, so that no credit can come between
    client.send_frames(*bundle)
    assert failure(client.receive(Kind.REPLY))[0] is Code.RESOURCE_EXHAUSTED


def test_an_item_that_is_too_large_breaks_the_stream(client: Dealer) -> None:
    call(client, "sum", streams=FROM_CLIENT)
    client.receive(Kind.CREDIT)
    client.send(item(0, bytes(131_073)))
    assert failure(client.receive(Kind.REPLY))[0] is Code.INVALID_ARGUMENT


def test_credit_beyond_the_window_breaks_the_stream(client: Dealer) -> None:
    call(client, "count", 1_000, streams=TO_CLIENT)
    client.receive(Kind.ITEM)
    client.send(Envelope(Kind.CREDIT, number=CALL, credit_calls=WINDOW_ITEMS + 1))
    assert failure(client.receive(Kind.REPLY))[0] is Code.RESOURCE_EXHAUSTED
