"""The outcome of a call that failed."""

from __future__ import annotations

from typing import Any

from callboard_pure import cbor
from callboard_pure.wire import Code, Envelope, Executed


class CallError(Exception):
    """A failed call: its status code, and whether its handler ran (PROTOCOL.md 4.11)."""

    def __init__(
        self,
        code: Code,
        executed: Executed,
        message: str = "",
        *,
        type_name: str = "",
        attempt: int = 0,
        worker: str = "",
        retry_after_ms: int | None = None,
        details: bytes = b"",
    ) -> None:
        name = f"{code.name} {type_name}" if type_name else code.name
        super().__init__(f"{name}: {message} (executed: {executed.name.lower()})")
        self.code = code
        self.executed = executed
        self.message = message
        self.type_name = type_name
        self.attempt = attempt
        self.worker = worker
        self.retry_after_ms = retry_after_ms
        self.details = details

    @classmethod
    def of(cls, envelope: Envelope) -> CallError:
        """Returns the failure that a reply or goodbye with a code carries."""
        return cls(
            Code(envelope.code or Code.UNKNOWN),
            Executed(envelope.executed or 0),
            envelope.message,
            type_name=envelope.type,
            attempt=envelope.attempt,
            worker=envelope.worker,
            retry_after_ms=envelope.retry_after_ms,
            details=envelope.body,
        )

    def decoded_details(self) -> Any:
        """Returns the details as a value, None if there are none."""
        return cbor.decode(self.details) if self.details else None
