"""The asyncio client against a real broker and a worker in Rust."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import callboard
import callboard.aio
import pytest

from .processes import Broker, Process, example_path, until


def test_calls_are_awaited(broker: Broker, calculator: Process) -> None:
    async def main() -> None:
        async with callboard.aio.Client(broker.frontend) as client:
            assert await client.call("calculator.add", 2, y=3) == 5
            assert await client.service("calculator").add(2, 3) == 5
            results = await asyncio.gather(*(client.call("calculator.add", number, 1) for number in range(5_000)))
            assert results == list(range(1, 5_001))
            with pytest.raises(callboard.InvalidArgument):
                await client.call("calculator.add", "x", 1)
            assert [answer.result for answer in await client.broadcast("calculator.add", 2, 3)] == [5]

    asyncio.run(main())


def test_a_cancelled_task_cancels_its_call(broker: Broker) -> None:
    async def main() -> None:
        async with callboard.aio.Client(broker.frontend) as client:
            pausing = client.submit("jobs.pause", 600_000)
            running = '"running":1'
            await asyncio.to_thread(
                until, "it runs", lambda: running in broker.run("services", "--json").stdout or None
            )
            pausing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pausing
            with pytest.raises(TimeoutError):
                await client.call("jobs.pause", 600_000, timeout=0.05)
            assert (await client.call("jobs.collatz", 27))["value"] == 111

    with broker.worker(example_path("pool-worker"), service="jobs"):
        asyncio.run(main())


def test_streams_go_in_both_directions(broker: Broker) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(1_000):
            yield number

    async def main() -> None:
        async with callboard.aio.Client(broker.frontend) as client:
            assert [item async for item in client.stream("numbers.count", 1_000)] == list(range(1, 1_001))
            assert await client.upload(numbers(), "numbers.sum") == sum(range(1_000))
            async with client.duplex("numbers.sums", 0) as sums:
                assert await sums.send(1) and await anext(sums) == 1
                await sums.send_all([2, 3])
                assert [item async for item in sums] == [3, 6]
            async with client.stream("numbers.count", 10**9) as items:
                assert await anext(items) == 1

    with broker.worker(example_path("streams-worker"), service="numbers"):
        asyncio.run(main())


def test_one_client_serves_several_loops(broker: Broker, calculator: Process) -> None:
    client = callboard.aio.Client(broker.frontend)

    async def call() -> None:
        assert await client.call("calculator.add", 2, 3) == 5

    asyncio.run(call())
    asyncio.run(call())
    asyncio.run(client.close())
