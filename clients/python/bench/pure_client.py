"""The pure pyzmq and cbor2 client of the conformance suite, with as many futures as are outstanding."""

from __future__ import annotations

import collections
import os
import sys
import time
from pathlib import Path

import load

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))

from callboard_pure import Client  # type: ignore[import-untyped]

METHOD = "bench.echo"


def main() -> None:
    options = load.options()
    with Client(os.environ["CALLBOARD_FRONTEND"]) as client:
        for _ in range(load.WARM_UP):
            assert client.submit(METHOD, [load.MESSAGE]).result() == load.MESSAGE
        meter, calls, end = load.Meter(), 0, time.perf_counter() + options.seconds
        futures = collections.deque(client.submit(METHOD, [load.MESSAGE]) for _ in range(options.outstanding))
        while time.perf_counter() < end:
            futures.popleft().result()
            futures.append(client.submit(METHOD, [load.MESSAGE]))
            calls += 1
        meter.print(calls)


if __name__ == "__main__":
    main()
