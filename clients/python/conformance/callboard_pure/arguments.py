"""The arguments of a method: from a body to the parameters of a Python function (PROTOCOL.md 8.1 and 8.2)."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any

from callboard_pure import cbor
from callboard_pure.cbor import MalformedError

# What a parameter of this type accepts; parameters of other types are not checked.
CHECKED: dict[Any, tuple[type, ...]] = {
    bool: (bool,), int: (int,), float: (int, float), str: (str,), bytes: (bytes,), list: (list,), dict: (dict,),
}  # fmt: skip


class ArgumentError(Exception):
    """Arguments that do not fit the parameters."""

    def __init__(self, argument: str, expected: str, got: str) -> None:
        name = f"argument {argument}: " if argument else ""
        super().__init__(f"{name}expected {expected}, got {got}")
        self.details = {"argument": argument, "expected": expected, "got": got}


class Parameters:
    """The parameters of one function, which are those of its method."""

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = typing.get_type_hints(function)
        signature = inspect.signature(function)
        self.names = list(signature.parameters)
        self._types = {name: hints.get(name, Any) for name in self.names}
        self._required = [each.name for each in signature.parameters.values() if each.default is each.empty]

    def bind(self, body: bytes) -> dict[str, Any]:
        """Returns the arguments by name.

        Raises:
            ArgumentError: if they do not fit.
        """
        try:
            arguments = cbor.decode(body)
        except MalformedError as error:
            raise ArgumentError("", "one well-formed CBOR item", str(error)) from error
        if isinstance(arguments, list):
            arguments = dict(enumerate(arguments))
        if not isinstance(arguments, dict):
            raise ArgumentError("", "an array or a map", type(arguments).__name__)
        bound: dict[str, Any] = {}
        for key, value in arguments.items():
            name = self._name(key)
            if name in bound:
                raise ArgumentError(name, "one value", "two")
            bound[name] = self._checked(name, value)
        for name in self._required:
            if name not in bound:
                raise ArgumentError(name, "a value", "nothing")
        return bound

    def _name(self, key: Any) -> str:
        if isinstance(key, str) and key in self.names:
            return key
        if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(self.names):
            return self.names[key]
        if isinstance(key, int):
            raise ArgumentError("", f"at most {len(self.names)} arguments", f"one at position {key}")
        raise ArgumentError("", f"arguments among {', '.join(self.names) or 'none'}", f"{key!r:.80}")

    def _checked(self, name: str, value: Any) -> Any:
        expected = self._types[name]
        accepted = CHECKED.get(expected)
        if accepted and (not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool)):
            raise ArgumentError(name, expected.__name__, type(value).__name__)
        return float(value) if expected is float else value
