"""grpcio with asyncio. The messages are encoded by pickle, as in grpc_echo.py."""

from __future__ import annotations

import asyncio
import pickle
import sys
from typing import Any

import grpc
import load


async def echo_message(message: Any, context: Any) -> Any:
    return message


class Handler(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(echo_message, pickle.loads, pickle.dumps)


async def serve() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


async def call(address: str, outstanding: int, seconds: float) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        echo = channel.unary_unary("/bench/echo", pickle.dumps, pickle.loads)
        await load.tasks(echo, outstanding, seconds)


def main() -> None:
    if sys.argv[1] == "server":
        asyncio.run(serve())
    else:
        options = load.options("role", "address")
        asyncio.run(call(options.address, options.outstanding, options.seconds))


if __name__ == "__main__":
    main()
