"""The contract of served functions: what their signatures, annotations and comments mean for callers."""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any, Literal

from . import _native
from ._types import ANY, LISTS, Converter, Form, Types, evaluate, without_wrappers

Style = Literal["unary", "server", "client", "both"]
Kind = Literal["argument", "context", "items"]


@dataclasses.dataclass
class Parameter:
    """A parameter of a served function. The native module reads it."""

    name: str
    kind: Kind
    keyword_only: bool
    has_default: bool
    default: Any
    exact: type | None
    convert: Converter | None


@dataclasses.dataclass
class Signature:
    """What the annotations of a function mean for its callers."""

    parameters: list[Parameter]
    style: Style
    is_async: bool
    item_convert: Converter | None
    description: dict[str, Any]
    """The description of the method, without its name and effect."""


def signature(function: Callable[..., Any], types: Types) -> Signature:
    """Reads the signature of a function. Adds its named types to ``types``.

    Raises TypeError if callers could not call it.
    """
    hints = _hints(function)
    returned = hints.get("return", Any)
    is_async = _is_async(function, returned)
    parameters: list[Parameter] = []
    arguments: list[dict[str, Any]] = []
    incoming: list[Form] = []
    for parameter in inspect.signature(function).parameters.values():
        annotation = hints.get(parameter.name, Any)
        kind = _parameter_kind(function, parameter, annotation, is_async)
        form = types.form(annotation) if kind == "argument" else ANY
        parameters.append(_parameter(parameter, kind, form))
        if kind == "argument":
            arguments.append({"name": parameter.name, "type": _argument_schema(parameter, form)})
        elif kind == "items":
            incoming.append(types.form((typing.get_args(annotation) or (Any,))[0]))
    if len(incoming) > 1:
        raise TypeError(f"{label(function)} has two parameters for the caller's items: use one")
    streams = _streams(incoming, _outgoing(function, returned), types)
    result = "null" if "outgoing" in streams else types.form(returned).schema
    doc = inspect.getdoc(function) if inspect.isroutine(function) else None
    description = {"doc": doc or "", "arguments": arguments, "result": result, **streams}
    return Signature(parameters, streams["style"], is_async, incoming[0].convert if incoming else None, description)


def label(function: Callable[..., Any]) -> str:
    """Returns the name of a function for errors."""
    return getattr(function, "__name__", None) or repr(function)


def _streams(incoming: list[Form], outgoing: Any, types: Types) -> dict[str, Any]:
    """Describes the streams of a method."""
    streams: dict[str, Any] = {"style": _STYLES[bool(incoming), outgoing is not None]}
    if incoming:
        streams["incoming"] = incoming[0].schema
    if outgoing is not None:
        streams["outgoing"] = types.form(outgoing).schema
    return streams


def _is_async(function: Callable[..., Any], returned: Any) -> bool:
    """Returns whether a function must run on an event loop."""
    call = function if inspect.isroutine(function) else getattr(function, "func", type(function).__call__)
    is_async = inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)
    return is_async or (typing.get_origin(returned) or returned) in _ASYNC_ITERATORS


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns the annotations. One that cannot be evaluated, such as that of a local class, is left as its text."""
    # A partial has the annotations of its function, and a callable object those of its method.
    function = getattr(function, "func", function)
    target = function if inspect.isroutine(function) else type(function).__call__
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:
        pass
    scope = dict(getattr(inspect.unwrap(target), "__globals__", {}))
    closure = getattr(target, "__closure__", None) or ()
    names = getattr(getattr(target, "__code__", None), "co_freevars", ())
    scope.update({name: cell.cell_contents for name, cell in zip(names, closure, strict=False) if _is_set(cell)})
    return {name: evaluate(text, scope) for name, text in getattr(target, "__annotations__", {}).items()}


def _is_set(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _parameter_kind(
    function: Callable[..., Any], parameter: inspect.Parameter, annotation: Any, is_async: bool
) -> Kind:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise TypeError(f"{label(function)} has the parameter {parameter}: a served function must name its arguments")
    if without_wrappers(annotation) is _native.Context or annotation in ("Context", "callboard.Context"):
        return "context"
    origin = typing.get_origin(annotation) or annotation
    if origin not in (*_ITERATORS, *_ASYNC_ITERATORS):
        return "argument"
    if (origin in _ASYNC_ITERATORS) != is_async:
        use = "AsyncIterator" if is_async else "Iterator"
        text = f"the parameter {parameter.name} of {label(function)} is the caller's items"
        raise TypeError(f"{text}: annotate it as {use}")
    return "items"


def _parameter(parameter: inspect.Parameter, kind: Kind, form: Form) -> Parameter:
    has_default = parameter.default is not inspect.Parameter.empty
    convert = form.convert
    if has_default and convert is not None and not form.accepts_none:
        convert = _with_default(convert, parameter.default)
    default = parameter.default if has_default else None
    keyword_only = parameter.kind is inspect.Parameter.KEYWORD_ONLY
    return Parameter(parameter.name, kind, keyword_only, has_default, default, form.exact, convert)


def _with_default(convert: Converter, default: Any) -> Converter:
    """Null means that an optional argument is omitted: other languages may send it so."""
    return lambda value, path: default if value is None else convert(value, path)


def _argument_schema(parameter: inspect.Parameter, form: Form) -> Any:
    """An argument that may be omitted is described as optional."""
    if parameter.default is inspect.Parameter.empty or form.accepts_none:
        return form.schema
    return {"optional": form.schema}


def _outgoing(function: Callable[..., Any], returned: Any) -> Any:
    """Returns the type of the items that a function sends, or None if it returns one result."""
    origin = typing.get_origin(returned) or returned
    sends = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    declared = origin in (*_ITERATORS, *_ASYNC_ITERATORS)
    if not sends and not declared:
        return None
    items = typing.get_args(returned) if declared or origin in LISTS or origin in _ASYNC_ITERABLES else ()
    return items[0] if items else Any


_ITERATORS = (collections.abc.Iterator, collections.abc.Generator)
_ASYNC_ITERATORS = (collections.abc.AsyncIterator, collections.abc.AsyncGenerator)
_ASYNC_ITERABLES = (collections.abc.AsyncIterable,)

#: The style by whether the caller and the handler send items.
_STYLES: dict[tuple[bool, bool], Style] = {
    (False, False): "unary",
    (False, True): "server",
    (True, False): "client",
    (True, True): "both",
}
