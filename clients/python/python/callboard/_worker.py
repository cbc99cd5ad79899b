"""The worker: serves functions to callers, through a broker."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import ipaddress
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from . import _contract, _native
from ._native import Context
from ._scope import current
from ._types import Types

__all__ = ["Context", "Worker", "idempotent", "once", "read"]

logger = logging.getLogger("callboard")

_TRACEBACK_INTERVAL = 1.0
"""The seconds between two tracebacks in the log: a method that fails for each call must not fill it."""
_traceback_due = 0.0


def log_exception(error: Exception, traceback: TracebackType | None, call_id: str, method: str) -> None:
    """Logs an exception of a handler with the id that the caller's error has, and at most one traceback a second."""
    global _traceback_due
    now = time.monotonic()
    with_traceback = now >= _traceback_due
    if with_traceback:
        _traceback_due = now + _TRACEBACK_INTERVAL
    kind = type(error)
    exc_info = (kind, error, traceback) if with_traceback else None
    logger.error("call %s of %s raised %s", call_id, method, kind.__name__, exc_info=exc_info)


Function = TypeVar("Function", bound=Callable[..., Any])
BackgroundFunction = TypeVar("BackgroundFunction", bound=Callable[[], Coroutine[Any, Any, Any]])
Effect = Literal["read", "idempotent", "once"]

#: How many coroutines of one service run at once by default.
ASYNC_SLOTS = 64

#: How many calls a worker holds ready by default, beyond those that run: of services with plain functions, none `once`.
PREFETCH = 8

# The default of plain functions is one slot and a small prefetch. A call that takes longer than 20 ms blocks no other:
# the worker hands back what it holds. Calls a second of a short function at 64 outstanding, on two busy cores: 11,000
# with prefetch=0, 22,000 with 1, 27,000 with 8 or 64, and 81,000 with slots=64 (bench/worker_settings.py). With slots,
# one wake-up of the thread serves all calls that have arrived; with prefetch, each call takes a turn of the I/O thread.

_MARK = "__callboard_effect__"


@dataclasses.dataclass
class _Method:
    service: str
    name: str
    effect: Effect
    function: Callable[..., Any]
    soft_limit: float | None = None
    hard_limit: float | None = None
    concurrency: int | None = None


class Worker:
    """A worker: it serves functions to callers, through a broker.

    ::

        app = callboard.Worker("calculator")

        @app.read
        def add(x: int, y: int) -> int:
            return x + y

        if __name__ == "__main__":
            app.run()

    ``service`` is the service of functions that do not name another one. In a pool, the pool sets the name, the address
    and the key. Elsewhere ``name`` is the script's name with its process id, ``address`` is that of the broker's
    backend, by default ``CALLBOARD_BACKEND``, else ``tcp://127.0.0.1:5560``, and ``authkey`` is the secret that the
    broker requires, by default that of ``CALLBOARD_AUTHKEY``. ``server_key``, the broker's public key or the path of
    its file, encrypts the connection; ``curve_secret_file`` is the file with the worker's own key, where the broker
    knows its peers. By default they are in ``CALLBOARD_SERVER_KEY`` and ``CALLBOARD_CURVE_SECRET``.

    Plain functions run one at a time, on the thread that calls :meth:`run`; with ``threads=N`` they run on N threads.
    ``async def`` functions run on an asyncio event loop. If there are only these, the loop runs on the thread that
    calls :meth:`run`. Functions that ``yield`` send a stream.

    ``slots`` is how many calls the worker takes at once, over all its services. By default it is as many as the worker
    can run: 1 or the number of threads, and 64 of each service for ``async def`` functions. With more, plain functions
    run one after another without a round trip to the broker between them: short ones about seven times as fast with
    ``slots=64``. But a call can then wait behind a slow one while another worker is idle, and if the process crashes,
    waiting calls of ``once`` functions fail with ``executed`` "maybe". ``prefetch`` is how many further calls the
    worker holds ready beyond its slots: by default 8 for services whose functions are plain and not ``once``, which
    doubles the rate of short ones, and else 0. A held call may wait for short calls, but behind one that takes longer
    than 20 ms it goes back to the broker. If the process crashes, held calls count as running ones.

    ``traceback`` is whether errors contain the traceback of the handler's exception; by default only if the broker's
    address is on this machine. ``drain`` is how many seconds running calls can continue when the worker is asked to
    stop (default 30).
    """

    def __init__(
        self,
        service: str | None = None,
        *,
        name: str | None = None,
        address: str | None = None,
        authkey: bytes | str | None = None,
        server_key: str | None = None,
        curve_secret_file: str | os.PathLike[str] | None = None,
        slots: int | None = None,
        prefetch: int | None = None,
        threads: int | None = None,
        traceback: bool | None = None,
        drain: float | None = None,
    ) -> None:
        for option, number in (("slots", slots), ("threads", threads)):
            if number is not None and number < 1:
                raise ValueError(f"{option}={number} must be at least 1")
        self.service = service
        self.name = name
        self.address = address
        self._authkey = authkey.encode() if isinstance(authkey, str) else authkey
        self._server_key = server_key
        self._curve_secret_file = curve_secret_file
        self._slots = slots
        self._prefetch = prefetch
        self._threads = threads
        self._traceback = traceback
        self._drain = drain
        self._methods: list[_Method] = []
        self._background: list[Callable[[], Coroutine[Any, Any, Any]]] = []
        self._native: _native.Worker | None = None

    @overload
    def read(self, function: Function, /) -> Function: ...
    @overload
    def read(
        self,
        *,
        name: str | None = None,
        service: str | None = None,
        soft_limit: float | None = None,
        hard_limit: float | None = None,
        concurrency: int | None = None,
    ) -> Callable[[Function], Function]: ...
    def read(self, *function: Any, **options: Any) -> Any:
        """Serves a function that changes nothing. The broker can run a call again if its worker is lost.

        Use it as a decorator. ``name`` and ``service`` are those by which callers call it. A call that runs longer than
        ``soft_limit`` seconds is logged by the broker, and one that runs longer than ``hard_limit`` fails.
        ``concurrency`` is how many of its calls run at once over all workers.
        """
        return self._serve("read", *function, **options)

    @overload
    def idempotent(self, function: Function, /) -> Function: ...
    @overload
    def idempotent(
        self,
        *,
        name: str | None = None,
        service: str | None = None,
        soft_limit: float | None = None,
        hard_limit: float | None = None,
        concurrency: int | None = None,
    ) -> Callable[[Function], Function]: ...
    def idempotent(self, *function: Any, **options: Any) -> Any:
        """Serves an idempotent function, such as ``put(key, value)``.

        The broker can run a call again if its worker is lost. Takes the options of :meth:`read`.
        """
        return self._serve("idempotent", *function, **options)

    @overload
    def once(self, function: Function, /) -> Function: ...
    @overload
    def once(
        self,
        *,
        name: str | None = None,
        service: str | None = None,
        soft_limit: float | None = None,
        hard_limit: float | None = None,
        concurrency: int | None = None,
    ) -> Callable[[Function], Function]: ...
    def once(self, *function: Any, **options: Any) -> Any:
        """Serves a function that must not run twice for one call.

        If the worker is lost, the caller gets an error with the note that the call may have run. Takes the options of
        :meth:`read`.
        """
        return self._serve("once", *function, **options)

    def register(self, obj: object, service: str | None = None) -> None:
        """Serves the public methods of an object. Mark them with ``@callboard.read`` or ``@callboard.idempotent``; the
        others are served as :meth:`once`.

        ``service`` is by default that of the worker, else the name of the object's class.
        """
        service = service or self.service or type(obj).__name__
        if isinstance(obj, type):
            raise TypeError(f"register an object of the class {obj.__name__}, not the class: {obj.__name__}()")
        for name in _public_methods(obj):
            function = getattr(obj, name)
            effect: Effect = getattr(function, _MARK, "once")
            self._methods.append(_Method(service, name, effect, function))

    def background(self, function: BackgroundFunction) -> BackgroundFunction:
        """Runs an ``async def`` function on the worker's event loop, beside the calls. Use it as a decorator.

        It starts with the worker, and is cancelled when the worker has stopped. If it raises an exception, the worker
        stops, and :meth:`run` raises the exception.
        """
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is not an async function: a background function must be one")
        self._background.append(function)
        return function

    def run(self) -> None:
        """Serves until the process gets SIGTERM or Ctrl-C, or :meth:`stop` is called.

        Then the worker takes no more calls, finishes the running ones, disconnects, and this method returns. A second
        Ctrl-C ends the process at once. Raises ValueError if a setting is invalid, and Rejected if the broker rejects
        the worker. If a handler raises SystemExit, its call fails, and this method raises the SystemExit in the end.
        """
        run = self._new_run()
        try:
            run.run()
        finally:
            self._native = None

    @contextlib.contextmanager
    def start(self) -> Iterator[None]:
        """Serves while a ``with`` block runs, on other threads: for a program with a loop of its own.

        ::

            with app.start():
                while not game.over:
                    game.draw()

        Plain functions run one at a time, or on ``threads=N``. The end of the block stops the worker as :meth:`stop`
        does, waits for the running calls, and raises the exceptions of :meth:`run`. If the worker fails earlier, it
        logs the exception at once. Signals are the program's own.
        """
        run = self._new_run()
        thread = threading.Thread(target=run.serve_or_log, name="callboard-worker", daemon=True)
        thread.start()
        try:
            yield
        finally:
            run.native.stop()
            thread.join()
            self._native = None
        run.raise_error()

    def stop(self) -> None:
        """Asks a running worker to stop, from any thread. :meth:`run` returns when the running calls have finished."""
        if self._native is not None:
            self._native.stop()

    def _new_run(self) -> _Run:
        if self._native is not None:
            raise RuntimeError("this worker is running: create one worker for each thread that runs one")
        run = _Run(self)
        self._native = run.native
        return run

    def __repr__(self) -> str:
        services = sorted({method.service for method in self._methods})
        return f"<callboard.Worker of {', '.join(services) or 'no service'}>"

    def _serve(self, effect: Effect, function: Any = None, /, **options: Any) -> Any:
        def serve(function: Function) -> Function:
            service = options.pop("service", None) or self.service
            name = options.pop("name", None) or _contract.label(function)
            if service is None:
                raise ValueError(f'{name} has no service: use Worker("SERVICE"), or service="SERVICE" here')
            self._methods.append(_Method(service, name, effect, function, **options))
            return function

        if function is None:
            return serve
        if not callable(function):
            raise TypeError(f'{function!r} is not a function: options must be named, such as name="add"')
        return serve(function)


class _Run:
    """One run of a worker: its native worker, and the threads and the event loop of its functions."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        address = worker.address or os.environ.get("CALLBOARD_BACKEND") or _native.BACKEND_DEFAULT
        traceback = _is_local(address) if worker._traceback is None else worker._traceback
        name = worker.name or os.environ.get("CALLBOARD_INSTANCE") or _default_name()
        self.native = _native.Worker(
            address,
            name,
            worker._authkey,
            worker._server_key,
            worker._curve_secret_file,
            drain=worker._drain,
            traceback=traceback,
        )
        self._threads = _Threads(worker._threads) if worker._threads else None
        self._loop = _EventLoop(worker._background) if worker._background else None
        self._on_main = self._on_loop = False
        self._shared_prefetch = 0
        self._error: BaseException | None = None
        for service in dict.fromkeys(method.service for method in worker._methods):
            self._add_service(service, [method for method in worker._methods if method.service == service])
        # Plain functions of all services run on the same threads, so a call of one waits for those of the others.
        slots = worker._slots or (None if self._on_loop else worker._threads or 1)
        if slots is not None:
            self.native.share_slots(slots, self._shared_prefetch)

    def _add_service(self, service: str, methods: list[_Method]) -> None:
        types = Types()
        signatures = [_contract.signature(method.function, types) for method in methods]
        described = [
            {"name": method.name, "effect": method.effect, **signature.description}
            for method, signature in zip(methods, signatures, strict=True)
        ]
        description = {"name": service, "methods": described, "types": types.definitions}
        for is_async in (False, True):
            served = [
                method for method, signature in zip(methods, signatures, strict=True) if signature.is_async is is_async
            ]
            group = [
                _native_method(method, signature)
                for method, signature in zip(methods, signatures, strict=True)
                if signature.is_async is is_async
            ]
            if group:
                slots, executor = self._executor(is_async)
                prefetch = self._prefetch(is_async, served)
                self._shared_prefetch = max(self._shared_prefetch, prefetch)
                self.native.add_service(service, description, slots, prefetch, executor, group)

    def _prefetch(self, is_async: bool, methods: list[_Method]) -> int:
        """Returns the prefetch of a service.

        Coroutines need none by default, because they have many slots. Calls of `once` functions that a crashed process
        held would fail, although they did not run.
        """
        given = self._worker._prefetch
        if given is not None:
            return given
        return 0 if is_async or any(method.effect == "once" for method in methods) else PREFETCH

    def _executor(self, is_async: bool) -> tuple[int, _native.ThreadQueue | _native.LoopQueue | None]:
        """Returns the slots of a service and where its functions run."""
        slots = self._worker._slots
        if is_async:
            self._loop = self._loop or _EventLoop()
            self._on_loop = True
            return slots or ASYNC_SLOTS, self._loop.queue
        if self._threads is not None:
            return slots or self._threads.number, self._threads.queue
        self._on_main = True
        return slots or 1, None

    def run(self) -> None:
        with _signals() as signals:
            self.serve(signals)
        self.raise_error()

    def serve(self, signals: _native.SignalWatch | None) -> None:
        if self._threads is not None:
            self._threads.start()
        if self._loop is not None and not self._on_main:
            # No plain function needs this thread: it runs the event loop.
            thread = threading.Thread(target=self._run_native, args=(signals,), name="callboard-run", daemon=True)
            thread.start()
            self._run_loop()
            thread.join()
        else:
            loop = threading.Thread(target=self._run_loop, name="callboard-asyncio", daemon=True)
            if self._loop is not None:
                loop.start()
            self._run_native(signals)
            if self._loop is not None:
                loop.join(timeout=1)

    def serve_or_log(self) -> None:
        self.serve(None)
        if self._error is not None:
            logger.error("the worker has stopped: %s: %s", type(self._error).__name__, self._error)

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run_native(self, signals: _native.SignalWatch | None) -> None:
        try:
            self.native.run(signals)
        except BaseException as error:
            self._error = self._error or error
        finally:
            if self._threads is not None:
                self._threads.queue.close()
            if self._loop is not None:
                self._loop.queue.close()

    def _run_loop(self) -> None:
        assert self._loop is not None
        try:
            asyncio.run(self._loop.serve())
        except BaseException as error:
            self._error = self._error or error
            self.native.stop()


class _Threads:
    """The threads of plain functions. A thread that is still busy when the worker has stopped ends with the process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.queue = _native.ThreadQueue()

    def start(self) -> None:
        for number in range(1, self.number + 1):
            name = f"callboard-handler-{number}"
            threading.Thread(target=self.queue.run, name=name, daemon=True).start()


class _EventLoop:
    """The event loop of async functions. Its queue exists before the loop runs."""

    def __init__(self, background: list[Callable[[], Coroutine[Any, Any, Any]]] | None = None) -> None:
        self.queue = _native.LoopQueue()
        self._background = background or []
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._ended: asyncio.Event | None = None

    async def serve(self) -> None:
        """Runs calls until the worker has stopped. Raises the exception of a background function that fails."""
        loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self.queue.attach(loop.create_future)
        loop.add_reader(self.queue.fileno(), self._process, loop)
        background = [loop.create_task(function()) for function in self._background]
        try:
            await _until_ended(self._ended, background)
        finally:
            loop.remove_reader(self.queue.fileno())

    def _process(self, loop: asyncio.AbstractEventLoop) -> None:
        for number, started in self.queue.take():
            if started is not None:
                self._tasks[number] = loop.create_task(self._run(number, *started))
            elif number:
                task = self._tasks.pop(number, None)
                if task is not None:
                    task.cancel()
            elif self._ended is not None:
                self._ended.set()

    async def _run(self, number: int, call: _native.LoopCall, returned: Any) -> None:
        """Runs one call to its end. Only the cancellation of the call itself cancels this task."""
        try:
            current.set(call.context)
            result = await returned if isinstance(returned, Awaitable) else returned
            if isinstance(result, AsyncIterator):
                await _send_items(call, result)
                result = None
            call.finish(result)
        except BaseException as error:
            call.fail(error)
        finally:
            self._tasks.pop(number, None)


async def _until_ended(ended: asyncio.Event, background: list[asyncio.Task[Any]]) -> None:
    """Waits for the event, or for the first background function that fails. `asyncio.run` cancels the others."""
    waiting = {asyncio.ensure_future(ended.wait()), *background}
    while not ended.is_set():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


async def _send_items(call: _native.LoopCall, items: AsyncIterator[Any]) -> None:
    try:
        async for item in items:
            await call.send(item)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _native_method(method: _Method, signature: _contract.Signature) -> _native.Method:
    return _native.Method(
        method.name,
        method.effect,
        signature.style,
        method.function,
        signature.parameters,
        signature.item_convert,
        method.soft_limit,
        method.hard_limit,
        method.concurrency,
    )


def _public_methods(obj: object) -> Iterator[str]:
    """Returns the names of the public methods of an object, in the order of their definition, base classes first."""
    names: dict[str, None] = {}
    for cls in reversed(type(obj).__mro__[:-1]):
        names.update(dict.fromkeys(vars(cls)))
    names.update(dict.fromkeys(vars(obj) if hasattr(obj, "__dict__") else ()))
    for name in names:
        # Read without running properties.
        attribute = inspect.getattr_static(obj, name)
        is_method = inspect.isroutine(attribute) or isinstance(attribute, (staticmethod, classmethod))
        if is_method and not name.startswith("_"):
            yield name


@contextlib.contextmanager
def _signals() -> Iterator[_native.SignalWatch | None]:
    """Reports signals to the native worker at once, also while a handler holds the GIL.

    Python can handle signals on its main thread only: elsewhere this does nothing. A handler that the program has set
    is still called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    watch = _native.SignalWatch()
    previous_fd = signal.set_wakeup_fd(watch.fileno(), warn_on_full_buffer=False)
    previous = {}
    for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        if signal.getsignal(number) is default:
            previous[number] = signal.signal(number, _no_action)
    try:
        yield watch
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)
        watch.close()


def _no_action(number: int, frame: Any) -> None:
    """Handles a signal in Python, so that it is written to the wakeup descriptor and raises nothing in a handler."""


def _is_local(address: str) -> bool:
    host = address.removeprefix("tcp://").rpartition(":")[0]
    try:
        is_loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return address.startswith("ipc://") or is_loopback


def _default_name() -> str:
    script = os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0]
    # There is no script in the REPL, and with -c it is an option.
    return f"{'python' if script in ('', '-c') else script}-{os.getpid()}"


def read(function: Function) -> Function:
    """Marks a method of an object that changes nothing, for :meth:`Worker.register`."""
    return _mark(function, "read")


def idempotent(function: Function) -> Function:
    """Marks an idempotent method of an object, for :meth:`Worker.register`."""
    return _mark(function, "idempotent")


def once(function: Function) -> Function:
    """Marks a method of an object that must not run twice for one call, for :meth:`Worker.register`."""
    return _mark(function, "once")


def _mark(function: Function, effect: Effect) -> Function:
    setattr(function, _MARK, effect)
    return function
