"""zerorpc: a server without a broker, and green threads as outstanding calls."""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import gevent
import load
import zerorpc


class Echo:
    def echo(self, message: Any) -> Any:
        return message


def main() -> None:
    if sys.argv[1] == "server":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        server = zerorpc.Server(Echo())
        server.bind(address)
        print(f"ready {address}", flush=True)
        server.run()
    options = load.options("role", "address")
    client = zerorpc.Client(timeout=30)
    client.connect(options.address)
    for _ in range(load.WARM_UP):
        client.echo(load.MESSAGE)
    calls = 0

    def work() -> None:
        nonlocal calls
        while time.perf_counter() < end:
            client.echo(load.MESSAGE)
            calls += 1

    meter, end = load.Meter(), time.perf_counter() + options.seconds
    gevent.joinall([gevent.spawn(work) for _ in range(options.outstanding)], raise_error=True)
    meter.print(calls)


if __name__ == "__main__":
    main()
