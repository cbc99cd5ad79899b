"""The smallest worker of PROTOCOL.md 0.4: one method, one slot, one connection, no reconnecting.

Usage: python smallest_worker.py tcp://127.0.0.1:5560
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

import cbor2
import smallest_client
from smallest_client import GOODBYE, PING, PONG, REPLY, REQUEST, WELCOME

REGISTER, HANDBACK, DRAIN = 4, 13, 15
INVALID_ARGUMENT, UNIMPLEMENTED, NO = 3, 12, 0
REGISTERED, DRAINED = 1, 2  # the numbers of two pings
OFFER = {
    "service": "greeter",
    "slots": 1,
    "free": 1,
    "methods": [{"name": "greet", "effect": "read", "arguments": ["name"]}],
}


def reply_to(dispatch: dict[int, Any], body: bytes) -> tuple[dict[int, Any], bytes]:
    """Returns the reply to a dispatch. The handler runs at once, so it must end within the heartbeats."""
    if dispatch[2] != "greeter.greet":
        return {0: REPLY, 1: dispatch[1], 7: UNIMPLEMENTED, 8: NO}, b""
    arguments = cbor2.loads(body)
    values = arguments if isinstance(arguments, list) else [arguments.get("name", arguments.get(0))]
    has_items = dispatch.get(29, 0) & 3
    if has_items or len(values) != 1 or not isinstance(values[0], str):
        return {0: REPLY, 1: dispatch[1], 7: INVALID_ARGUMENT, 8: NO, 9: "ArgumentError"}, b""
    return {0: REPLY, 1: dispatch[1]}, cbor2.dumps(f"Hello, {values[0]}!")


def main(address: str) -> int:
    """Serves until SIGTERM, then drains."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = smallest_client.Connection(address, "worker", instance=f"greeter-{os.getpid()}")
    draining = False
    for header, body in worker.envelopes():
        if stop.is_set() and worker.welcomed and not draining:
            draining = True
            worker.send({0: DRAIN})
            worker.send({0: PING, 1: DRAINED})  # its pong follows every dispatch that crossed the drain
        if header[0] == WELCOME:
            worker.send({0: REGISTER}, cbor2.dumps({"offers": [OFFER]}))
            worker.send({0: PING, 1: REGISTERED})  # its pong shows that the registration was accepted
        elif header == {0: PONG, 1: REGISTERED}:
            print("ready", flush=True)
        elif header == {0: PONG, 1: DRAINED}:
            worker.send({0: GOODBYE})
        elif header[0] == REQUEST and draining:
            worker.send({0: HANDBACK, 1: header[1]})
        elif header[0] == REQUEST:
            worker.send(*reply_to(header, body))
        elif header[0] == GOODBYE:
            return int(smallest_client.CODE in header)
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
