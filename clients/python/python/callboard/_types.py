"""The types of arguments and results: their description for callers, and the check and conversion of values."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import sys
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any, Literal

from ._errors import InvalidArgument

#: Checks and converts a decoded value. The second argument is its path, for errors.
Converter = Callable[[Any, str], Any]


class Mismatch(InvalidArgument):
    """A value does not have the type that a function declares."""

    refused = False

    def __init__(self, argument: str, expected: str, got: str, *, refused: bool = False) -> None:
        text = f"{expected}; got {got}" if refused else f"expected {expected}, got {got}"
        details = {"argument": argument, "expected": expected, "got": got}
        super().__init__(f"argument {argument}: {text}", details=details, type_name="ArgumentError")
        self.argument, self.expected, self.got, self.refused = argument, expected, got, refused


@dataclasses.dataclass
class Form:
    """The form of the values of a type."""

    schema: Any
    """Its description, as in the contract."""
    expected: str
    """What an error expects, such as "a number"."""
    convert: Converter | None = None
    """Checks and converts a value; None if any value is valid."""
    exact: type | None = None
    """The type of which all values are valid as they are."""
    accepts_none: bool = False


ANY = Form("any", "any value", accepts_none=True)


class Types:
    """The types of one service. It converts annotations, and collects the definitions of named types."""

    def __init__(self) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self._forms: dict[type, Form] = {}

    def form(self, annotation: Any) -> Form:
        """Returns the form of the values of an annotation. Values of unknown types are not checked."""
        annotation = without_wrappers(annotation)
        if annotation in _SIMPLE:
            return _SIMPLE[annotation]
        origin, args = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Literal:
            return _literal(args)
        if origin in (typing.Union, types.UnionType):
            return self._union(args)
        container = origin or annotation
        if container is tuple:
            return self._tuple(args)
        if container in LISTS:
            return self._list(args[0] if args else Any, LISTS[container])
        if container in _MAPS:
            key, value = args if len(args) == 2 else (Any, Any)
            return self._map(key, value, _MAPS[container])
        return self._class(container) if isinstance(container, type) else ANY

    def _list(self, item: Any, collect: Callable[[list[Any]], Any] | None) -> Form:
        form = self.form(item)
        convert_item, exact = form.convert, form.exact

        def convert(value: Any, path: str) -> Any:
            if not isinstance(value, (list, tuple, set, frozenset)):
                raise Mismatch(path, "an array", describe_value(value))
            if convert_item is not None:
                items = enumerate(value)
                value = [item if type(item) is exact else convert_item(item, f"{path}[{at}]") for at, item in items]
            items_read = value if isinstance(value, list) else list(value)
            return items_read if collect is None else collect(items_read)

        return Form({"list": form.schema}, "an array", convert)

    def _tuple(self, args: tuple[Any, ...]) -> Form:
        if not args:
            return self._list(Any, tuple)
        if len(args) == 2 and args[1] is Ellipsis:
            return self._list(args[0], tuple)
        forms = [self.form(arg) for arg in args if arg != ()]
        expected = f"an array of {len(forms)}"

        def convert(value: Any, path: str) -> Any:
            if not isinstance(value, (list, tuple)):
                raise Mismatch(path, expected, describe_value(value))
            if len(value) != len(forms):
                raise Mismatch(path, expected, f"an array of {len(value)}")
            items = enumerate(zip(forms, value, strict=False))
            return tuple(_convert(form, item, f"{path}[{at}]") for at, (form, item) in items)

        return Form({"tuple": [form.schema for form in forms]}, expected, convert)

    def _map(self, key: Any, value: Any, collect: Callable[[dict[Any, Any]], Any] | None) -> Form:
        keys, values = self.form(key), self.form(value)

        def convert(value: Any, path: str) -> Any:
            if not isinstance(value, dict):
                raise Mismatch(path, "a map", describe_value(value))
            if keys.convert is not None or values.convert is not None:
                value = {
                    _convert(keys, key, f"{path} key {key!r:.40}"): _convert(values, item, f"{path}[{key!r:.40}]")
                    for key, item in value.items()
                }
            return collect(value) if collect is not None else value

        return Form({"map": [keys.schema, values.schema]}, "a map", convert)

    def _union(self, args: tuple[Any, ...]) -> Form:
        forms = [self.form(arg) for arg in args if arg is not type(None)]
        optional = len(forms) < len(args)
        if any(form.convert is None for form in forms):
            return ANY
        schema = forms[0].schema if len(forms) == 1 else {"one_of": [form.schema for form in forms]}
        expected = " or ".join(dict.fromkeys(form.expected for form in forms))
        if optional:
            schema, expected = {"optional": schema}, f"{expected} or null"
        exact = {form.exact for form in forms if form.exact is not None}

        def convert(value: Any, path: str) -> Any:
            if (value is None and optional) or type(value) in exact:
                return value
            for form in forms:
                try:
                    return _convert(form, value, path)
                except Mismatch as mismatch:
                    if len(forms) == 1 and mismatch.argument != path:
                        raise
            raise Mismatch(path, expected, describe_value(value))

        return Form(schema, expected, convert, accepts_none=optional)

    def _class(self, cls: type) -> Form:
        """Returns the form of a class. A class can refer to itself."""
        if cls in self._forms:
            return self._forms[cls]
        if issubclass(cls, enum.Enum):
            return _enum(cls)
        if cls.__module__ == "numpy" and cls.__name__ == "ndarray":
            return _array(cls)
        fields = _fields(cls)
        if fields is None:
            return Form({"opaque": cls.__name__}, cls.__name__, accepts_none=True)
        name = self._unused_name(cls.__name__)
        form = Form({"named": name}, "a map")
        self._forms[cls] = form
        self.definitions[name] = {"type": "any"}
        form.convert = lambda value, path: _unresolved(form, value, path)
        self._define(name, cls, form, fields)
        return form

    def _define(self, name: str, cls: type, form: Form, fields: list[_Field]) -> None:
        forms = [self.form(field.annotation) for field in fields]
        if _is_named_tuple(cls):
            form.expected = "an array"
            schema: dict[str, Any] = {"tuple": [field.schema for field in forms]}
            form.convert = _named_tuple_converter(cls, forms)
        else:
            pairs = list(zip(fields, forms, strict=True))
            schema = {"record": {"fields": [_field_schema(*pair) for pair in pairs]}}
            form.convert = _model_converter(cls) if _is_model(cls) else _record_converter(cls, pairs)
        self.definitions[name] = {"type": schema}
        doc = inspect.getdoc(cls) if "__doc__" in vars(cls) else None
        if doc and not doc.startswith(f"{cls.__name__}("):
            self.definitions[name]["doc"] = doc

    def _unused_name(self, name: str) -> str:
        number = 2
        unused = name
        while unused in self.definitions:
            unused, number = f"{name}{number}", number + 1
        return unused


def describe_value(value: Any) -> str:
    """Returns the kind of a value, as in the errors of workers in Rust."""
    for kinds, text in _KINDS:
        if isinstance(value, kinds):
            return text
    return "null" if value is None else f"a value of type {type(value).__name__}"


_KINDS: list[tuple[type | tuple[type, ...], str]] = [
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a float"),
    (str, "text"),
    ((bytes, bytearray, memoryview), "bytes"),
    ((list, tuple, set, frozenset), "an array"),
    (dict, "a map"),
]


@dataclasses.dataclass
class _Field:
    name: str
    annotation: Any
    optional: bool


def _convert(form: Form, value: Any, path: str) -> Any:
    if form.convert is None or type(value) is form.exact:
        return value
    return form.convert(value, path)


def _unresolved(form: Form, value: Any, path: str) -> Any:
    """The converter of a class that refers to itself, until it is defined."""
    assert form.convert is not None
    return form.convert(value, path)


def without_wrappers(annotation: Any) -> Any:
    """Returns the type inside of NewType, Annotated, Required and type aliases."""
    for _ in range(20):
        if isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__ or Any
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif hasattr(annotation, "__value__") and hasattr(annotation, "__type_params__"):
            annotation = annotation.__value__
        elif _origin_name(annotation) in ("Annotated", "Required", "NotRequired", "ReadOnly", "Final", "ClassVar"):
            annotation = typing.get_args(annotation)[0]
        else:
            break
    return annotation if _is_hashable(annotation) else Any


def _origin_name(annotation: Any) -> str:
    if hasattr(annotation, "__metadata__"):
        return "Annotated"
    return getattr(typing.get_origin(annotation), "_name", None) or ""


def _is_hashable(annotation: Any) -> bool:
    try:
        hash(annotation)
    except TypeError:
        return False
    return not isinstance(annotation, (str, typing.ForwardRef))


def _fields(cls: type) -> list[_Field] | None:
    """Returns the fields of a dataclass, a TypedDict, a NamedTuple or a pydantic model; None for other classes."""
    if typing.is_typeddict(cls):
        required: frozenset[str] = getattr(cls, "__required_keys__", frozenset())
        return [_Field(name, hint, name not in required) for name, hint in _class_hints(cls).items()]
    if _is_model(cls):
        models: dict[str, Any] = getattr(cls, "model_fields", {})
        return [_Field(f.alias or name, f.annotation, not f.is_required()) for name, f in models.items()]
    if dataclasses.is_dataclass(cls):
        hints = _class_hints(cls)
        return [_Field(f.name, hints.get(f.name, Any), _has_default(f)) for f in dataclasses.fields(cls) if f.init]
    if _is_named_tuple(cls):
        hints = _class_hints(cls)
        defaults = getattr(cls, "_field_defaults", {})
        return [_Field(name, hints.get(name, Any), name in defaults) for name in getattr(cls, "_fields", ())]
    return None


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _class_hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except Exception:
        scope = dict(vars(sys.modules.get(cls.__module__, types.ModuleType(""))))
        scope[cls.__name__] = cls
        return {name: evaluate(hint, scope) for name, hint in cls.__annotations__.items()}


def evaluate(annotation: Any, scope: dict[str, Any]) -> Any:
    """Evaluates an annotation that is a text. If that fails, returns the text."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, scope)
    except Exception:
        return annotation


def _is_model(cls: type) -> bool:
    return hasattr(cls, "model_validate") and hasattr(cls, "model_fields")


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _field_schema(field: _Field, form: Form) -> dict[str, Any]:
    schema = {"name": field.name, "type": form.schema}
    return {**schema, "optional": True} if field.optional else schema


def _record_converter(cls: type, fields: list[tuple[_Field, Form]]) -> Converter:
    """Builds a dataclass from a map, or checks a TypedDict. Unknown keys are ignored, so that callers can be newer."""
    is_typed_dict = typing.is_typeddict(cls)

    def convert(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(path, "a map", describe_value(value))
        converted = {}
        for field, form in fields:
            if field.name in value:
                converted[field.name] = _convert(form, value[field.name], f"{path}.{field.name}")
            elif not field.optional:
                raise Mismatch(f"{path}.{field.name}", "a value", "nothing")
        if is_typed_dict:
            return {**value, **converted}
        return _construct(lambda: cls(**converted), path, "a map")

    return convert


def _named_tuple_converter(cls: type, forms: list[Form]) -> Converter:
    def convert(value: Any, path: str) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Mismatch(path, "an array", describe_value(value))
        items = [
            _convert(form, item, f"{path}[{at}]") for at, (form, item) in enumerate(zip(forms, value, strict=False))
        ]
        return _construct(lambda: cls(*items, *value[len(forms) :]), path, f"an array of {len(value)}")

    return convert


def _model_converter(cls: Any) -> Converter:
    def convert(value: Any, path: str) -> Any:
        try:
            return cls.model_validate(value)
        except ValueError as error:
            describe_errors = getattr(error, "errors", list)
            errors: list[Any] = describe_errors()
            if not errors:
                raise Mismatch(path, str(error), describe_value(value), refused=True) from error
            place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in errors[0]["loc"])
            got = describe_value(errors[0].get("input"))
            raise Mismatch(f"{path}{place}", errors[0]["msg"], got, refused=True) from error

    return convert


def _construct(create: Callable[[], Any], path: str, got: str) -> Any:
    """Calls a constructor of the program, which can refuse the value."""
    try:
        return create()
    except (ValueError, TypeError, ArithmeticError) as error:
        raise Mismatch(path, str(error) or type(error).__name__, got, refused=True) from error


def _enum(cls: type[enum.Enum]) -> Form:
    values = [member.value for member in cls]
    expected = "one of " + ", ".join(repr(value) for value in values[:20])

    def convert(value: Any, path: str) -> Any:
        try:
            return cls(value)
        except ValueError:
            raise Mismatch(path, expected, _shown(value)) from None

    return Form(_values_schema(values), expected, convert)


def _literal(values: tuple[Any, ...]) -> Form:
    values = tuple(value.value if isinstance(value, enum.Enum) else value for value in values)
    expected = "one of " + ", ".join(repr(value) for value in values)

    def convert(value: Any, path: str) -> Any:
        if not any(type(value) is type(known) and value == known for known in values):
            raise Mismatch(path, expected, _shown(value))
        return value

    return Form(_values_schema(values), expected, convert, accepts_none=None in values)


def _values_schema(values: typing.Iterable[Any]) -> Any:
    schemas = []
    for value in values:
        known = _SIMPLE.get(type(value), ANY).schema
        schema = {"literal": value} if isinstance(value, str) else known
        if schema not in schemas:
            schemas.append(schema)
    return schemas[0] if len(schemas) == 1 else {"one_of": schemas}


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else describe_value(value)


def _scalar(schema: str, expected: str, cls: type) -> Form:
    def convert(value: Any, path: str) -> Any:
        if isinstance(value, cls) and (cls is bool or not isinstance(value, bool)):
            return value
        raise Mismatch(path, expected, describe_value(value))

    return Form(schema, expected, convert, exact=cls)


def _number(value: Any, path: str) -> float:
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return float(value)
    raise Mismatch(path, "a number", describe_value(value))


def _null(value: Any, path: str) -> None:
    if value is not None:
        raise Mismatch(path, "null", describe_value(value))


def _bytearray(value: Any, path: str) -> bytearray:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytearray(value)
    raise Mismatch(path, "bytes", describe_value(value))


def _parsed(cls: type, parse: Callable[[str], Any], expected: str) -> Form:
    """The form of a class that callers may also send as text, because their language has no such type."""

    def convert(value: Any, path: str) -> Any:
        # A date and time is an instance of `date`, and not a date.
        if isinstance(value, cls) and not (cls is datetime.date and isinstance(value, datetime.datetime)):
            return value
        if isinstance(value, str):
            try:
                return parse(value)
            except (ValueError, ArithmeticError):
                raise Mismatch(path, expected, _shown(value)) from None
        raise Mismatch(path, expected, describe_value(value))

    return Form({"opaque": cls.__name__}, expected, convert, exact=cls)


def _duration(value: Any, path: str) -> datetime.timedelta:
    """Converts a duration, which callers may also send as a number of seconds."""
    if isinstance(value, datetime.timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return typing.cast(
            datetime.timedelta, _construct(lambda: datetime.timedelta(seconds=value), path, describe_value(value))
        )
    raise Mismatch(path, "a duration", describe_value(value))


def _array(cls: Any) -> Form:
    """The form of numpy's arrays. Callers without numpy may send a list of numbers."""

    def convert(value: Any, path: str) -> Any:
        if isinstance(value, list):
            numpy = sys.modules["numpy"]
            value = _construct(lambda: numpy.asarray(value), path, "an array")
        if not isinstance(value, cls) or value.dtype.kind not in "biufc":
            raise Mismatch(path, "an array of numbers", describe_value(value))
        return value

    return Form({"opaque": "ndarray"}, "an array of numbers", convert)


def _decimal(value: Any, path: str) -> decimal.Decimal:
    if isinstance(value, (decimal.Decimal, int)) and not isinstance(value, bool):
        return decimal.Decimal(value)
    if isinstance(value, str):
        try:
            return decimal.Decimal(value)
        except ArithmeticError:
            raise Mismatch(path, "a decimal number", _shown(value)) from None
    raise Mismatch(path, "a decimal number", describe_value(value))


_SIMPLE: dict[Any, Form] = {
    Any: ANY,
    inspect.Parameter.empty: ANY,
    object: ANY,
    None: Form("null", "null", _null, accepts_none=True),
    type(None): Form("null", "null", _null, accepts_none=True),
    bool: Form("bool", "a boolean", _scalar("bool", "a boolean", bool).convert, exact=bool),
    int: _scalar("i64", "an integer", int),
    float: Form("f64", "a number", _number, exact=float),
    str: _scalar("text", "text", str),
    bytes: Form("bytes", "bytes", lambda value, path: bytes(_bytearray(value, path)), exact=bytes),
    bytearray: Form("bytes", "bytes", _bytearray, exact=bytearray),
    datetime.datetime: _parsed(
        datetime.datetime, lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")), "a date and time"
    ),
    datetime.date: _parsed(datetime.date, datetime.date.fromisoformat, "a date"),
    datetime.time: _parsed(datetime.time, datetime.time.fromisoformat, "a time"),
    datetime.timedelta: Form({"opaque": "timedelta"}, "a duration", _duration, exact=datetime.timedelta),
    uuid.UUID: _parsed(uuid.UUID, uuid.UUID, "a UUID"),
    decimal.Decimal: Form({"opaque": "Decimal"}, "a decimal number", _decimal, exact=decimal.Decimal),
}


LISTS: dict[Any, Callable[[list[Any]], Any] | None] = {
    list: None,
    collections.abc.Sequence: None,
    collections.abc.MutableSequence: None,
    collections.abc.Collection: None,
    collections.abc.Iterable: None,
    collections.deque: collections.deque,
    set: set,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    frozenset: frozenset,
}


_MAPS: dict[Any, Callable[[dict[Any, Any]], Any] | None] = {
    dict: None,
    collections.abc.Mapping: None,
    collections.abc.MutableMapping: None,
    collections.OrderedDict: collections.OrderedDict,
    collections.Counter: collections.Counter,
}
