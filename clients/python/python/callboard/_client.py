"""The client for programs that block, with futures and callbacks."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, TypeVar, cast

from . import _native
from ._errors import Cancelled, Error

T = TypeVar("T")
S = TypeVar("S", bound="Stream")
Progress = Callable[[int, "int | None", str], object]
logger = logging.getLogger("callboard")


class Answer(NamedTuple):
    """The answer of one worker to a broadcast."""

    worker: str
    """The worker's name."""
    result: Any
    """The result, or None if the worker failed."""
    error: BaseException | None
    """Why the worker has no result."""


class Future(concurrent.futures.Future[T]):
    """The future of a call. It is a :class:`concurrent.futures.Future`; ``cancel()`` also cancels the call.

    Waiting for its result does not depend on any other thread of the program.
    """

    _call: _native.PendingCall
    _client: Client

    def __init__(self, call: _native.PendingCall, client: Client) -> None:
        # The attributes of the base class are created when something needs them: see __getattr__.
        self._call = call
        self._client = client

    def result(self, timeout: float | None = None) -> T:
        """Waits for the result, for at most ``timeout`` seconds.

        Raises the exception of the call, or TimeoutError if there is no outcome yet.
        """
        if "_condition" in self.__dict__:
            return super().result(timeout)
        return self._call.result(timeout)  # type: ignore[no-any-return]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for the outcome, and returns the exception of the call, or None."""
        self._materialise()
        return super().exception(timeout)

    def done(self) -> bool:
        """Whether the call has an outcome."""
        if "_condition" in self.__dict__:
            return super().done()
        return self._call.done()

    def running(self) -> bool:
        """Whether the call has no outcome yet: it cannot be known here whether its handler has started."""
        return not self.done()

    def cancel(self) -> bool:
        """Cancels the call, unless it has an outcome. A handler that has not started never starts."""
        self._materialise()
        if not super().cancel():
            return False
        self._call.cancel()
        self.set_running_or_notify_cancel()
        return True

    def __repr__(self) -> str:
        return f"<callboard.Future {'done' if self.done() else 'pending'}>"

    def __getattr__(self, name: str) -> Any:
        """Creates the attributes of the base class, which most futures never need."""
        if name in ("_call", "_client") or "_condition" in self.__dict__:
            raise AttributeError(name)
        self._materialise()
        return self.__dict__[name]

    def _materialise(self) -> None:
        with _materialising:
            if "_condition" in self.__dict__:
                return
            super().__init__()
        self._call.deliver_to(self._client._inbox(), self._deliver)

    def _deliver(self, result: Any, exception: BaseException | None) -> None:
        try:
            if exception is not None:
                self.set_exception(exception)
            else:
                self.set_result(result)
        except concurrent.futures.InvalidStateError:
            pass  # It was cancelled meanwhile.


_materialising = threading.RLock()


class Client(_native.Client):
    """A client, which calls functions in worker processes through a broker.

    ``address`` is the broker's address, ``tcp://HOST:PORT`` or ``ipc://PATH``; by default ``CALLBOARD_FRONTEND``, else
    ``tcp://127.0.0.1:5559``. ``authkey`` is the secret that the broker requires, by default that of
    ``CALLBOARD_AUTHKEY``. ``server_key``, the broker's public key or the path of its file, encrypts the connection;
    ``curve_secret_file`` is the file with the client's own key, where the broker knows its peers. ``timeout`` is that
    of calls without one of their own, in seconds; default 30, None for none.

    Any number of threads may use a client. It connects in the background; a call waits for the connection, within its
    timeout. Use it as a context manager, or call :meth:`close`::

        with callboard.Client() as client:
            print(client.call("calculator.add", 2, 3))
    """

    _lock: threading.Lock
    _delivery: _Delivery | None
    _callbacks_failed: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lock = threading.Lock()
        self._delivery = None
        self._callbacks_failed = 0
        _clients.add(self)

    def service(self, name: str, **options: Any) -> Service:
        """Returns a proxy of a service: ``client.service("calculator").add(2, y=3)``.

        ``options`` are those of :meth:`call`, for all calls of the proxy.
        """
        return Service(self, name, options)

    def submit(
        self, method: str, *args: Any, callback: Callable[[Future[Any]], object] | None = None, **kwargs: Any
    ) -> Future[Any]:
        """Calls a method and returns a future at once. Takes the options of :meth:`call`.

        ``callback(future)`` is called exactly once, on a thread of the client's own: with a result, an error or a
        timeout. An exception that it raises is logged and counted: see :meth:`statistics`.
        """
        future: Future[Any] = Future(self.start_call((method, args, kwargs, None)), self)
        if callback is not None:
            future.add_done_callback(functools.partial(self._run_callback, callback))
        return future

    def cast(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method without waiting: its result is dropped, and failures are logged at the broker.

        Returns when the call is in the client's queue. :meth:`close` waits until it has reached the broker.
        """
        self.cast_with((method, args, kwargs, None))

    def cast_to_all(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method at every worker that serves it, without waiting, as :meth:`cast` does."""
        self.cast_with((method, args, kwargs, None), broadcast=True)

    def broadcast(self, method: str, *args: Any, **kwargs: Any) -> list[Answer]:
        """Calls a method at every worker that serves it. Returns their answers, in no particular order."""
        answers = self.start_broadcast((method, args, kwargs, None)).result()
        return [Answer(*answer) for answer in answers]

    def with_progress(self, on_progress: Progress, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method and waits for its result.

        Meanwhile it calls ``on_progress(done, total, message)`` on this thread.
        """
        return self.start_with_progress((method, args, kwargs, None), on_progress).result()

    def stream(self, method: str, *args: Any, **kwargs: Any) -> Stream:
        """Calls a method that sends items. Iterate over them; a slow reader applies backpressure to its handler.

        ``conflate=True`` keeps only the newest unread item.
        """
        return Stream(self.start_stream((method, args, kwargs, None)))

    def upload(self, items: Iterable[Any], method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method that takes items, sends it these, and returns its result."""
        sender, reply = self.start_upload((method, args, kwargs, None))
        _send_all(sender, items)
        return reply.result()

    def duplex(self, method: str, *args: Any, **kwargs: Any) -> Duplex:
        """Calls a method that takes and sends items."""
        sender, received = self.start_duplex((method, args, kwargs, None))
        return Duplex(received, sender)

    def describe(self, service: str, *, timeout: float | None = 30) -> dict[str, Any]:
        """Returns the contract of a service: its methods with their arguments, types and documentation.

        If its workers disagree, it is the contract of most of them.
        """
        contracts = self.call("callboard.describe", service, timeout=timeout)["contracts"]
        described = [contract["description"] for contract in contracts if "description" in contract]
        return _native.decode(described[0]) if described else {"name": service, "methods": []}

    def statistics(self) -> dict[str, int]:
        """Returns the counters of the client since its creation.

        They are ``calls`` (of these ``answered``, ``failed``, ``cancelled``; ``expired`` are failed ones), ``casts``,
        ``casts_dropped``, ``resent``, ``late``, ``refused``, ``connections`` and ``callbacks_failed``. ``waiting`` and
        ``open`` are the calls that are not sent, or have no outcome, at this moment.
        """
        return {**super().statistics(), "callbacks_failed": self._callbacks_failed}

    def close(self) -> None:
        """Closes the client: calls without an outcome are cancelled, and what was sent, casts too, reaches the broker.

        Returns when all callbacks have run. Raises RuntimeError if the close could not be completed in 5 seconds; the
        client is closed nevertheless.
        """
        closed = self.start_close()
        try:
            closed.result()
        finally:
            with self._lock:
                delivery = self._delivery
            if delivery is not None:
                delivery.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<callboard.Client of {self.address}>"

    def _run_callback(self, callback: Callable[[Future[Any]], object], future: concurrent.futures.Future[Any]) -> None:
        try:
            callback(cast("Future[Any]", future))
        except Exception:
            with self._lock:
                self._callbacks_failed += 1
            logger.exception("the callback %r of a call failed", callback)

    def _inbox(self) -> _native.Inbox:
        """Returns the inbox whose outcomes the client's callback thread delivers."""
        with self._lock:
            if self._delivery is None:
                self._delivery = _Delivery()
                weakref.finalize(self, self._delivery.close, wait=False)
            return self._delivery.inbox

    def _forget_parent(self) -> None:
        """Drops what belongs to threads of the parent process."""
        self._lock = threading.Lock()
        self._delivery = None


Self = TypeVar("Self", bound=Client)


class Service:
    """A service by name. Its methods are those of the workers: ``service.add(2, y=3)``."""

    __slots__ = ("_client", "_name", "_options")

    def __init__(self, client: Client, name: str, options: dict[str, Any]) -> None:
        self._client = client
        self._name = name
        self._options = options

    def __getattr__(self, method: str) -> Method:
        if method.startswith("__"):
            raise AttributeError(method)
        return Method(self._client, f"{self._name}.{method}", self._options)

    def __dir__(self) -> list[str]:
        """The methods that workers serve now, for tab completion."""
        names = list(super().__dir__())
        try:
            description = self._client.describe(self._name, timeout=1)
            names += [method["name"] for method in description["methods"]]
        except Exception:
            pass  # Completion must not fail without a broker.
        return names

    def __repr__(self) -> str:
        return f"<callboard.Service {self._name}>"


class Method:
    """A method of a service. Every argument is one of the method; the options are those of the service."""

    __slots__ = ("_client", "_name", "_options")

    def __init__(self, client: Client, name: str, options: dict[str, Any]) -> None:
        self._client = client
        self._name = name
        self._options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the method and waits for its result."""
        return self._client.call_with((self._name, args, kwargs, self._options))

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the method and returns a future at once."""
        return Future(self._client.start_call((self._name, args, kwargs, self._options)), self._client)

    def cast(self, *args: Any, **kwargs: Any) -> None:
        """Calls the method without waiting; its result is dropped."""
        self._client.cast_with((self._name, args, kwargs, self._options))

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        """Calls the method and iterates over the items that it sends."""
        return Stream(self._client.start_stream((self._name, args, kwargs, self._options)))

    def broadcast(self, *args: Any, **kwargs: Any) -> list[Answer]:
        """Calls the method at every worker that serves it."""
        answers = self._client.start_broadcast((self._name, args, kwargs, self._options)).result()
        return [Answer(*answer) for answer in answers]

    def __repr__(self) -> str:
        return f"<callboard.Method {self._name}>"


class Stream(Iterator[Any]):
    """The items of a call. Leaving it early, or its ``with`` block, cancels the call."""

    def __init__(self, items: _native.ItemStream) -> None:
        self._items = items

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        """Cancels the call. There are no further items."""
        self._items.cancel()

    @property
    def dropped(self) -> int:
        """How many items were dropped in favour of newer ones."""
        return self._items.dropped

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Duplex(Stream):
    """The items of a call in both directions. Without :meth:`end`, the end of the ``with`` block cancels the call."""

    def __init__(self, items: _native.ItemStream, sender: _native.ItemSender) -> None:
        super().__init__(items)
        self._sender = sender

    def send(self, item: Any) -> bool:
        """Sends an item, and waits while the handler does not read. Returns False if the call has ended."""
        return self._sender.send(item)

    def send_all(self, items: Iterable[Any]) -> None:
        """Sends items and ends them, on a thread of its own, while this one reads. Returns at once."""
        threading.Thread(target=_send_all, args=(self._sender, items), name="callboard-items", daemon=True).start()

    def end(self) -> None:
        """Ends the items that are sent. The handler may still send some."""
        self._sender.end()

    def close(self) -> None:
        """Cancels the call. There are no further items."""
        self._sender.cancel()
        super().close()


class _Delivery:
    """The thread that delivers the outcomes of futures with callbacks, in batches."""

    def __init__(self) -> None:
        self.inbox = _native.Inbox()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="callboard-callbacks", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed or self.inbox.pending_count:
            self.inbox.wait()
            self.inbox.process()

    def close(self, wait: bool = True) -> None:
        """Ends the thread when all outcomes are delivered."""
        self._closed = True
        self.inbox.wake()
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()


def _send_all(sender: _native.ItemSender, items: Iterable[Any]) -> None:
    """Sends the items. An exception of the iterable cancels the call."""
    try:
        for item in items:
            if not sender.send(item):
                return  # The call has ended; its outcome is the reason.
        sender.end()
    finally:
        sender.cancel()


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    _native.after_fork_in_child()
    for client in list(_clients):
        client._forget_parent()


os.register_at_fork(after_in_child=_after_fork_in_child)

__all__ = ["Answer", "Cancelled", "Client", "Duplex", "Error", "Future", "Method", "Service", "Stream"]
