"""PROTOCOL.md itself: its bytes are those of the codec, and its example of credit is what the broker does."""

from __future__ import annotations

import re
import uuid

import pytest
import zmq
from dealer import HELLO, Dealer
from harness import ROOT, Broker
from test_vectors import load

from callboard_pure import cbor, wire
from callboard_pure.wire import Envelope, Kind

PROTOCOL = (ROOT / "docs" / "PROTOCOL.md").read_text()
CALL = {"number": 1, "method": "calculator.add", "timeout_ms": 30_000, "body": b"\x82\x02\x03"}


def messages() -> list[bytes]:
    """Returns the messages of section 0.2: the lines of hexadecimal digits below each title."""
    (block,) = re.findall(r"^0\.2\..*?```text\n(.*?)```", PROTOCOL, re.MULTILINE | re.DOTALL)
    found = []
    for paragraph in block.strip().split("\n\n"):
        title, *lines = paragraph.splitlines()
        frames = [bytes.fromhex(line.partition(";")[0]) for line in lines]
        found += frames if title.startswith(("ping", "goodbye")) else [b"".join(frames)]
    return found


def test_the_bytes_of_section_0_are_what_the_codec_reads_and_writes() -> None:
    read = [list(wire.read_message([message], to_peer=index in (1, 3, 6))) for index, message in enumerate(messages())]
    envelopes = [envelope for (envelope,) in read if isinstance(envelope, Envelope)]
    assert [envelope.kind for envelope in envelopes] == [0, 1, 2, 3, 4, 5, 5, 7, 17, 18, 16]
    assert [frame for each in envelopes for (frame,) in wire.write_messages([each])] == messages()
    assert cbor.decode(envelopes[0].body) == HELLO
    assert envelopes[5] == Envelope(Kind.REQUEST, **CALL)  # type: ignore[arg-type]
    assert envelopes[6] == Envelope(Kind.REQUEST, attempt=1, caller=0x00010203, call=1, **CALL)  # type: ignore[arg-type]
    assert envelopes[7] == Envelope(Kind.REPLY, number=1, body=b"\x05")


@pytest.mark.parametrize("name", ["hello", "challenge", "proof", "welcome", "register"])
def test_the_handshake_of_section_0_is_that_of_the_vectors(name: str) -> None:
    vectors = {vector["name"]: vector for vector in (parameter.values[0] for parameter in load("envelopes"))}
    assert bytes.fromhex(vectors[name]["frames"][0]) in messages()


def test_the_broker_grants_credit_as_the_example_of_5_1_states(
    broker: Broker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    """The calls are of `callboard.ping`, which the broker answers itself; its arguments are ignored."""
    session = uuid.uuid4().bytes
    client = Dealer(context, broker.frontend, session, 1)
    request = Envelope(Kind.REQUEST, method="callboard.ping", body=b"\x82\x02\x03")
    assert (client.calls, client.bytes) == (4_096, 67_108_864)
    for number in range(1, 2_048):
        request.number, request.done_below = number, number
        client.send(request)
        reply = client.receive(Kind.REPLY)
        assert (reply.credit_calls, reply.credit_bytes) == (0, 0)
    assert (client.calls, client.bytes) == (2_049, 67_102_723)
    request.number = request.done_below = 2_048
    client.send(request)
    assert (client.calls, client.bytes) == (2_048, 67_102_720)
    reply = client.receive(Kind.REPLY)
    assert (reply.credit_calls, reply.credit_bytes) == (2_048, 6_144)
    assert (client.calls, client.bytes) == (4_096, 67_108_864)
    waiting = Envelope(
        Kind.REQUEST, method="nothing.here", flags=wire.WAIT_FOR_READY, timeout_ms=60_000, body=b"\x82\x02\x03"
    )
    for number in range(2_049, 2_052):
        waiting.number = number
        client.send(waiting)
    for number in range(2_052, 2_054):
        request.number, request.done_below = number, None
        client.send(request)
        client.receive(Kind.REPLY)
    assert (client.calls, client.bytes) == (4_091, 67_108_849)
    client = Dealer(context, broker.frontend, session, 2)
    assert (client.calls, client.bytes) == (4_096, 67_108_864)
    for number in range(2_049, 2_052):
        waiting.number, waiting.flags = number, wire.WAIT_FOR_READY | wire.RESEND
        client.send(waiting)
    assert (client.calls, client.bytes) == (4_093, 67_108_855)
