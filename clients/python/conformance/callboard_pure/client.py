"""A client: calls, casts, broadcasts and their outcomes (PROTOCOL.md 4, 5.1, 11.4). It has no streams."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from callboard_pure import cbor, wire
from callboard_pure.cbor import MalformedError
from callboard_pure.errors import CallError
from callboard_pure.peer import Curve, Peer, Phase
from callboard_pure.wire import Code, Envelope, Executed, Kind, Refusal

FRONTEND = "tcp://127.0.0.1:5559"
TIMEOUT_SECONDS = 30.0
ONCE = 2
EFFECTS = {"read": 0, "idempotent": 1, "once": ONCE}
PRIORITIES = {"low": 0, "normal": 1, "high": 2}


@dataclass(slots=True, eq=False)
class _Call:
    """A call that has no outcome yet. It waits until it has a number, and is open from then on (11.4)."""

    request: Envelope
    future: Future[Any]
    deadline: float

    def has_flag(self, flag: int) -> bool:
        return bool(self.request.flags & flag)


class Client(Peer):
    """Calls methods by name. A thread of its own owns the connection; every method may be called from any thread."""

    role = "client"

    def __init__(
        self,
        address: str = FRONTEND,
        authkey: bytes | None = None,
        *,
        curve: Curve | None = None,
        heartbeat_ms: int = 1000,
        instance: str = "",
    ) -> None:
        default = f"{os.path.basename(sys.argv[0] or 'python')}-{os.getpid()}"
        super().__init__(address, authkey, curve, heartbeat_ms, instance or default)
        self._waiting: deque[_Call] = deque()
        self._open: dict[int, _Call] = {}  # by number, in ascending order
        self._resends: deque[_Call] = deque()  # open calls that this connection has not sent yet
        self._cancelled: list[int] = []  # numbers whose cancel this start of the broker may not have received
        self._next_number = 1
        self._stated_below = 1
        self._credit_calls = self._credit_bytes = 0
        self._closing = False
        self._closed: CallError | None = None
        self._thread = threading.Thread(target=self._run, name="callboard-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def call(self, method: str, arguments: list[Any] | dict[Any, Any] | None = None, **options: Any) -> Any:
        """Calls a method and returns its result. `options` are those of `submit`.

        Raises:
            CallError: if the call failed.
        """
        return self.submit(method, arguments, **options).result()

    def submit(
        self,
        method: str,
        arguments: list[Any] | dict[Any, Any] | None = None,
        *,
        timeout: float | None = TIMEOUT_SECONDS,
        effect: str | None = None,
        priority: str = "normal",
        key: str | None = None,
        wait_for_ready: bool = False,
        broadcast: bool = False,
        cast: bool = False,
    ) -> Future[Any]:
        """Sends a call and returns its future. Cancelling the future cancels the call.

        `timeout` is in seconds, None for no limit. `arguments` are positions, or names, or both (8.1). The future of a
        cast ends when the cast was handed to the socket.
        """
        flags = cast * wire.CAST | wait_for_ready * wire.WAIT_FOR_READY | broadcast * wire.BROADCAST
        request = Envelope(
            Kind.REQUEST,
            method=method,
            effect=None if effect is None else EFFECTS[effect],
            flags=flags,
            priority=PRIORITIES[priority],
            key=key,
            body=cbor.encode([] if arguments is None else arguments),
        )
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        call = _Call(request, Future(), deadline)
        if not self.post(lambda: self._begin(call)):
            self._fail_closed(call)
        return call.future

    def close(self) -> None:
        """Sends the casts that wait, ends all calls with CANCELLED, and says goodbye to the broker."""
        self.post(self._begin_close)
        self._thread.join()

    # The rest runs on the client's thread.

    def _begin(self, call: _Call) -> None:
        if self._closed or self._closing:
            return self._fail_closed(call)
        self._waiting.append(call)
        if call.deadline < math.inf:
            self._at(call.deadline, lambda: self._on_deadline(call))
        return call.future.add_done_callback(lambda future: self._on_done(call, future))

    def _fail_closed(self, call: _Call) -> None:
        """Ends a call of a closed client, with the reason of its rejection if the broker rejected it."""
        closed = self._closed
        if closed is None or closed.code is Code.CANCELLED:
            return self._fail(call, Code.CANCELLED, Executed.NO, "the client is closed")
        return self._fail(call, closed.code, Executed.NO, closed.message)

    def _begin_close(self) -> None:
        self._closing = True
        for call in [call for call in self._waiting if not call.has_flag(wire.CAST)]:
            self._waiting.remove(call)
            self._fail(call, Code.CANCELLED, Executed.NO, "the client was closed")
        for call in list(self._open.values()):
            self._forget(call)
            self._fail(call, Code.CANCELLED, Executed.MAYBE, "the client was closed")

    def _on_turn(self) -> None:
        if self._phase is not Phase.CONNECTED:
            if self._closing:
                self._say_goodbye()
            return
        while self._resends and self._send_request(self._resends[0], wire.RESEND):
            self._resends.popleft()
        while self._waiting and not self._resends and self._send_request(self._waiting[0], 0):
            self._waiting.popleft()
        if self._closing and not self._waiting:
            self._say_goodbye()

    def _send_request(self, call: _Call, flag: int) -> bool:
        """Sends a call if credit allows it. Returns whether the call no longer waits for that."""
        request = call.request
        if call.future.done():
            return True
        if len(request.body) > self._welcome["message_bytes_max"] - wire.HEADER_BYTES_MAX:
            executed = Executed.MAYBE if flag else Executed.NO
            self._forget(call)
            self._fail(call, Code.RESOURCE_EXHAUSTED, executed, "the arguments exceed the broker's largest message")
            return True
        if self._credit_calls < 1 or self._credit_bytes < len(request.body):
            return False
        self._credit_calls -= 1
        self._credit_bytes -= len(request.body)
        if request.number is None:
            request.number, self._next_number = self._next_number, self._next_number + 1
            self._open[request.number] = call
        request.flags |= flag
        request.timeout_ms = None
        if call.deadline < math.inf:
            request.timeout_ms = max(0, math.ceil((call.deadline - time.monotonic()) * 1000))
        request.done_below = self._done_below()
        self._send(request)
        if call.has_flag(wire.CAST):
            self._forget(call)
            self._resolve(call, None)
        return True

    def _done_below(self) -> int | None:
        """Returns the smallest number that is still awaited if it has risen, and takes it as stated (4.1)."""
        below = next(iter(self._open), self._next_number)
        if below <= self._stated_below or self._phase is not Phase.CONNECTED:
            return None
        self._stated_below = below
        self._cancelled = [number for number in self._cancelled if number >= below]
        return below

    def _on_welcome(self, same_start: bool) -> None:
        self._credit_calls, self._credit_bytes = self._welcome["credit_calls"], self._welcome["credit_bytes"]
        self._stated_below = 1
        if not same_start:
            self._cancelled.clear()
            for call in [call for call in self._open.values() if call.request.effect == ONCE]:
                self._forget(call)
                self._fail(call, Code.UNAVAILABLE, Executed.MAYBE, "the broker was started again")
        for number in self._cancelled:
            self._send(Envelope(Kind.CANCEL, number=number))
        self._resends = deque(self._open.values())

    def _on_envelope(self, envelope: Envelope) -> None:
        if envelope.number is None or envelope.kind == Kind.REPLY:
            self._credit_calls += envelope.credit_calls
            self._credit_bytes += envelope.credit_bytes
        if envelope.kind != Kind.REPLY or envelope.number not in self._open:
            return
        call = self._open[envelope.number]
        self._forget(call)
        if envelope.code is not None:
            self._resolve(call, CallError.of(envelope))
            return
        try:
            self._resolve(call, cbor.decode(envelope.body))
        except MalformedError as error:
            self._fail(call, Code.INTERNAL, Executed.YES, f"the result cannot be read: {error}")

    def _on_refusal(self, refusal: Refusal) -> None:
        if refusal.kind in (Kind.REPLY, Kind.ITEM) and refusal.number in self._open:
            call = self._open[refusal.number]
            self._forget(call)
            self._fail(call, Code.INTERNAL, Executed.MAYBE, f"the reply cannot be read: {refusal.reason}")

    def _on_deadline(self, call: _Call) -> None:
        if call.future.done():
            return
        if call.request.number is None:
            self._waiting.remove(call)
            reason = "there was no credit to send it"
            if self._phase is not Phase.CONNECTED:
                reason = f"no broker at {self.address}: {self._lost_because or 'no answer'}"
            self._fail(call, Code.DEADLINE_EXCEEDED, Executed.NO, reason)
            return
        timeout = (call.request.timeout_ms or 0) / 1000
        patience = 1.0 if call.has_flag(wire.BROADCAST) else min(timeout / 10, 0.1)  # 4.6, 4.18.2
        self._at(time.monotonic() + patience, lambda: self._give_up_waiting(call))

    def _give_up_waiting(self, call: _Call) -> None:
        if not call.future.done():
            self._cancel(call)
            self._fail(call, Code.DEADLINE_EXCEEDED, Executed.MAYBE, "the broker did not answer in time")

    def _on_done(self, call: _Call, future: Future[Any]) -> None:
        if future.cancelled():
            self.post(lambda: self._cancel(call))

    def _cancel(self, call: _Call) -> None:
        number = call.request.number
        if number is None:
            if call in self._waiting:
                self._waiting.remove(call)
        elif number in self._open:
            self._forget(call)
            self._cancelled.append(number)
            if self._phase is Phase.CONNECTED:
                self._send(Envelope(Kind.CANCEL, number=number, done_below=self._done_below()))

    def _on_lost(self) -> None:
        self._resends.clear()  # they are taken from the open calls again after the next welcome

    def _on_closed(self, error: CallError | None) -> None:
        self._closed = error or CallError(Code.CANCELLED, Executed.NO, "the client was closed")
        calls, self._waiting, self._open = [*self._waiting, *self._open.values()], deque(), {}
        for call in calls:
            executed = Executed.NO if call.request.number is None else Executed.MAYBE
            self._fail(call, self._closed.code, executed, self._closed.message)

    def _forget(self, call: _Call) -> None:
        if call.request.number is not None:
            self._open.pop(call.request.number, None)

    def _fail(self, call: _Call, code: Code, executed: Executed, message: str) -> None:
        self._resolve(call, CallError(code, executed, message))

    @staticmethod
    def _resolve(call: _Call, outcome: Any) -> None:
        try:
            if isinstance(outcome, CallError):
                call.future.set_exception(outcome)
            else:
                call.future.set_result(outcome)
        except InvalidStateError:
            pass  # the caller cancelled it, or it has ended
