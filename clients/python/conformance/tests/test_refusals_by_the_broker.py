"""What the real broker does with messages that are not valid (PROTOCOL.md 0.5, 2.5 and 3.1)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import zmq
from dealer import Dealer
from harness import Broker
from test_vectors import load

from callboard_pure import Code, wire
from callboard_pure.peer import SOCKET_OPTIONS
from callboard_pure.wire import Envelope, Executed, Kind

Context = zmq.Context[zmq.Socket[bytes]]
SENT_BY_CLIENTS = {Kind.REQUEST, Kind.ITEM, Kind.END, Kind.CREDIT, Kind.CANCEL, Kind.GOODBYE, Kind.PING, Kind.PONG}
REFUSED_BY_THE_BROKER = [
    parameter
    for parameter in load("refusals")
    if parameter.values[0]["reader"] == "broker" and len(parameter.values[0]["frames"]) in (1, 2)
]


@pytest.fixture(scope="module")
def broker() -> Any:
    """One broker for all messages: none of them may harm it."""
    process = Broker()
    yield process
    process.kill()


@pytest.mark.parametrize("vector", REFUSED_BY_THE_BROKER)
def test_a_refused_request_is_answered_and_the_connection_stays(
    broker: Broker, context: Context, vector: dict[str, Any]
) -> None:
    client = Dealer(context, broker.frontend, uuid.uuid4().bytes, 1)
    client.send_frames(*(bytes.fromhex(frame) for frame in vector["frames"]))
    for read in vector["reads"]:
        if "refused" not in read:
            if read["kind"] not in SENT_BY_CLIENTS:  # misplaced: the broker disconnects its sender
                goodbye = client.receive()
                assert (goodbye.kind, goodbye.code) == (Kind.GOODBYE, Code.FAILED_PRECONDITION)
                return
            assert client.receive() == Envelope(Kind.PONG, number=read["number"])
        elif read.get("kind") == Kind.REQUEST and "number" in read:
            reply = client.receive()
            assert (reply.kind, reply.number) == (Kind.REPLY, read["number"])
            assert (reply.code, reply.executed) == (Code[read["refused"]], Executed.NO)
        elif read.get("kind") not in list(Kind) and "number" in read:
            reply = client.receive()
            assert (reply.kind, reply.number, reply.code) == (Kind.REPLY, read["number"], Code.UNIMPLEMENTED)
    client.send(Envelope(Kind.PING, number=99))
    assert client.receive() == Envelope(Kind.PONG, number=99)


@pytest.mark.parametrize("vector", load("registrations"))
def test_a_registration_is_accepted_or_rejected_as_its_vector_states(
    broker: Broker, context: Context, vector: dict[str, Any]
) -> None:
    worker = Dealer(context, broker.backend, uuid.uuid4().bytes, 1, role="worker")
    worker.send(Envelope(Kind.REGISTER, body=bytes.fromhex(vector["body"])))
    worker.send(Envelope(Kind.PING, number=1))
    answer = worker.receive()
    if "refused" not in vector:
        assert answer == Envelope(Kind.PONG, number=1)
    else:
        assert (answer.kind, answer.code) == (Kind.GOODBYE, Code[vector["refused"]])


def test_a_message_of_three_frames_ends_the_connection(broker: Broker, context: Context) -> None:
    client = Dealer(context, broker.frontend, uuid.uuid4().bytes, 1)
    client.send_frames(b"\xa1\x00\x0f", b"", b"")
    goodbye = client.receive()
    assert (goodbye.kind, goodbye.code) == (Kind.GOODBYE, Code.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(
    "envelope",
    [Envelope(Kind.PING, number=1), Envelope(Kind.REQUEST, number=1, method="a.b", body=b"\x80"), Envelope(Kind.PROOF)],
)
def test_nothing_but_hello_may_come_first(broker: Broker, context: Context, envelope: Envelope) -> None:
    dealer: zmq.Socket[bytes] = context.socket(zmq.DEALER)
    for option, value in SOCKET_OPTIONS.items():
        dealer.setsockopt(option, value)
    dealer.connect(broker.frontend)
    for frames in wire.write_messages([envelope]):
        dealer.send_multipart(frames)
    (goodbye,) = wire.read_message(dealer.recv_multipart())
    assert isinstance(goodbye, Envelope)
    assert (goodbye.kind, goodbye.code) == (Kind.GOODBYE, Code.FAILED_PRECONDITION)


def test_a_session_is_taken_over_by_a_higher_connection_number_only(broker: Broker, context: Context) -> None:
    session = uuid.uuid4().bytes
    first = Dealer(context, broker.frontend, session, 2)
    second = Dealer(context, broker.frontend, session, 3)
    with pytest.raises(AssertionError, match=r"kind=16.*code=9"):
        Dealer(context, broker.frontend, session, 3)
    second.send(Envelope(Kind.PING, number=1))
    assert second.receive() == Envelope(Kind.PONG, number=1)
    assert first.socket.poll(0) == 0 or first.receive().kind == Kind.GOODBYE
