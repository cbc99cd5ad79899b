"""Callboard: call functions in pools of worker processes, through a broker.

A client::

    import callboard

    with callboard.Client() as client:
        print(client.call("calculator.add", 2, 3))

A worker::

    import callboard

    app = callboard.Worker("calculator")

    @app.read
    def add(x: int, y: int) -> int:
        return x + y

    app.run()

The guide's chapter "Python" has more: futures, streams, asyncio.
"""

import platform as _platform

try:
    from . import _native as _native
except ImportError as error:
    python = f"CPython {_platform.python_version()} on {_platform.system()} {_platform.machine()}"
    text = f"callboard's native module cannot be loaded by {python}: install the package again with this Python"
    raise ImportError(f"{text}: {error}") from error

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
from ._worker import Context, Worker, idempotent, once, read

__all__ = [
    "END",
    "Aborted",
    "AlreadyExists",
    "Answer",
    "Cancelled",
    "Client",
    "Context",
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
    "Worker",
    "aio",
    "idempotent",
    "once",
    "read",
    "register_exception",
]
