"""The smallest client of PROTOCOL.md 0.3: one call, one connection, no reconnecting.

Usage: python smallest_client.py tcp://127.0.0.1:5559 calculator.add 2 3
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import cbor2
import zmq

HELLO, CHALLENGE, PROOF, WELCOME, REQUEST, REPLY, GOODBYE, PING, PONG = 0, 1, 2, 3, 5, 7, 16, 17, 18
CODE = 7  # the header's key of a failure
HEARTBEAT = 1.0  # seconds, the broker's too
HANDSHAKE = 5.0
INLINE_BODY_MAX = 16_384  # bytes; a larger body has a frame of its own


class Connection:
    """One connection, which ends when the broker sends nothing for three heartbeats."""

    def __init__(self, address: str, role: str, **more: str) -> None:
        self.dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self.dealer.setsockopt(zmq.RECONNECT_IVL, 86_400_000)  # a day: never
        self.dealer.setsockopt(zmq.LINGER, 0)
        self.dealer.connect(address)
        self.welcomed = False
        self.last_sent = self.last_received = time.monotonic()
        session = {"versions": [2, 2], "role": role, "session": uuid.uuid4().bytes, "connection": 1}
        self.send({0: HELLO}, cbor2.dumps(session | {"heartbeat_ms": int(HEARTBEAT * 1000), **more}))

    def send(self, header: dict[int, Any], body: bytes = b"") -> None:
        """Sends one envelope. The keys of the header must be in ascending order."""
        if len(body) > INLINE_BODY_MAX:
            self.dealer.send_multipart([cbor2.dumps(header), body])
        else:
            self.dealer.send(cbor2.dumps(header) + cbor2.dumps(body))
        self.last_sent = time.monotonic()

    def envelopes(self) -> Iterator[tuple[dict[int, Any], bytes]]:
        """Yields what arrives, after the handshake's and the heartbeat's part is done. Also yields idle moments."""
        while time.monotonic() - self.last_received < (3 * HEARTBEAT if self.welcomed else HANDSHAKE):
            if self.welcomed and time.monotonic() - self.last_sent > HEARTBEAT / 2:
                self.send({0: PING, 1: 0})
            if not self.dealer.poll(100):
                yield {0: -1}, b""
                continue
            self.last_received = time.monotonic()
            for header, body in split(self.dealer.recv_multipart()):
                if header[0] == CHALLENGE and body == b"":
                    self.send({0: PROOF})
                elif header[0] == PING:
                    self.send({0: PONG, 1: header[1]})
                self.welcomed |= header[0] == WELCOME
                yield header, body


def split(frames: list[bytes]) -> list[tuple[dict[int, Any], bytes]]:
    """Reads a message, without the checks of section 2."""
    if len(frames) == 2:
        return [(cbor2.loads(frames[0]), frames[1])]
    sequence = cbor2.loads(b"\x9f" + frames[0] + b"\xff")  # as an array of indefinite length
    return list(zip(sequence[::2], sequence[1::2], strict=True))


def main(address: str, method: str, *arguments: str) -> int:
    """Makes one call and prints its outcome."""
    connection = Connection(address, "client")
    outcome = "no outcome: the connection was lost"
    status = 2
    for header, body in connection.envelopes():
        if header[0] == WELCOME:
            values = [json.loads(argument) for argument in arguments]
            connection.send({0: REQUEST, 1: 1, 2: method, 3: 30_000}, cbor2.dumps(values))
        elif header[0] == REPLY or CODE in header:
            outcome, status = (str(header), 1) if CODE in header else (cbor2.loads(body), 0)
            connection.send({0: GOODBYE})
        if header[0] == GOODBYE:
            break
    print(outcome)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
