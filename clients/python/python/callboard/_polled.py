"""The client for programs with a loop of their own: games, user interfaces, select."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any

from . import _native

Callback = Callable[[Any, BaseException | None], object]


class PolledClient:
    """A client whose callbacks run where the program polls, on its own thread, and only there.

    The arguments are those of :class:`callboard.Client`. No method blocks, but for :meth:`process` with a timeout and
    :meth:`close`::

        client = callboard.PolledClient()
        client.submit("game.move", "e2e4", callback=lambda result, error: print(result or error))
        while True:
            draw()
            client.process()

    A program that waits for several things waits for :meth:`fileno` to be readable, with ``select`` or ``selectors``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._native = _native.Client(*args, **kwargs)
        self._inbox = _native.Inbox()

    @property
    def address(self) -> str:
        """The broker's address."""
        return self._native.address

    @property
    def pending(self) -> int:
        """How many calls have an outcome that was not delivered yet, or none."""
        return self._inbox.pending_count

    def submit(self, method: str, *args: Any, callback: Callback, **kwargs: Any) -> Callable[[], bool]:
        """Calls a method. ``callback(result, error)`` runs exactly once, in a later :meth:`process` or :meth:`close`.

        ``error`` is None if the call succeeded. Takes the options of :meth:`callboard.Client.call`. Returns a function
        that cancels the call: its callback does not run then. It returns False if the callback has run already.
        """
        token = self._native.call_to((method, args, kwargs, None), self._inbox, callback)
        return functools.partial(self._inbox.cancel, token)

    def for_each(self, method: str, *args: Any, callback: Callback, **kwargs: Any) -> Callable[[], None]:
        """Calls a method that sends items. ``callback(item, error)`` runs for each, in :meth:`process`.

        After the last item it runs once with :data:`callboard.END`, or with the error that ended the call. Returns a
        function that cancels the call.
        """
        items = self._native.start_stream((method, args, kwargs, None))

        def deliver(item: Any, error: BaseException | None) -> None:
            if error is None and item is not _native.END:
                items.next_to(self._inbox, deliver)
            callback(item, error)

        items.next_to(self._inbox, deliver)
        return items.cancel

    def cast(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method without waiting: its result is dropped, and failures are logged at the broker."""
        self._native.try_cast_with((method, args, kwargs, None))

    def cast_to_all(self, method: str, *args: Any, **kwargs: Any) -> None:
        """Calls a method at every worker that serves it, without waiting, as :meth:`cast` does."""
        self._native.try_cast_with((method, args, kwargs, None), broadcast=True)

    def fileno(self) -> int:
        """Returns a file descriptor that is readable while callbacks are ready. Do not read from it."""
        return self._inbox.fileno()

    def process(self, timeout: float | None = 0.0) -> int:
        """Runs the callbacks that are ready, and returns how many. Waits up to ``timeout`` seconds for the first.

        An exception of a callback is passed to ``sys.unraisablehook``, and counted: see :meth:`statistics`.
        """
        return self._inbox.process(timeout)

    def statistics(self) -> dict[str, int]:
        """Returns the counters of :meth:`callboard.Client.statistics`."""
        return {**self._native.statistics(), "callbacks_failed": self._inbox.failed_count}

    def close(self) -> None:
        """Closes the client. What was sent reaches the broker, and the pending callbacks run, with Cancelled."""
        try:
            self._native.start_close().result()
        finally:
            while self._inbox.pending_count:
                self._inbox.process(None)

    def __enter__(self) -> PolledClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<callboard.PolledClient of {self.address}>"
