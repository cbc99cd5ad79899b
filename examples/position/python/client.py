"""A client that continues after errors. It requests the position once a second, or reads the newest positions.

python client.py
python client.py --watch --every-ms 250
"""

import logging
import time
from typing import Any

import callboard
import settings


def ask(client: callboard.Client) -> None:
    """Requests the position."""
    show(client.call("position.position", "the example", timeout=every), missed=0)


def watch(client: callboard.Client) -> None:
    """Reads the newest position repeatedly. Between two reads it sleeps, and skips the older positions."""
    with client.stream("position.watch", timeout=None, conflate=True) as newest:
        for reading in newest:
            show(reading, newest.dropped)
            time.sleep(every)


def show(reading: dict[str, Any], missed: int) -> None:
    print(f"x {reading['x']:+.3f}, y {reading['y']:+.3f}: {reading['message']}; missed {missed}", flush=True)


options = settings.load(address="tcp://127.0.0.1:5559", address_variable="CALLBOARD_FRONTEND", every_ms=1000)
every = options.every_ms / 1000
with callboard.Client(options.address) as client:
    while True:
        try:
            watch(client) if options.watch else ask(client)
        except callboard.Error as error:
            logging.warning("%s", error)
            print("no position:", error.code, flush=True)
        time.sleep(every)
