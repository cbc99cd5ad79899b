"""A client and a worker for Callboard of pyzmq and cbor2 alone, written from docs/PROTOCOL.md."""

from callboard_pure.client import Client
from callboard_pure.errors import CallError
from callboard_pure.peer import Curve
from callboard_pure.wire import Code, Executed
from callboard_pure.worker import Context, MethodError, Worker

__all__ = ["CallError", "Client", "Code", "Context", "Curve", "Executed", "MethodError", "Worker"]
