"""Callboard: call functions in pools of worker processes, through a broker.

A client::

    import callboard

    with callboard.Client() as client:
        print(client.call("calculator.add", 2, 3))

The guide's chapter "Python" has more: workers, futures, streams, asyncio.
"""

from . import aio
from ._client import Answer, Client, Duplex, Future, Method, Service, Stream
from ._errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NoBroker,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Rejected,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
    register_exception,
)
from ._native import END, Tagged
from ._polled import PolledClient

__all__ = [
    "END",
    "Aborted",
    "AlreadyExists",
    "Answer",
    "Cancelled",
    "Client",
    "DataLoss",
    "DeadlineExceeded",
    "Duplex",
    "Error",
    "FailedPrecondition",
    "Future",
    "Internal",
    "InvalidArgument",
    "Method",
    "NoBroker",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PolledClient",
    "Rejected",
    "ResourceExhausted",
    "Service",
    "Stream",
    "Tagged",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "aio",
    "register_exception",
]
