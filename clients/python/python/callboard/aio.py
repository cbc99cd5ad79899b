"""The client for asyncio: ``callboard.aio.Client``.

It has no threads of Python's own. The event loop is woken once for all outcomes that arrived together.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, TypeVar

from . import _native
from ._client import Answer, Progress
from ._scope import in_scope

S = TypeVar("S", bound="Stream")

__all__ = ["Client", "Duplex", "Method", "Service", "Stream"]


class Client:
    """A client for asyncio, which calls functions in worker processes through a broker.

    The arguments are those of :class:`callboard.Client`. It connects in the background; a call waits for the
    connection, within its timeout::

        async with callboard.aio.Client() as client:
            print(await client.call("calculator.add", 2, 3))

    Cancelling a task cancels the call that it awaits.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._native = _native.Client(*args, **kwargs)
        self._inboxes: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _native.Inbox] = weakref.WeakKeyDictionary()

    @property
    def address(self) -> str:
        """The broker's address."""
        return self._native.address

    def service(self, name: str, **options: Any) -> Service:
        """Returns a proxy of a service: ``await client.service("calculator").add(2, y=3)``.

        ``options`` are those of :meth:`callboard.Client.call`, for all calls of the proxy.
        """
        return Service(self, name, options)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method and returns its result. Takes the options of :meth:`callboard.Client.call`."""
        loop = asyncio.get_running_loop()
        inbox = self._inboxes.get(loop) or self._new_inbox(loop)
        future = loop.create_future()
        token = in_scope(self._native.call_to, (method, args, kwargs, None), inbox, functools.partial(_deliver, future))
        try:
            return await future
        except asyncio.CancelledError:
            inbox.cancel(token)
            raise

    def submit(self, method: str, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Calls a method and returns a task at once."""
        return asyncio.ensure_future(self.call(method, *args, **kwargs))

    def cast(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method without waiting: its result is dropped, and failures are logged at the broker.

        Raises :class:`callboard.ResourceExhausted` if the client's queue is full.
        """
        in_scope(self._native.try_cast_with, (method, args, kwargs, None))

    def cast_to_all(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method at every worker that serves it, without waiting, as :meth:`cast` does."""
        in_scope(self._native.try_cast_with, (method, args, kwargs, None), True)

    async def broadcast(self, method: str, *args: Any, **kwargs: Any) -> list[Answer]:
        """Calls a method at every worker that serves it. Returns their answers, in no particular order."""
        answers = await self._outcome(in_scope(self._native.start_broadcast, (method, args, kwargs, None)))
        return [Answer(*answer) for answer in answers]

    async def with_progress(self, on_progress: Progress, method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method and returns its result.

        Meanwhile it calls ``on_progress(done, total, message)`` in the loop.
        """
        return await self._outcome(
            in_scope(self._native.start_with_progress, (method, args, kwargs, None), on_progress)
        )

    def stream(self, method: str, *args: Any, **kwargs: Any) -> Stream:
        """Calls a method that sends items: ``async for item in client.stream("numbers.count", 3)``.

        ``conflate=True`` keeps only the newest unread item.
        """
        return Stream(self, in_scope(self._native.start_stream, (method, args, kwargs, None)))

    async def upload(self, items: AsyncIterable[Any] | Iterable[Any], method: str, *args: Any, **kwargs: Any) -> Any:
        """Calls a method that takes items, sends it these, and returns its result."""
        sender, reply = in_scope(self._native.start_upload, (method, args, kwargs, None))
        await self._send_all(sender, items)
        return await self._outcome(reply)

    def duplex(self, method: str, *args: Any, **kwargs: Any) -> Duplex:
        """Calls a method that takes and sends items."""
        sender, received = in_scope(self._native.start_duplex, (method, args, kwargs, None))
        return Duplex(self, received, sender)

    def statistics(self) -> dict[str, int]:
        """Returns the counters of :meth:`callboard.Client.statistics`. This client has no callbacks."""
        return self._native.statistics()

    async def close(self) -> None:
        """Closes the client: pending calls are cancelled, and what was sent reaches the broker, casts too."""
        await self._outcome(self._native.start_close())
        for loop, inbox in list(self._inboxes.items()):
            if not loop.is_closed():
                loop.remove_reader(inbox.fileno())
        self._inboxes.clear()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<callboard.aio.Client of {self.address}>"

    def _new_inbox(self, loop: asyncio.AbstractEventLoop) -> _native.Inbox:
        inbox = self._inboxes[loop] = _native.Inbox()
        loop.add_reader(inbox.fileno(), inbox.process)
        return inbox

    async def _outcome(self, call: _native.PendingCall) -> Any:
        """Awaits the outcome of a call that was made."""
        try:
            return await self._delivered(call.deliver_to)
        except asyncio.CancelledError:
            call.cancel()
            raise

    async def _delivered(self, start: Callable[[_native.Inbox, _native.Deliver], object]) -> Any:
        """Awaits what an inbox delivers."""
        loop = asyncio.get_running_loop()
        inbox = self._inboxes.get(loop) or self._new_inbox(loop)
        future = loop.create_future()
        start(inbox, functools.partial(_deliver, future))
        return await future

    async def _send_all(self, sender: _native.ItemSender, items: AsyncIterable[Any] | Iterable[Any]) -> None:
        """Sends the items. An exception of the iterable cancels the call."""
        try:
            async for item in _iterate(items):
                send = functools.partial(sender.send_to, item)
                if await self._delivered(send) is _native.END:
                    return  # The call has ended; its outcome is the reason.
            sender.end()
        finally:
            sender.cancel()


class Service:
    """A service by name: ``await service.add(2, y=3)``."""

    __slots__ = ("_client", "_name", "_options")

    def __init__(self, client: Client, name: str, options: dict[str, Any]) -> None:
        self._client = client
        self._name = name
        self._options = options

    def __getattr__(self, method: str) -> Method:
        if method.startswith("__"):
            raise AttributeError(method)
        return Method(self._client, f"{self._name}.{method}", self._options)

    def __repr__(self) -> str:
        return f"<callboard.aio.Service {self._name}>"


class Method:
    """A method of a service. Every argument is one of the method; the options are those of the service."""

    __slots__ = ("_client", "_name", "_options")

    def __init__(self, client: Client, name: str, options: dict[str, Any]) -> None:
        self._client = client
        self._name = name
        self._options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Calls the method and returns its result."""
        call = in_scope(self._client._native.start_call, (self._name, args, kwargs, self._options))
        return self._client._outcome(call)

    def stream(self, *args: Any, **kwargs: Any) -> Stream:
        """Calls the method and iterates over the items that it sends."""
        return Stream(
            self._client, in_scope(self._client._native.start_stream, (self._name, args, kwargs, self._options))
        )

    def __repr__(self) -> str:
        return f"<callboard.aio.Method {self._name}>"


class Stream(AsyncIterator[Any]):
    """The items of a call. ``async with`` ensures that leaving it early cancels the call."""

    def __init__(self, client: Client, items: _native.ItemStream) -> None:
        self._client = client
        self._items = items

    async def __anext__(self) -> Any:
        item = await self._client._delivered(self._items.next_to)
        if item is _native.END:
            raise StopAsyncIteration
        return item

    def close(self) -> None:
        """Cancels the call. There are no further items."""
        self._items.cancel()

    @property
    def dropped(self) -> int:
        """How many items were dropped in favour of newer ones."""
        return self._items.dropped

    async def __aenter__(self: S) -> S:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Duplex(Stream):
    """The items of a call in both directions. Without :meth:`end`, the end of ``async with`` cancels the call."""

    def __init__(self, client: Client, items: _native.ItemStream, sender: _native.ItemSender) -> None:
        super().__init__(client, items)
        self._sender = sender

    async def send(self, item: Any) -> bool:
        """Sends an item, and waits while the handler does not read. Returns False if the call has ended."""
        sent = await self._client._delivered(functools.partial(self._sender.send_to, item))
        return sent is not _native.END

    async def send_all(self, items: AsyncIterable[Any] | Iterable[Any]) -> None:
        """Sends items and ends them. An exception of the iterable cancels the call."""
        await self._client._send_all(self._sender, items)

    def end(self) -> None:
        """Ends the items that are sent. The handler may still send some."""
        self._sender.end()

    def close(self) -> None:
        """Cancels the call. There are no further items."""
        self._sender.cancel()
        super().close()


def _deliver(future: asyncio.Future[Any], result: Any, exception: BaseException | None) -> None:
    """Sets the outcome of a future that may be cancelled."""
    if future.done():
        return
    if exception is None:
        future.set_result(result)
    else:
        future.set_exception(exception)


async def _iterate(items: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
