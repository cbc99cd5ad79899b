"""grpcio with threads.

The messages are encoded by pickle, the fastest codec of the standard library, so the figure favours grpcio.
"""

from __future__ import annotations

import pickle
import sys
from concurrent import futures

import grpc
import load


class Handler(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message, pickle.loads, pickle.dumps)


def main() -> None:
    if sys.argv[1] == "server":
        server = grpc.server(futures.ThreadPoolExecutor(10))
        server.add_generic_rpc_handlers((Handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        print(f"ready 127.0.0.1:{port}", flush=True)
        server.wait_for_termination()
    options = load.options("role", "address")
    channel = grpc.insecure_channel(options.address)
    echo = channel.unary_unary("/bench/echo", pickle.dumps, pickle.loads)
    if options.outstanding == 1:
        load.one_after_the_other(echo, options.seconds)
    else:
        load.threads(echo, options.outstanding, options.seconds)


if __name__ == "__main__":
    main()
