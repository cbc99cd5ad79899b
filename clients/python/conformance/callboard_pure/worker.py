"""A worker: methods, slots, handlers and their replies (PROTOCOL.md 3.5, 4, 5.4, 7.2, 11.5). It has no streams."""

from __future__ import annotations

import math
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, TypeVar

from callboard_pure import cbor, pool, wire
from callboard_pure.arguments import ArgumentError, Parameters
from callboard_pure.errors import CallError
from callboard_pure.peer import Curve, Peer, Phase
from callboard_pure.wire import Code, Envelope, Executed, Kind, Refusal

STARTED_SECONDS = 0.02
DRAIN_SECONDS = 30.0
ITEMS = 0b11  # the bits of key 29 that announce items

Function = TypeVar("Function", bound=Callable[..., Any])


class MethodError(Exception):
    """A method's own error (8.4). Its class name is the type; `details` is any value that CBOR can represent."""

    code = Code.UNKNOWN

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.details = details


@dataclass(slots=True)
class Context:
    """What a handler may know of its call: `Worker.context()` returns it on the handler's thread."""

    method: str
    call: str  # the human-readable form of section 2.2
    attempt: int
    key: str | None
    fence: int | None
    deadline: float  # of time.monotonic
    cancelled: threading.Event = field(default_factory=threading.Event)


class State(Enum):
    """The states of section 11.5."""

    HELD = auto()
    RUNNING = auto()
    STOPPING = auto()
    OLD = auto()


@dataclass(slots=True, eq=False)
class _Method:
    function: Callable[..., Any]
    effect: str
    parameters: Parameters


@dataclass(slots=True, eq=False)
class _Job:
    dispatch: Envelope
    offer: _Offer
    method: _Method
    context: Context
    state: State = State.HELD
    stopped: Code | None = None  # why the handler was asked to stop
    is_long: bool = False  # it was reported as started, or is of an earlier connection (5.4.3)

    @property
    def number(self) -> int:
        return self.dispatch.number or 0


@dataclass(slots=True, eq=False)
class _Offer:
    service: str
    index: int
    methods: dict[str, _Method] = field(default_factory=dict)


class Worker(Peer):
    """Serves functions. `run` is its loop; handlers run on threads of their own, one for each slot.

    All services share the slots and the prefetch (3.5.1). Each offer states the same numbers, so offers have no limits
    of their own.
    """

    role = "worker"
    _local = threading.local()

    def __init__(
        self,
        address: str | None = None,
        authkey: bytes | None = None,
        *,
        slots: int = 1,
        prefetch: int = 0,
        curve: Curve | None = None,
        heartbeat_ms: int = 1000,
        instance: str | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        pool_pid = pool.variable("POOL_PID")
        super().__init__(
            address or pool.variable("BACKEND") or pool.BACKEND,
            authkey or pool.authkey_from_environment(),
            curve,
            heartbeat_ms,
            instance or pool.variable("INSTANCE") or f"{os.path.basename(sys.argv[0] or 'python')}-{os.getpid()}",
            pool=pool.variable("POOL"),
            pool_pid=int(pool_pid) if pool_pid else None,
        )
        self._slots = slots
        self._prefetch = prefetch
        self._on_ready = on_ready
        self._offers: dict[str, _Offer] = {}
        self._jobs: dict[int, _Job] = {}  # of this connection, by number
        self._running: list[_Job] = []  # one for each slot in use, those of earlier connections too
        self._held: deque[_Job] = deque()
        self._queue: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._register_ping = self._drain_ping = 0
        self.draining = threading.Event()  # set from the first signal on
        self._drained = False
        self._error: CallError | None = None

    def method(self, name: str, *, effect: str = "once") -> Callable[[Function], Function]:
        """Serves the decorated function under a name like `calculator.add`, with its parameters as arguments."""

        def add(function: Function) -> Function:
            service, _, method = name.rpartition(".")
            offer = self._offers.setdefault(service, _Offer(service, len(self._offers)))
            offer.methods[method] = _Method(function, effect, Parameters(function))
            return function

        return add

    @classmethod
    def context(cls) -> Context:
        """Returns the context of the handler that runs on this thread."""
        context: Context = cls._local.context
        return context

    def run(self, *, catch_signals: bool = True) -> None:
        """Serves until SIGTERM or Ctrl-C, then drains (7.2). Call it on the main thread, or without the signals.

        Raises:
            CallError: if the broker rejected this worker.
        """
        pool.watch_lifeline()
        if catch_signals:
            signal.signal(signal.SIGTERM, lambda *_: self.drain())
            signal.signal(signal.SIGINT, self._on_interrupt)
        for _ in range(self._slots):
            threading.Thread(target=self._handle_jobs, name="callboard-handler", daemon=True).start()
        self._run()
        if self._error:
            raise self._error

    def drain(self) -> None:
        """Stops the worker in order: no more calls, running ones finish, goodbye."""
        self.post(self._begin_drain)

    def _on_interrupt(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second Ctrl-C does not wait for handlers
        self.drain()

    # The handlers' threads.

    def _handle_jobs(self) -> None:
        while True:
            self._handle(self._queue.get())

    def _handle(self, job: _Job) -> None:
        reply = self._run_handler(job)
        self.post(lambda: self._on_handled(job, reply))

    def _run_handler(self, job: _Job) -> Envelope:
        """Runs the handler and returns the reply, whatever the handler does."""
        try:
            arguments = job.method.parameters.bind(job.dispatch.body)
        except ArgumentError as error:
            return self._failure(job, Code.INVALID_ARGUMENT, Executed.NO, error, "ArgumentError", error.details)
        self._local.context = job.context
        try:
            result = job.method.function(**arguments)
        except MethodError as error:
            return self._failure(job, error.code, Executed.YES, error, type(error).__name__, error.details)
        except BaseException as error:  # a handler that raises SystemExit must not lose its thread either
            return self._failure(job, Code.INTERNAL, Executed.YES, f"{type(error).__name__}: {error}", "Panic")
        try:
            body = cbor.encode(result)
        except Exception as error:
            reason = f"the result cannot be encoded: {error}"
            return self._failure(job, Code.INTERNAL, Executed.YES, reason)
        if len(body) > self._body_max():
            reason = f"the result has {len(body)} bytes, and the broker accepts at most {self._body_max()}"
            return self._failure(job, Code.RESOURCE_EXHAUSTED, Executed.YES, reason)
        return Envelope(Kind.REPLY, number=job.number, body=body)

    def _body_max(self) -> int:
        return int(self._welcome["message_bytes_max"]) - wire.HEADER_BYTES_MAX

    def _failure(
        self, job: _Job, code: Code, executed: Executed, reason: object, type_name: str = "", details: Any = None
    ) -> Envelope:
        body = b"" if details is None else cbor.encode(details)
        return Envelope(
            Kind.REPLY,
            number=job.number,
            code=code,
            executed=executed,
            type=wire.truncate(type_name, 128),
            message=wire.truncate(str(reason), 1024),
            attempt=job.context.attempt,
            worker=self._hello["instance"],
            body=body if len(body) <= self._body_max() else b"",
        )

    # The rest runs on the thread of `run`.

    def _on_welcome(self, same_start: bool) -> None:
        offers = [self._registration(offer) for offer in self._offers.values()]
        registration = {"offers": offers, "slots": self._slots, "prefetch": self._prefetch}
        self._send(Envelope(Kind.REGISTER, body=cbor.encode(registration)))
        self._register_ping = self._ping()
        if self.draining.is_set():
            self._send_drain()

    def _registration(self, offer: _Offer) -> dict[str, Any]:
        running = [job for job in self._running if job.offer is offer]
        keys = [job.context.key for job in running if job.context.key is not None]
        methods = [
            {"name": name, "effect": method.effect, "arguments": method.parameters.names}
            for name, method in offer.methods.items()
        ]
        registration = {
            "service": offer.service,
            "slots": self._slots,
            "free": self._slots - len(running),
            "prefetch": self._prefetch,
            "keys": keys,
            "methods": methods,
        }
        return {name: value for name, value in registration.items() if value or name != "keys"}

    def _on_envelope(self, envelope: Envelope) -> None:
        job = None if envelope.number is None else self._jobs.get(envelope.number)
        if envelope.kind == Kind.REQUEST and job is None:
            self._on_dispatch(envelope)
        elif envelope.kind == Kind.CANCEL and job is not None:
            self._stop(job, Code.CANCELLED)
        elif envelope.kind == Kind.PONG and envelope.number == self._register_ping:
            self._on_ready()
        elif envelope.kind == Kind.PONG and envelope.number == self._drain_ping:
            self._drained = True

    def _on_dispatch(self, dispatch: Envelope) -> None:
        service, _, name = (dispatch.method or "").rpartition(".")
        offer = self._offers.get(service)
        method = offer.methods.get(name) if offer else None
        deadline = math.inf if dispatch.timeout_ms is None else time.monotonic() + dispatch.timeout_ms / 1000
        call = f"{dispatch.caller:08x}-{dispatch.call}"
        context = Context(dispatch.method or "", call, dispatch.attempt, dispatch.key, dispatch.fence, deadline)
        if offer is None or method is None:
            self._reject(dispatch, Code.UNIMPLEMENTED, f"this worker has no method {dispatch.method}")
        elif self.draining.is_set():
            self._send(Envelope(Kind.HANDBACK, number=dispatch.number))
        elif dispatch.streams & ITEMS:
            self._reject(dispatch, Code.INVALID_ARGUMENT, f"{dispatch.method} is a unary method: call it without items")
        elif dispatch.timeout_ms == 0:
            self._reject(dispatch, Code.DEADLINE_EXCEEDED, "no time remained when the call arrived")
        else:
            self._accept(_Job(dispatch, offer, method, context))

    def _accept(self, job: _Job) -> None:
        """Runs the job, holds it, or hands it back if there is no room (11.5)."""
        is_full = len(self._running) >= self._slots and len(self._held) >= self._prefetch
        if is_full or self._is_blocked():
            self._send(Envelope(Kind.HANDBACK, number=job.number))
            return
        self._jobs[job.number] = job
        self._held.append(job)
        if job.context.deadline < math.inf:
            self._at(job.context.deadline, lambda: self._stop(job, Code.DEADLINE_EXCEEDED))
        self._start_held()

    def _start_held(self) -> None:
        while self._held and len(self._running) < self._slots:
            job = self._held.popleft()
            job.state = State.RUNNING
            self._running.append(job)
            self._queue.put(job)
            self._at(time.monotonic() + STARTED_SECONDS, lambda job=job: self._send_started(job))  # type: ignore[misc]

    def _send_started(self, job: _Job) -> None:
        if job.state in (State.RUNNING, State.STOPPING) and self._jobs.get(job.number) is job:
            self._send(Envelope(Kind.STARTED, number=job.number))
            job.is_long = True
            if self._is_blocked():
                self._hand_back_held()

    def _is_blocked(self) -> bool:
        """Every slot has a long call, so that another worker may be free for a held one (5.4.3)."""
        return sum(job.is_long for job in self._running) >= self._slots

    def _hand_back_held(self) -> None:
        for job in self._held:
            self._send(Envelope(Kind.HANDBACK, number=self._jobs.pop(job.number).number))
        self._held.clear()

    def _reject(self, dispatch: Envelope, code: Code, reason: str) -> None:
        reply = Envelope(Kind.REPLY, number=dispatch.number, code=code, executed=Executed.NO)
        reply.message, reply.attempt, reply.worker = (
            wire.truncate(reason, 1024),
            dispatch.attempt,
            self._hello["instance"],
        )
        self._send(reply)

    def _stop(self, job: _Job, code: Code) -> None:
        """The call was cancelled, or its deadline has passed."""
        if job.state is State.HELD and self._jobs.pop(job.number, None) is job:
            self._held.remove(job)
            self._reject(job.dispatch, code, "the call ended before its handler began")
        elif job.state is State.RUNNING:
            job.state, job.stopped = State.STOPPING, code
        job.context.cancelled.set()

    def _on_handled(self, job: _Job, reply: Envelope) -> None:
        self._running.remove(job)
        if job.state is State.OLD:
            if self._phase is Phase.CONNECTED:
                freed = Envelope(Kind.CREDIT, credit_calls=1, offer=job.offer.index, key=job.context.key)
                self._send(freed)
        else:
            del self._jobs[job.number]
            if job.stopped is not None:  # even if the handler returned a result
                reply = self._failure(job, job.stopped, Executed.YES, "the call ended while its handler ran")
            if self._phase is Phase.CONNECTED:
                self._send(reply)
        self._start_held()

    def _on_refusal(self, refusal: Refusal) -> None:
        """Answers a request, or an unknown kind with a number, because its sender may wait for a reply (2.5)."""
        may_wait = refusal.kind is not None and (refusal.kind == Kind.REQUEST or refusal.kind not in list(Kind))
        if may_wait and refusal.number is not None and refusal.number not in self._jobs:
            self._reject(Envelope(Kind.REQUEST, number=refusal.number), refusal.code, refusal.reason)

    def _on_lost(self) -> None:
        """Drops what is held, and keeps what runs: its slot is not free at the next registration (11.5)."""
        self._held.clear()
        for job in self._running:
            job.state, job.is_long = State.OLD, True
        self._jobs.clear()

    def _on_closed(self, error: CallError | None) -> None:
        self._error = error

    def _begin_drain(self) -> None:
        if self.draining.is_set():
            return
        self.draining.set()
        self._at(time.monotonic() + DRAIN_SECONDS, self._stop_handlers)
        if self._phase is Phase.CONNECTED:
            self._send_drain()

    def _send_drain(self) -> None:
        """Drains, with a ping: its pong comes behind every dispatch that crossed the drain (7.2)."""
        self._send(Envelope(Kind.DRAIN))
        self._hand_back_held()
        self._drain_ping = self._ping()

    def _stop_handlers(self) -> None:
        for job in self._running:
            self._stop(job, Code.UNAVAILABLE)
        self._say_goodbye()

    def _on_turn(self) -> None:
        if not self.draining.is_set() or self._running:
            return
        if self._drained or self._phase is not Phase.CONNECTED:
            self._say_goodbye()
