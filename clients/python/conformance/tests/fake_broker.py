"""A broker that does what a test tells it to, so that the test sees every envelope of a peer."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import zmq
from harness import DEADLINE

from callboard_pure import cbor, wire
from callboard_pure.wire import Code, Envelope, Executed, Kind


class FakeBroker:
    """One ROUTER, for one peer at a time. It answers nothing by itself."""

    def __init__(self, **welcome: Any) -> None:
        self._context = zmq.Context()
        self._router: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self.address = f"tcp://127.0.0.1:{self._router.bind_to_random_port('tcp://127.0.0.1')}"
        self._peer = b""
        self._unread: list[Envelope] = []
        self.welcome = {
            "version": 2,
            "broker": bytes(16),
            "start": bytes(16),
            "frontend": self.address,
            "heartbeat_ms": 60_000,
            "credit_calls": 4096,
            "credit_bytes": 1 << 26,
            "message_bytes_max": 1 << 24,
        } | welcome

    def __enter__(self) -> FakeBroker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._context.destroy(linger=0)

    def next(self, seconds: float = DEADLINE) -> Envelope:
        """Returns the next envelope of the peer, whatever it is."""
        if not self._unread:
            assert self._router.poll(int(seconds * 1000)), "the peer sent nothing"
            self._peer, *frames = self._router.recv_multipart()
            results = list(wire.read_message(frames, to_peer=False))
            self._unread = [result for result in results if isinstance(result, Envelope)]
            assert len(self._unread) == len(results), results
        return self._unread.pop(0)

    def expect(self, kind: Kind, number: int | None = None) -> Envelope:
        """Returns the next envelope apart from pings, pongs and started, which must be of this kind and number."""
        end = time.monotonic() + DEADLINE
        envelope = self.next()
        while envelope.kind in (Kind.PING, Kind.PONG, Kind.STARTED) and envelope.kind != kind:
            envelope = self.next(end - time.monotonic())
        assert envelope.kind == kind, envelope
        assert number is None or envelope.number == number, envelope
        return envelope

    def send(self, *envelopes: Envelope) -> None:
        """Sends envelopes to the peer that was heard last."""
        for frames in wire.write_messages(envelopes):
            self.send_frames(*frames)

    def send_frames(self, *frames: bytes) -> None:
        """Sends a message of any form."""
        self._router.send_multipart([self._peer, *frames])

    def accept(self, **changes: Any) -> dict[str, Any]:
        """Does the broker's part of the handshake and returns the body of hello."""
        hello = self.hello()
        self.admit(**changes)
        return hello

    def hello(self) -> dict[str, Any]:
        """Returns the body of hello. From then on, the peer is disconnected until `admit`."""
        body: dict[str, Any] = cbor.decode(self.expect(Kind.HELLO).body)
        return body

    def admit(self, **changes: Any) -> None:
        """Does the broker's part of the handshake after hello."""
        self.send(Envelope(Kind.CHALLENGE))
        self.expect(Kind.PROOF)
        self.welcome |= changes
        self.send(Envelope(Kind.WELCOME, body=cbor.encode(self.welcome)))

    def catch_up(self) -> None:
        """Waits until the peer has handled everything that was sent to it."""
        self.send(Envelope(Kind.PING, number=1 << 32))
        self.expect(Kind.PONG, 1 << 32)

    def register(self, **changes: Any) -> dict[str, Any]:
        """Does the same with a worker, and returns its only offer."""
        self.accept(**changes)
        (offer,) = cbor.decode(self.expect(Kind.REGISTER).body)["offers"]
        self.send(Envelope(Kind.PONG, number=self.expect(Kind.PING).number))
        found: dict[str, Any] = offer
        return found

    def goodbye(self, code: Code | None = Code.UNAVAILABLE) -> None:
        """Disconnects the peer."""
        executed = None if code is None else Executed.NO
        self.send(Envelope(Kind.GOODBYE, code=code, executed=executed, message="" if code is None else "a test"))

    def dispatch(self, number: int, method: str, *arguments: Any, **keys: Any) -> None:
        """Dispatches a call to a worker."""
        body = cbor.encode(list(arguments))
        self.send(
            Envelope(Kind.REQUEST, number=number, method=method, attempt=1, caller=1, call=number, body=body, **keys)
        )
