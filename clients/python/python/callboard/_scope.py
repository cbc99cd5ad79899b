"""The call that a coroutine serves. The calls that the coroutine makes inherit its deadline."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from ._native import Context

T = TypeVar("T")

#: The context of the call that the current task serves. The tasks that a handler creates inherit it.
current: ContextVar[Context | None] = ContextVar("callboard_call", default=None)


def in_scope(function: Callable[..., T], /, *args: Any) -> T:
    """Calls a function that starts a call, inside of the scope of the call that the current task serves."""
    context = current.get()
    return function(*args) if context is None else context._enter(function, *args)
