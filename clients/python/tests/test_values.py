"""Python objects as CBOR and back. See docs/guide/python-values.md for the table."""

from __future__ import annotations

import array
import contextlib
import copy
import dataclasses
import enum
import math
import pickle
import struct
import subprocess
import sys
import uuid
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, TypedDict

import cbor2
import numpy
import pydantic
import pydantic.dataclasses
import pytest
from callboard import Tagged
from callboard._native import decode, decode_arguments, encode, encode_arguments
from hypothesis import given
from hypothesis import strategies as st

UTC = timezone.utc


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


class Movie(TypedDict):
    title: str
    year: int


@dataclasses.dataclass
class Person:
    species: ClassVar[str] = "human"
    name: str
    born: date
    friends: list[Person] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Slotted:
    __slots__ = ("x",)
    x: int


def round_trip(value: object) -> Any:
    return decode(encode(value))


def same(left: object, right: object) -> bool:
    """Whether two values are equal and of the same type, NaN included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("d", left) == struct.pack("d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return left == right


EXACT: list[Any] = [
    None,
    True,
    False,
    *[0, 1, 23, 24, 255, 256, 65535, 65536, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**128, 2**10_000],
    *[-1, -24, -25, -(2**31), -(2**63), -(2**63) - 1, -(2**64), -(2**64) - 1, -(2**128), -(2**10_000)],
    *[0.0, -0.0, 1.5, 0.1, 1e300, 5e-324, math.inf, -math.inf, math.nan],
    *["", "a", "zwölf", "\U0001f600", "x" * 70_000, "\0"],
    *[b"", b"\0\xff", b"x" * 70_000],
    *[[], [1, "two", [3.0]], [[[]]]],
    *[{}, {"a": 1}, {1: "a", -1: "b", "c": None, b"d": [], (1, (2, "x")): 3, 2.5: 4, None: 5, frozenset([1]): 6}],
    *[set(), {1, "a", (2, 3)}, {frozenset([1, 2])}],
    datetime(2026, 11, 29, 12, 30, tzinfo=UTC),
    datetime(2026, 11, 29, 12, 30, 5, 123456, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
    *[date(2026, 11, 29), date.min, date.max],
    *[timedelta(), timedelta(days=1, microseconds=1), timedelta(microseconds=-1), timedelta.min, timedelta.max],
    *[Decimal("0"), Decimal("1.10"), Decimal("-273.15"), Decimal("1E+1000"), Decimal("1E-1000"), Decimal(2**64)],
    *[Decimal("-" + "9" * 2466), Decimal("1E+999999999999999999"), Decimal("1E-1999999999999999997")],
    uuid.UUID(int=0),
    uuid.UUID("12345678-1234-5678-1234-567812345678"),
    {uuid.UUID(int=1): 1, date(2026, 1, 1): 2, Decimal("1.5"): 3, timedelta(1): 4, Tagged(99, (1,)): 5},
    *[Tagged(99, [1]), Tagged(2**64 - 1, Tagged(98, None))],
]


@pytest.mark.parametrize("value", EXACT, ids=lambda value: repr(value)[:40])
def test_a_value_comes_back_as_itself(value: object) -> None:
    assert same(round_trip(value), value)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ((1, (2,)), [1, [2]]),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (frozenset([1]), {1}),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (Access.READ | Access.WRITE, 3),
        (Point(1, 2), [1, 2]),
        (Movie(title="Metropolis", year=1927), {"title": "Metropolis", "year": 1927}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Slotted(1), {"x": 1}),
        (
            Person("Ada", date(1815, 12, 10), [Person("Bob", date(1820, 1, 1))]),
            {
                "name": "Ada",
                "born": date(1815, 12, 10),
                "friends": [{"name": "Bob", "born": date(1820, 1, 1), "friends": []}],
            },
        ),
        (datetime(1890, 1, 1, tzinfo=timezone(timedelta(seconds=3208))), datetime(1889, 12, 31, 23, 6, 32, tzinfo=UTC)),
        ({Color.RED: Point(1, 2)}, {"red": [1, 2]}),
        (Decimal("-0.00"), Decimal("0.00")),
        (type("Text", (str,), {})("a"), "a"),
        (type("Integer", (int,), {})(2**70), 2**70),
        (type("Number", (float,), {})(1.5), 1.5),
        (type("Items", (list,), {})([1]), [1]),
        (type("Bytes", (bytes,), {})(b"a"), b"a"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_value_of_another_type_comes_back_as_the_plain_type(value: object, result: object) -> None:
    assert same(round_trip(value), result)


def with_fixed_offset(when: datetime) -> datetime:
    """Return the same time with an offset. A time that a zone has twice or never is not equal to any in other zones."""
    offset = when.utcoffset()
    assert offset is not None
    in_range = when.year not in (1, 9999)
    return when.replace(tzinfo=timezone(offset) if in_range else UTC)


KEYS = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False) | st.dates() | st.uuids(),
    lambda keys: st.tuples(keys, keys) | st.frozensets(keys, max_size=3),
    max_leaves=5,
)
LEAVES = (
    KEYS.filter(lambda key: not isinstance(key, tuple | frozenset))
    | st.booleans()
    | st.floats()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.datetimes(timezones=st.timezones()).map(with_fixed_offset)
    | st.timedeltas()
    | st.sets(KEYS)
)
VALUES = st.recursive(LEAVES, lambda values: st.lists(values) | st.dictionaries(KEYS, values), max_leaves=20)


@given(VALUES)
def test_any_value_comes_back_as_itself(value: object) -> None:
    assert same(round_trip(value), value)


@given(VALUES)
def test_any_value_is_well_formed_for_cbor2(value: object) -> None:
    cbor2.loads(encode(value))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.integers(), values),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_values_are_the_bytes_of_cbor2(value: object) -> None:
    assert encode(value) == cbor2.dumps(value, canonical=False, string_referencing=False) or has_float(value)
    assert same(cbor2.loads(encode(value)), value)


@given(PLAIN)
def test_what_cbor2_writes_is_read(value: object) -> None:
    assert same(decode(cbor2.dumps(value)), value)


def has_float(value: object) -> bool:
    """Whether a value contains a float, which cbor2 writes with 8 bytes always."""
    if isinstance(value, list):
        return any(map(has_float, value))
    if isinstance(value, dict):
        return any(map(has_float, value.values()))
    return isinstance(value, float)


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        datetime(2026, 11, 29, 12, 30, 0, 5, tzinfo=UTC),
        datetime(2026, 11, 29, tzinfo=timezone(timedelta(hours=2))),
        Decimal("-1.5"),
        uuid.UUID(int=7),
        2**100,
    ],
)
def test_cbor2_reads_the_same_value(value: object) -> None:
    assert cbor2.loads(encode(value)) == value
    assert decode(cbor2.dumps(value)) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("c11a514b67b0", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
        ("c1fb41d452d9ec200000", datetime(2013, 3, 21, 20, 4, 0, 500000, tzinfo=UTC)),
        ("d8640a", date(1970, 1, 11)),
        ("d9d9f701", 1),
        ("c243010000", 65536),
        ("c240", 0),
        ("5f41614162ff", b"ab"),
        ("7f61616162ff", "ab"),
        ("9f01ff", [1]),
        ("bf6161019fff02ff", {"a": 1, (): 2}),
        ("f7", None),
        ("e0", None),
        ("f93c00", 1.0),
        ("a201020103", {1: 3}),
        ("d903eaa101fb3ff8000000000000", Tagged(1002, {1: 1.5})),
        ("c078183230313320303332312030303a30303a30302e305a", None),
    ],
)
def test_other_forms_are_read(body: str, value: object) -> None:
    if value is None and body.startswith("c0"):
        with pytest.raises(ValueError):
            decode(bytes.fromhex(body))
    else:
        assert same(decode(bytes.fromhex(body)), value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2013-03-21T20:04:00Z", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
        ("2013-03-21t20:04:00.5z", datetime(2013, 3, 21, 20, 4, 0, 500000, tzinfo=UTC)),
        ("2013-03-21 20:04:00.1234567-01:30", datetime(2013, 3, 21, 21, 34, 0, 123456, tzinfo=UTC)),
        ("2013-03-21T20:04:00-00:00", datetime(2013, 3, 21, 20, 4, tzinfo=UTC)),
    ],
)
def test_the_forms_of_rfc_3339_are_read(text: str, value: datetime) -> None:
    assert decode(cbor2.dumps(cbor2.CBORTag(0, text))) == value


@pytest.mark.parametrize(
    "text",
    [
        *["", "2013-03-21", "2013-03-21T20:04:00", "2013-03-21T20:04Z", "2013-3-21T20:04:00Z", "2013-02-30T20:04:00Z"],
        *["2013-03-21T20:04:60Z", "2013-03-21T20:04:00.Z", "2013-03-21T20:04:00+24:00", "0000-01-01T00:00:00Z"],
        *["2013-03-21T20:04:00Zz", "2013-03-21T20:04:00+01", "\u0662013-03-21T20:04:00Z"],
    ],
)
def test_other_texts_are_not_dates(text: str) -> None:
    with pytest.raises(ValueError, match=r"tag 0|datetime"):
        decode(cbor2.dumps(cbor2.CBORTag(0, text)))


def test_the_zone_of_a_datetime_becomes_its_offset() -> None:
    zone = timezone(timedelta(hours=1), "MEZ")
    result = round_trip(datetime(2026, 11, 29, 12, tzinfo=zone))
    assert result.utcoffset() == timedelta(hours=1)
    assert round_trip(datetime(2026, 11, 29, 12, tzinfo=UTC)).tzinfo is UTC


# What cannot be sent


def test_a_datetime_out_of_range_in_utc_is_a_value_error() -> None:
    when = datetime.min.replace(tzinfo=timezone(timedelta(seconds=3208)))
    with pytest.raises(ValueError, match=r"^args\[0\]: invalid datetime"):
        encode_arguments(when)


class Broken:
    pass


@dataclasses.dataclass
class User:
    name: object


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda: encode_arguments(1, {"when": Broken()}), r'^args\[1\]\["when"\]: cannot send .*test_values\.Broken$'),
        (lambda: encode_arguments(user=User(Broken())), r'^kwargs\["user"\]\.name: cannot send'),
        (lambda: encode_arguments(1, user=[User(Broken())]), r'^kwargs\["user"\]\[0\]\.name: cannot send'),
        (lambda: encode_arguments(Broken(), user=1), r"^args\[0\]: cannot send"),
        (lambda: encode_arguments({3: [1, 2j]}), r"^args\[0\]\[3\]\[1\]: cannot send a value of type complex$"),
        (lambda: encode_arguments({Broken(): 1}), r"^args\[0\]<key>: cannot send"),
        (lambda: encode_arguments({1j}), r"^args\[0\]<element>: cannot send"),
        (lambda: encode_arguments(Tagged(1, 1j)), r"^args\[0\]\.value: cannot send"),
        (lambda: encode_arguments({"x" * 100: 1j}), r'^args\[0\]\["x+\.\.\.\]: cannot send'),
        (lambda: encode("a\ud800"), r"^value: cannot send text with a lone surrogate"),
        (lambda: encode({"a\ud800": 1}), r"^value<key>: cannot send text with a lone surrogate"),
        (lambda: encode(datetime(2026, 1, 1)), r"^value: cannot send a datetime without time zone; use "),
        (lambda: encode(time(1, 2)), r"^value: cannot send a value of type datetime\.time; .*isoformat"),
        (lambda: encode(Decimal("NaN")), r"^value: cannot send Decimal\('NaN'\): it is not finite"),
        (lambda: encode(Decimal("-Infinity")), r"it is not finite"),
        (lambda: encode(Decimal("sNaN")), r"it is not finite"),
        (lambda: encode(object), r"^value: cannot send a value of type type$"),
        (lambda: encode(User), r"^value: cannot send a value of type type$"),
        (lambda: encode(Color), r"^value: cannot send a value of type enum\.Enum"),
        (lambda: encode(len), r"^value: cannot send"),
        (lambda: encode(iter([])), r"^value: cannot send"),
        (lambda: encode(...), r"^value: cannot send"),
        (lambda: encode(range(3)), r"^value: cannot send"),
    ],
)
def test_what_cannot_be_sent_is_a_type_error_with_its_path(arguments: Callable[[], bytes], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        arguments()


def test_a_value_that_contains_itself_is_a_value_error() -> None:
    items: list[Any] = []
    items.append(items)
    user = User(None)
    user.name = user
    names: dict[str, Any] = {}
    names["self"] = names
    for value in (items, user, names):
        with pytest.raises(ValueError, match="nests deeper than 64 levels, or contains itself"):
            encode(value)


def nest(leaf: object, levels: int) -> object:
    value = leaf
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("leaf", "levels"),
    [
        *[(1, 0), (2**64, 1), ([], 1), ({}, 1), (set(), 2), (Tagged(99, 1), 1), (datetime.max.replace(tzinfo=UTC), 1)],
        *[(date.max, 1), (uuid.UUID(int=0), 1), (timedelta(), 2), (Decimal(2**64), 3), (b"", 0), (Slotted(1), 1)],
    ],
)
def test_what_is_sent_is_never_too_deep_for_the_receiver(leaf: Any, levels: int) -> None:
    value = nest(leaf, 64 - levels)
    decode(encode(value))
    with pytest.raises(ValueError, match="nests deeper than 64 levels"):
        encode([value])


def test_exceptions_of_the_values_own_code_pass_through() -> None:
    @dataclasses.dataclass
    class Lazy:
        name: str = ""

        def __getattribute__(self, attribute: str) -> Any:
            if attribute == "name":
                raise KeyboardInterrupt
            return super().__getattribute__(attribute)

    with pytest.raises(KeyboardInterrupt):
        encode([Lazy()])


@pytest.mark.parametrize("change", ["add", "remove", "replace"])
@pytest.mark.parametrize("kind", ["list", "dict", "set"])
def test_a_container_that_changes_while_it_is_encoded_is_an_error(kind: str, change: str) -> None:
    """Whatever code a value runs: the bytes are well-formed, or an exception is raised."""

    def meddle() -> None:
        if change == "add":
            container.update({9: 9, 10: 10}) if kind == "dict" else None
            container.update({9, 10}) if kind == "set" else None
            container.extend([9, 10]) if kind == "list" else None
        elif change == "remove":
            container.clear()
        elif kind == "dict":
            container.pop(3, None)
            container[4] = 4
        elif kind == "set":
            container.discard(3)
            container.add(4)
        else:
            container[:] = [4]

    @dataclasses.dataclass(frozen=True)
    class Meddler:
        name: str = ""

        def __getattribute__(self, attribute: str) -> Any:
            if attribute == "name":
                meddle()
            return super().__getattribute__(attribute)

    container: Any = {"list": list, "dict": dict, "set": set}[kind]()
    if kind == "dict":
        container.update({1: Meddler(), 2: Meddler(), 3: 3})
    elif kind == "set":
        container.update({(1, Tagged(99, 1)), 3})
        container = [container, Meddler()]
    else:
        container.extend([Meddler(), Meddler(), 3])
    original, container = container, container[0] if kind == "set" else container
    try:
        body = encode(original)
    except RuntimeError as error:
        assert "changed" in str(error)
    else:
        cbor2.loads(body)


def test_a_decimal_has_a_limited_number_of_digits() -> None:
    with pytest.raises(ValueError, match=r"^value: cannot send a Decimal of 2467 digits: 2466 is the limit"):
        encode(Decimal("1" * 2467))
    with pytest.raises(ValueError, match="more than 2466 digits"):
        decode(cbor2.dumps(cbor2.CBORTag(4, [0, 2**100_000])))


# Hostile input


@pytest.mark.parametrize(
    "body",
    [
        *["", "ff", "18", "1c", "0101", "8201", "82", "a1", "a101", "9f", "bf01ff", "61", "61ff", "62c328", "f801"],
        *["9bffffffffffffffff", "bbffffffffffffffff", "5bffffffffffffffff", "7b7fffffffffffffff", "9a0fffffff00"],
        *["81" * 65 + "01", "c6" * 65 + "01", "a101" * 65 + "01", "d90102" * 40 + "80", "9f" * 100_000, "a1" * 100],
        *["a1a001", "a1a10000", "d9010281a0", "a181a001", "a1d90102a001", "d863"],
        *["c201", "c2c240", "c2ff", "c2", "c5", "c001", "c0", "c16161", "c1fb7ff8000000000000", "c1f6", "c1c2490100"],
        *["c11bffffffffffffffff", "c1fb7e37e43c8800759c", "d8641bffffffffffffffff", "d8646161", "d9ec01", "d903ec60"],
        *["c480", "c401", "c4820102ff", "c48201", "c482616101", "c48201f97e00", "c4821bffffffffffffffff01"],
        *["c4821b0fffffffffffffff01", "c4823b1fffffffffffffff01", "c48200c25902000000", "c483000102", "c49f0001"],
        *["d82501", "d82540", "d82541ff", "d8255100", "d90102", "d9010201", "d903ea01", "d903eaa1011bffffffffffffffff"],
        *[
            "d84001",
            "d84141ff",
            "d84160",
            "d8284101",
            "d8288101",
            "d82882208101",
            "d828828120d84040",
            "d828828102d8404101",
        ],
        *[
            "d82882821bffffffffffffffff1bffffffffffffffffd84040",
            "d828828100ff",
            "d82901ff",
            "a1d840410101",
            "d90102814f",
        ],
        *["d903eaa201c24901000000000000000025c2490100000000000000ff", "d903eaa125f4", "d903eaa10180"],
    ],
)
def test_hostile_bodies_are_value_errors(body: str) -> None:
    content = bytes.fromhex(body)
    for read in (decode, decode_arguments):
        try:
            read(content)
        except ValueError:
            pass
        else:
            assert body in ("d903eaa125f4", "d903eaa10180"), "only a duration with other parts stays tagged"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(body: bytes) -> None:
    for read in (decode, decode_arguments):
        with contextlib.suppress(ValueError):
            read(body)


TAGS = [0, 1, 2, 3, 4, 5, 37, 40, 41, *range(64, 88), 99, 100, 258, 1002, 1004, 55799]
ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda items: (
        st.lists(items, max_size=3)
        | st.dictionaries(st.integers(-9, 9) | st.text(), items, max_size=3)
        | st.builds(cbor2.CBORTag, st.sampled_from(TAGS), items)
    ),
    max_leaves=10,
)


@given(ITEMS)
def test_tags_with_any_content_are_a_value_or_a_value_error(item: object) -> None:
    try:
        value = decode(cbor2.dumps(item))
    except ValueError:
        return
    encode(value)  # Whatever was decoded can be encoded.


# Arguments


def test_positions_are_an_array_and_names_a_map() -> None:
    assert cbor2.loads(encode_arguments()) == []
    assert cbor2.loads(encode_arguments(2, "three")) == [2, "three"]
    assert cbor2.loads(encode_arguments({"x": 1})) == [{"x": 1}]
    assert cbor2.loads(encode_arguments(x=2, y=3)) == {"x": 2, "y": 3}
    assert cbor2.loads(encode_arguments(2, y=3)) == {0: 2, "y": 3}


def test_arguments_come_back() -> None:
    assert decode_arguments(encode_arguments()) == ((), None)
    assert decode_arguments(encode_arguments(2, [3])) == ((2, [3]), None)
    assert decode_arguments(encode_arguments(2, y=[3])) == ((2,), {"y": [3]})
    assert decode_arguments(encode_arguments(x=2, y=3)) == ((), {"x": 2, "y": 3})
    assert decode_arguments(bytes.fromhex("a201020001")) == ((1, 2), None)
    assert decode_arguments(bytes.fromhex("bf0001617802ff")) == ((1,), {"x": 2})
    assert decode_arguments(bytes.fromhex("9f01ff")) == ((1,), None)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("01", "expected an array of positions, or a map of names and positions, got an integer"),
        ("a10102", "argument 0: missing, but argument 1 is given"),
        ("a200010001", "argument 0: given twice"),
        ("a2617801617801", "argument x: given twice"),
        ("a12001", "expected names and positions as keys, got an integer"),
        ("a11bffffffffffffffff01", "argument 0: missing"),
        ("8101ff", "has more bytes after its item"),
    ],
)
def test_what_is_no_arguments_is_a_value_error(body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_arguments(bytes.fromhex(body))


# Buffers


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 100_000])
def test_a_buffer_of_any_size_is_sent_between_other_values(size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    value = [1, bytearray(content), "a", memoryview(content), {"x": memoryview(content + content)[::2]}]
    assert round_trip(value) == [1, content, "a", content, {"x": (content + content)[::2]}]
    assert cbor2.loads(encode(value)) == round_trip(value)
    assert decode_arguments(encode_arguments(bytearray(content), x=bytearray(content))) == ((content,), {"x": content})


def test_a_buffer_is_free_again_after_it_was_sent() -> None:
    content = bytearray(100_000)
    encode(content)
    with pytest.raises(TypeError):
        encode([content, 1j])
    content.clear()


def test_a_view_of_other_elements_is_rejected() -> None:
    with pytest.raises(TypeError, match=r'format "d"; use view\.cast\("B"\)'):
        encode(memoryview(array.array("d", [1.0])))
    assert round_trip(memoryview(b"abcd").cast("B", (2, 2))) == b"abcd"


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_an_array_is_a_typed_array(code: str) -> None:
    value = array.array(code, [1, 2, 100])
    result = round_trip(value)
    assert result.tolist() == [1, 2, 100]
    assert result.dtype == numpy.dtype(code)


# numpy


DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "?", ">u2", ">i4", ">f8", ">f2"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3,), (0,), (2, 3), (2, 0), (2, 3, 4), (0, 2, 1), (20_000,), (100, 100)])
def test_an_array_of_numpy_comes_back_as_itself(dtype: str, shape: tuple[int, ...]) -> None:
    value = (numpy.arange(math.prod(shape)) % 100).reshape(shape).astype(dtype)
    for view in (value, value[::-1], value.T, value[..., ::2], numpy.asfortranarray(value)):
        result = round_trip({"x": view, "y": 1})["x"]
        assert type(result) is numpy.ndarray
        assert (result.dtype, result.shape) == (view.dtype, view.shape)
        assert numpy.array_equal(result, view)
        assert result.flags.writeable


def test_an_array_of_numpy_is_as_rfc_8746_says() -> None:
    assert encode(numpy.array([2, 4], ">u2")).hex() == "d841440002" + "0004"
    assert encode(numpy.array([1], "<f8")).hex() == "d85648" + "000000000000f03f"
    assert encode(numpy.array([[2, 4, 8], [4, 16, 256]], ">u2")).hex() == "d82882820203d8414c000200040008000400100100"
    assert encode(numpy.array([True, False])).hex() == "d82982f5f4"
    assert round_trip(Tagged(68, b"ab")).tolist() == [97, 98]
    assert round_trip(Tagged(41, [1, 2])) == [1, 2]
    assert round_trip(Tagged(83, bytes(16))) == Tagged(83, bytes(16))
    assert round_trip(Tagged(76, b"")) == Tagged(76, b"")
    assert round_trip(Tagged(40, [[2], [1, 2]])) == Tagged(40, [[2], [1, 2]])


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (numpy.int64(-3), -3),
        (numpy.uint8(3), 3),
        (numpy.float64(1.5), 1.5),
        (numpy.float32(1.5), 1.5),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.bytes_(b"a"), b"a"),
        (numpy.array(7), 7),
        (numpy.array([(1, 2.5)], "i4,f8")[0], [1, 2.5]),
        ({numpy.int64(1): numpy.array(1.5)}, {1: 1.5}),
    ],
)
def test_a_scalar_of_numpy_comes_back_as_the_plain_type(value: object, result: object) -> None:
    assert same(round_trip(value), result)


@pytest.mark.parametrize(
    "value",
    [
        numpy.array([1j]),
        numpy.array(["a"]),
        numpy.array([object()]),
        numpy.array([object()])[0],
        numpy.array(object()),
        numpy.array([1], numpy.longdouble),
        numpy.longdouble(1),
        numpy.array(["2026-01-01"], "M8[us]"),
        numpy.datetime64("2026-01-01T00:00:00"),
        numpy.array([(1, 2)], "i4,i4"),
        numpy.array([[1j]]),
        numpy.ma.masked_array([1, 2], [True, False]),
    ],
    ids=repr,
)
def test_other_arrays_of_numpy_are_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r'^args\[0\]\["x"\]: cannot send'):
        encode_arguments({"x": value})


@pytest.mark.parametrize(("leaf", "levels"), [((3,), 1), ((3, 1), 3)])
def test_an_array_of_numpy_is_never_too_deep_for_the_receiver(leaf: tuple[int, ...], levels: int) -> None:
    value = nest(numpy.zeros(leaf), 64 - levels)
    decode(encode(value))
    with pytest.raises(ValueError):
        encode([value])


def test_without_numpy_typed_arrays_are_of_the_module_array() -> None:
    """In a process of its own, in which numpy cannot be imported."""
    program = """
import array, sys
sys.modules["numpy"] = None
from callboard import Tagged
from callboard._native import decode, encode

for code in "bBhHiIqQfd":
    value = array.array(code, [1, 2, 100])
    assert decode(encode(value)) == value, code
assert decode(bytes.fromhex("d84144" + "00020004")) == array.array("H", [2, 4])
assert decode(bytes.fromhex("d85442" + "003c")) == Tagged(84, bytes.fromhex("003c"))
matrix = Tagged(40, [[1, 2], array.array("i", [1, 2])])
assert decode(encode(matrix)) == matrix
assert decode(encode(Tagged(41, [True]))) == [True]
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_neither_numpy_nor_pydantic_is_imported_to_encode() -> None:
    program = """
import sys
from callboard._native import encode
encode([1, {"a": b"x"}])
try: encode(object())
except TypeError: pass
assert not {"numpy", "pydantic"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# pydantic


class Account(pydantic.BaseModel):
    name: str
    born: date
    tags: set[str] = set()
    parent: Account | None = None


class Numbers(pydantic.RootModel[list[int]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    x: int


def test_a_model_of_pydantic_comes_back_as_the_dict_of_its_fields() -> None:
    account = Account(name="Ada", born=date(1815, 12, 10), parent=Account(name="Byron", born=date(1788, 1, 22)))
    assert same(round_trip(account), account.model_dump())
    assert Account.model_validate(round_trip(account)) == account
    assert round_trip([Numbers([1, 2]), Checked(3)]) == [[1, 2], {"x": 3}]


def test_what_a_model_of_pydantic_holds_has_a_path() -> None:
    class Holder(pydantic.BaseModel):
        when: datetime

    with pytest.raises(TypeError, match=r'^args\[0\]\["when"\]: cannot send a datetime without time zone'):
        encode_arguments(Holder(when=datetime(2026, 1, 1)))


# Tagged


def test_a_tagged_value_is_comparable_hashable_and_copied() -> None:
    tagged = Tagged(99, [1])
    assert repr(tagged) == "Tagged(99, [1])"
    assert (tagged.tag, tagged.value) == (99, [1])
    assert tagged == Tagged(tag=99, value=[1])
    assert tagged != Tagged(99, [2])
    assert tagged != Tagged(98, [1])
    assert len({Tagged(99, 1), Tagged(99, 1)}) == 1
    assert copy.deepcopy(tagged) == tagged
    assert pickle.loads(pickle.dumps(tagged)) == tagged
    match tagged:
        case Tagged(99, value):
            assert value == [1]
        case _:
            pytest.fail("it does not match")
    with pytest.raises(TypeError):
        hash(tagged)
    with pytest.raises(OverflowError):
        Tagged(-1, None)
    with pytest.raises(AttributeError):
        tagged.tag = 1  # type: ignore[misc]
