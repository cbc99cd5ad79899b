"""Callboard's client: blocking calls, futures, or asyncio."""

from __future__ import annotations

import asyncio
import collections
import time

import callboard
import load

METHOD = "bench.echo"


def submit(client: callboard.Client, outstanding: int, seconds: float) -> None:
    """As many futures as are outstanding; the oldest is waited for."""
    for _ in range(load.WARM_UP):
        assert client.submit(METHOD, load.MESSAGE, wait_for_ready=True).result() == load.MESSAGE
    meter, calls, end = load.Meter(), 0, time.perf_counter() + seconds
    futures = collections.deque(client.submit(METHOD, load.MESSAGE) for _ in range(outstanding))
    while time.perf_counter() < end:
        futures.popleft().result()
        futures.append(client.submit(METHOD, load.MESSAGE))
        calls += 1
    meter.print(calls)


async def main_asyncio(outstanding: int, seconds: float) -> None:
    async with callboard.aio.Client() as client:
        await client.call(METHOD, load.MESSAGE, wait_for_ready=True)
        await load.tasks(lambda message: client.call(METHOD, message), outstanding, seconds)


def main() -> None:
    options = load.options("style")
    if options.style == "asyncio":
        asyncio.run(main_asyncio(options.outstanding, options.seconds))
        return
    with callboard.Client() as client:
        client.call(METHOD, load.MESSAGE, wait_for_ready=True)
        if options.style == "submit":
            submit(client, options.outstanding, options.seconds)
        else:
            load.one_after_the_other(lambda message: client.call(METHOD, message), options.seconds)


if __name__ == "__main__":
    main()
