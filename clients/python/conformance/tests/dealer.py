"""A peer without any logic of its own, for messages that a client or worker would not send."""

from __future__ import annotations

import zmq
from harness import DEADLINE

from callboard_pure import cbor, wire
from callboard_pure.peer import SOCKET_OPTIONS
from callboard_pure.wire import Envelope, Kind, Refusal

HELLO = {"versions": [2, 2], "role": "client", "session": bytes(range(16)), "connection": 1, "heartbeat_ms": 1000}


class Dealer:
    """A client or worker without any logic of its own: a socket and the codec."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        address: str,
        session: bytes,
        connection: int,
        role: str = "client",
    ) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        for option, value in SOCKET_OPTIONS.items():
            self.socket.setsockopt(option, value)
        self.socket.connect(address)
        self._unread: list[Envelope | Refusal] = []
        self.calls = self.bytes = 0
        hello = HELLO | {"role": role, "session": session, "connection": connection, "heartbeat_ms": 60_000}
        self.send(Envelope(Kind.HELLO, body=cbor.encode(hello)))
        self.receive(Kind.CHALLENGE)
        self.send(Envelope(Kind.PROOF))
        self.welcome = cbor.decode(self.receive(Kind.WELCOME).body)
        self.calls, self.bytes = self.welcome["credit_calls"], self.welcome["credit_bytes"]

    def send_frames(self, *frames: bytes) -> None:
        """Sends a message of any form."""
        self.socket.send_multipart(frames)

    def send(self, envelope: Envelope) -> None:
        """Sends an envelope, and uses the credit of a request."""
        for frames in wire.write_messages([envelope]):
            self.socket.send_multipart(frames)
        if envelope.kind == Kind.REQUEST:
            self.calls -= 1
            self.bytes -= len(envelope.body)

    def receive(self, kind: Kind | None = None) -> Envelope:
        """Returns the next envelope, of this kind if one is given, and counts the credit of all that arrive."""
        while True:
            envelope = self._next()
            if envelope.kind in (Kind.REPLY, Kind.CREDIT):
                self.calls += envelope.credit_calls
                self.bytes += envelope.credit_bytes
            if kind is None or envelope.kind == kind:
                return envelope
            assert envelope.kind != Kind.GOODBYE, envelope

    def _next(self) -> Envelope:
        if not self._unread:
            assert self.socket.poll(int(DEADLINE * 1000)), "the broker sent nothing"
            self._unread = list(wire.read_message(self.socket.recv_multipart()))
        envelope = self._unread.pop(0)
        assert isinstance(envelope, Envelope), envelope
        return envelope
