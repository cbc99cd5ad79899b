"""The exceptions of Callboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from . import _native

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "NoBroker",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "Rejected",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "register_exception",
]

_E = TypeVar("_E", bound=type[BaseException])


class Error(Exception):
    """The failure of a call. There is a subclass for each status code.

    A handler raises one of these to choose the status code of its failure: ``raise callboard.NotFound("no user 7")``.
    """

    code: str = "UNKNOWN"
    """The status code, with the names and meanings of gRPC."""
    executed: str = "yes"
    """Whether the handler ran: "no" (a retry is safe), "yes" or "maybe"."""
    type_name: str = ""
    """The type of the handler's exception, or of an error of Callboard itself, such as "ArgumentError"."""
    message: str = ""
    """The message for people."""
    attempt: int | None = None
    """The number of the attempt that failed, from 1; None if the call did not reach a worker."""
    worker: str | None = None
    """The name of the last worker that received the call."""
    retry_after: float | None = None
    """The seconds after which a retry makes sense, if the broker gave a hint."""
    call_id: str | None = None
    """The id of the call, as in logs and in ``callboard why``."""
    details: Any = None
    """The details: the handler's own data about the failure."""

    def __init__(self, message: str = "", *, details: Any = None, type_name: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.type_name = type_name

    @property
    def traceback(self) -> str | None:
        """The traceback of the handler's exception as text, if its worker sends tracebacks."""
        text = self.details.get("traceback") if isinstance(self.details, dict) else None
        return text if isinstance(text, str) else None

    @property
    def is_safe_to_repeat(self) -> bool:
        """Whether the handler certainly did not run."""
        return self.executed == "no"

    def __str__(self) -> str:
        kind = f" ({self.type_name})" if self.type_name else ""
        call = f", call {self.call_id}" if self.call_id and self.attempt else ""
        return f"{self.code}{kind}: {self.message} (executed: {self.executed}{call})"


class Cancelled(Error):
    """The caller cancelled the call, or its client was closed."""

    code = "CANCELLED"


class Unknown(Error):
    """The handler raised an exception of its own."""

    code = "UNKNOWN"


class InvalidArgument(Error):
    """The arguments do not fit the method. ``details`` has "argument", "expected" and "got"."""

    code = "INVALID_ARGUMENT"


class DeadlineExceeded(Error, TimeoutError):
    """The timeout of the call passed."""

    code = "DEADLINE_EXCEEDED"


class NotFound(Error):
    """The handler did not find what was asked for."""

    code = "NOT_FOUND"


class AlreadyExists(Error):
    """What the handler was asked to create exists already."""

    code = "ALREADY_EXISTS"


class PermissionDenied(Error):
    """The caller does not have the permission."""

    code = "PERMISSION_DENIED"


class ResourceExhausted(Error):
    """A queue is full or a limit is reached. See ``retry_after``."""

    code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(Error):
    """The system is not in the state that the operation requires. A closed client raises this too."""

    code = "FAILED_PRECONDITION"


class Aborted(Error):
    """The operation was aborted because of a conflict."""

    code = "ABORTED"


class OutOfRange(Error):
    """The operation exceeds the valid range."""

    code = "OUT_OF_RANGE"


class Unimplemented(Error):
    """No worker serves a method of this name."""

    code = "UNIMPLEMENTED"


class Internal(Error):
    """The handler broke, or a worker sent an invalid message."""

    code = "INTERNAL"


class Unavailable(Error, ConnectionError):
    """No worker is available, or the worker was lost with the call. See ``executed``."""

    code = "UNAVAILABLE"


class DataLoss(Error):
    """Data was lost and cannot be recovered."""

    code = "DATA_LOSS"


class Unauthenticated(Error):
    """The caller is not authenticated."""

    code = "UNAUTHENTICATED"


class NoBroker(Error, ConnectionError):
    """No broker accepted the client within the timeout."""

    code = "UNAVAILABLE"
    executed = "no"

    def __str__(self) -> str:
        return self.message


class Rejected(Error, ConnectionError):
    """The broker rejected the client: another attempt will fail too."""

    code = "UNAUTHENTICATED"
    executed = "no"

    def __str__(self) -> str:
        return self.message


CLASSES: dict[str, type[Error]] = {
    error.code: error
    for error in (
        Cancelled,
        Unknown,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
        Unauthenticated,
    )
}

_registered: dict[str, type[BaseException]] = {}


@overload
def register_exception(exception: _E) -> _E: ...


@overload
def register_exception(exception: None = None, *, name: str) -> Callable[[_E], _E]: ...


def register_exception(exception: _E | None = None, *, name: str | None = None) -> _E | Callable[[_E], _E]:
    """Registers an exception class, also as a decorator: a handler's exception of this name is raised as itself.

    The client creates the exception from the arguments of the handler's exception. Its ``__cause__`` is the
    :class:`callboard.Error` with everything else that is known of the failure::

        @callboard.register_exception
        class OutOfStock(Exception): ...
    """

    def register(exception: _E) -> _E:
        _registered[name or exception.__name__] = exception
        return exception

    return register if exception is None else register(exception)


def from_failure(
    code: str,
    message: str,
    type_name: str,
    executed: str,
    attempt: int | None,
    worker: str | None,
    details: bytes,
    retry_after: float | None,
    call_id: str | None,
) -> BaseException:
    """Returns the exception of a failed call. The native module calls it."""
    error = CLASSES.get(code, Error)(message, type_name=type_name)
    error.code, error.executed, error.attempt, error.worker = code, executed, attempt, worker
    error.retry_after, error.call_id = retry_after, call_id
    if details:
        try:
            error.details = _native.decode(details)
        except ValueError:
            error.details = details
    return _as_registered(error) or error


def _as_registered(error: Error) -> BaseException | None:
    """Returns the registered exception of this failure. A class that does not take the arguments is not used."""
    registered = _registered.get(error.type_name)
    if registered is None or not isinstance(error.details, dict):
        return None
    args = error.details.get("args")
    try:
        exception = registered(*(args if isinstance(args, list) else ()))
    except Exception:
        return None
    exception.__cause__ = error
    return exception
