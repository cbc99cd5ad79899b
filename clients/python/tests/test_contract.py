"""The types of arguments: their description, and the check and conversion of values. Without a broker."""

# Both forms of unions are tested.
# ruff: noqa: UP007, UP045

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import typing
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union

import callboard
import pytest
from callboard import _contract
from callboard._types import Mismatch, Types

UserId = NewType("UserId", int)
T = typing.TypeVar("T", bound=str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    """A place."""

    x: float
    y: float = 0.0


@dataclasses.dataclass
class Tree:
    value: int
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value <= 0:
            raise ValueError("it must be positive")


class Street(TypedDict):
    street: str


class Address(Street, total=False):
    number: int


class Pair(NamedTuple):
    left: int
    right: str = "r"


CASES: list[tuple[Any, Any, Any, Any]] = [
    (Any, "any", [1, "a"], [1, "a"]),
    (object, "any", 1, 1),
    (bool, "bool", True, True),
    (int, "i64", 2**80, 2**80),
    (UserId, "i64", 7, 7),
    (Annotated[int, "even"], "i64", 7, 7),
    (T, "text", "a", "a"),
    (float, "f64", 2, 2.0),
    (str, "text", "a", "a"),
    (bytes, "bytes", b"a", b"a"),
    (bytearray, "bytes", b"a", bytearray(b"a")),
    (None, "null", None, None),
    (list, {"list": "any"}, [1, "a"], [1, "a"]),
    (list[float], {"list": "f64"}, [1, 2.5], [1.0, 2.5]),
    (Sequence[int], {"list": "i64"}, [1], [1]),
    (set[int], {"list": "i64"}, [1, 1], {1}),
    (frozenset[int], {"list": "i64"}, [1], frozenset([1])),
    (collections.deque[int], {"list": "i64"}, [1], collections.deque([1])),
    (tuple[int, str], {"tuple": ["i64", "text"]}, [1, "a"], (1, "a")),
    (tuple[int, ...], {"list": "i64"}, [1, 2], (1, 2)),
    (dict[str, float], {"map": ["text", "f64"]}, {"a": 1}, {"a": 1.0}),
    (Mapping[int, list[int]], {"map": ["i64", {"list": "i64"}]}, {1: [2]}, {1: [2]}),
    (dict, {"map": ["any", "any"]}, {1: "a"}, {1: "a"}),
    (Optional[int], {"optional": "i64"}, None, None),
    (int | None, {"optional": "i64"}, 3, 3),
    (Union[int, str], {"one_of": ["i64", "text"]}, "a", "a"),
    (Union[float, int], {"one_of": ["f64", "i64"]}, 3, 3),
    (Union[Any, None], "any", 3, 3),
    (Literal["a", "b"], {"one_of": [{"literal": "a"}, {"literal": "b"}]}, "b", "b"),
    (Literal[1, 2], "i64", 2, 2),
    (Colour, {"one_of": [{"literal": "red"}, {"literal": "blue"}]}, "blue", Colour.BLUE),
    (datetime.date, {"opaque": "date"}, "2024-02-29", datetime.date(2024, 2, 29)),
    (
        datetime.datetime,
        {"opaque": "datetime"},
        "2024-02-29T12:00:00Z",
        datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc),
    ),
    (decimal.Decimal, {"opaque": "Decimal"}, "1.5", decimal.Decimal("1.5")),
    (datetime.time, {"opaque": "time"}, "12:30", datetime.time(12, 30)),
    (datetime.timedelta, {"opaque": "timedelta"}, 1.5, datetime.timedelta(seconds=1.5)),
    (uuid.UUID, {"opaque": "UUID"}, "0" * 32, uuid.UUID(int=0)),
    (Point, {"named": "Point"}, {"x": 1, "unknown": 2}, Point(1.0, 0.0)),
    (Tree, {"named": "Tree"}, {"value": 1, "children": [{"value": 2}]}, Tree(1, [Tree(2)])),
    (Address, {"named": "Address"}, {"street": "a", "extra": 1}, {"street": "a", "extra": 1}),
    (Pair, {"named": "Pair"}, [1, "a"], Pair(1, "a")),
    (complex, {"opaque": "complex"}, "anything", "anything"),
]


def converted(annotation: Any, value: Any) -> Any:
    form = Types().form(annotation)
    return value if form.convert is None else form.convert(value, "arg")


@pytest.mark.parametrize(("annotation", "schema", "value", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_type_is_described_and_its_values_are_converted(
    annotation: Any, schema: Any, value: Any, expected: Any
) -> None:
    assert Types().form(annotation).schema == schema
    result = converted(annotation, value)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "argument", "expected", "got"),
    [
        (bool, 1, "arg", "a boolean", "an integer"),
        (int, True, "arg", "an integer", "a boolean"),
        (float, "1", "arg", "a number", "text"),
        (float, True, "arg", "a number", "a boolean"),
        (str, b"a", "arg", "text", "bytes"),
        (bytes, [1], "arg", "bytes", "an array"),
        (None, {}, "arg", "null", "a map"),
        (list[int], "abc", "arg", "an array", "text"),
        (list[list[int]], [[1], [2, "a"]], "arg[1][1]", "an integer", "text"),
        (tuple[int, str], [1], "arg", "an array of 2", "an array of 1"),
        (dict[str, int], {"a": None}, "arg['a']", "an integer", "null"),
        (dict[str, int], {1: 1}, "arg key 1", "text", "an integer"),
        (Optional[list[int]], ["a"], "arg[0]", "an integer", "text"),
        (int | str | None, 1.5, "arg", "an integer or text or null", "a float"),
        (Literal["a", "b"], "c", "arg", "one of 'a', 'b'", "'c'"),
        (Literal[1], True, "arg", "one of 1", "True"),
        (Colour, "green", "arg", "one of 'red', 'blue'", "'green'"),
        (datetime.date, "tomorrow", "arg", "a date", "'tomorrow'"),
        (datetime.date, datetime.datetime(2024, 1, 1), "arg", "a date", "a value of type datetime"),
        (datetime.timedelta, "1", "arg", "a duration", "text"),
        (decimal.Decimal, 1.5, "arg", "a decimal number", "a float"),
        (Point, {"x": "a"}, "arg.x", "a number", "text"),
        (Point, {}, "arg.x", "a value", "nothing"),
        (Point, [1, 2], "arg", "a map", "an array"),
        (Tree, {"value": 1, "children": [{"value": "a"}]}, "arg.children[0].value", "an integer", "text"),
        (Positive, {"value": 0}, "arg", "it must be positive", "a map"),
        (Address, {"number": 1}, "arg.street", "a value", "nothing"),
        (Pair, {}, "arg", "an array", "a map"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_path(
    annotation: Any, value: Any, argument: str, expected: str, got: str
) -> None:
    with pytest.raises(Mismatch) as caught:
        converted(annotation, value)
    assert (caught.value.argument, caught.value.expected, caught.value.got) == (argument, expected, got)


def test_named_types_are_defined_once() -> None:
    types = Types()
    types.form(list[Point])
    types.form(Tree)
    Other = dataclasses.make_dataclass("Point", [("z", int)])
    assert types.form(Other).schema == {"named": "Point2"}
    assert types.form(Point).schema == {"named": "Point"}
    x, y = {"name": "x", "type": "f64"}, {"name": "y", "type": "f64", "optional": True}
    assert types.definitions["Point"] == {"doc": "A place.", "type": {"record": {"fields": [x, y]}}}
    children = {"name": "children", "type": {"list": {"named": "Tree"}}, "optional": True}
    assert types.definitions["Tree"] == {"type": {"record": {"fields": [{"name": "value", "type": "i64"}, children]}}}


def test_a_pydantic_model_validates_its_values() -> None:
    pydantic = pytest.importorskip("pydantic")
    User = pydantic.create_model("User", name=(str, ...), age=(int, pydantic.Field(default=1, ge=0)))
    types = Types()
    assert types.form(User).schema == {"named": "User"}
    assert types.definitions["User"]["type"]["record"]["fields"][0] == {"name": "name", "type": "text"}
    assert converted(User, {"name": "Ann"}) == User(name="Ann", age=1)
    with pytest.raises(Mismatch, match="greater than or equal to 0") as caught:
        converted(User, {"name": "Ann", "age": -1})
    assert (caught.value.argument, caught.value.got) == ("arg.age", "an integer")


def test_an_array_of_numpy_can_come_as_a_list() -> None:
    numpy = pytest.importorskip("numpy")
    assert Types().form(numpy.ndarray).schema == {"opaque": "ndarray"}
    array = numpy.array([1.0, 2.0])
    assert converted(numpy.ndarray, array) is array
    assert converted(numpy.ndarray, [1.0, 2.0]).tolist() == [1.0, 2.0]
    for value in ("text", ["a"], [[1], [2, 3]]):
        with pytest.raises(Mismatch):
            converted(numpy.ndarray, value)


def test_signatures_become_descriptions() -> None:
    def describe(function: Any) -> dict[str, Any]:
        return _contract.signature(function, Types()).description

    def plain(context: callboard.Context, a: int, b: str = "b", *, c: int | None = None) -> list[int]:
        """Does it.

        At length.
        """
        return []

    assert describe(plain) == {
        "doc": "Does it.\n\nAt length.",
        "style": "unary",
        "arguments": [
            {"name": "a", "type": "i64"},
            {"name": "b", "type": {"optional": "text"}},
            {"name": "c", "type": {"optional": "i64"}},
        ],
        "result": {"list": "i64"},
    }

    def both(start: int, items: Iterator[int]) -> Iterator[str]:
        yield from ()

    described = describe(both)
    assert (described["style"], described["incoming"], described["outgoing"]) == ("both", "i64", "text")
    assert described["result"] == "null"

    async def generator(items: AsyncIterator[Any]):  # type: ignore[no-untyped-def]
        yield 1

    assert describe(generator)["style"] == "both" and describe(generator)["outgoing"] == "any"

    class Adder:
        async def __call__(self, x: int) -> int:
            return x

    signature = _contract.signature(Adder(), Types())
    assert signature.is_async and signature.description["arguments"] == [{"name": "x", "type": "i64"}]
    partial = _contract.signature(functools.partial(plain, a=1), Types())
    assert [argument["name"] for argument in partial.description["arguments"]] == ["a", "b", "c"]


def test_annotations_of_local_classes_are_found() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    def take(local: Local, other: Unknown) -> None:  # type: ignore[name-defined] # noqa: F821
        Local(1)

    types = Types()
    signature = _contract.signature(take, types)
    arguments = {argument["name"]: argument["type"] for argument in signature.description["arguments"]}
    assert arguments == {"local": {"named": "Local"}, "other": "any"}


def test_a_function_that_callers_could_not_call_is_a_type_error() -> None:
    def variadic(*args: int) -> None: ...

    def mixed(items: AsyncIterator[int]) -> None: ...

    async def async_mixed(items: Iterator[int]) -> None: ...

    def twice(a: Iterator[int], b: Iterator[int]) -> None: ...

    for function, text in ((variadic, "args"), (mixed, "Iterator"), (async_mixed, "AsyncIterator"), (twice, "two")):
        with pytest.raises(TypeError, match=text):
            _contract.signature(function, Types())
