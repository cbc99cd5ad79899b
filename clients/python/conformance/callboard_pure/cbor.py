"""CBOR as headers need it: strict, and able to step over what it refuses (PROTOCOL.md 1.5, 2.1).

The package cbor2 reads bodies. It cannot read headers, because it accepts what section 2.1 forbids: long forms,
indefinite lengths, duplicate keys, keys in any order, and bytes after the item.
"""

from __future__ import annotations

from typing import Any

import cbor2

NESTING_MAX = 64

UINT, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
INDEFINITE = 31


class MalformedError(Exception):
    """An item that violates RFC 8949 or, in a header, section 2.1."""


def encode_head(major: int, argument: int) -> bytes:
    """Returns the shortest head of this major type and argument."""
    if argument < 24:
        return bytes([major << 5 | argument])
    size = next(size for size in (1, 2, 4, 8) if argument < 1 << 8 * size)
    return bytes([major << 5 | 23 + size.bit_length()]) + argument.to_bytes(size, "big")


def read_head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Returns the major type, the argument (None: indefinite) and the position after the head, of any form."""
    if at >= len(data):
        raise MalformedError("the envelope is truncated")
    major, info = data[at] >> 5, data[at] & 31
    if info < 24:
        return major, info, at + 1
    if info == INDEFINITE:
        if major in (UINT, NEGATIVE, TAG):
            raise MalformedError("invalid CBOR")
        return major, None, at + 1
    if info > 27:
        raise MalformedError("invalid CBOR")
    end = at + 1 + (1 << info - 24)
    if end > len(data):
        raise MalformedError("the envelope is truncated")
    argument = int.from_bytes(data[at + 1 : end], "big")
    if major == SIMPLE and info == 24 and argument < 32:
        raise MalformedError("invalid CBOR")
    return major, argument, end


def skip(data: bytes, at: int, depth: int = 1) -> int:
    """Returns the position after the well-formed item at `at`, in whatever form it is (RFC 8949 appendix C)."""
    if depth > NESTING_MAX:
        raise MalformedError("nested too deeply")
    major, argument, at = read_head(data, at)
    if argument is None:
        return _skip_indefinite(data, at, major, depth)
    if major in (BYTES, TEXT):
        if argument > len(data) - at:
            raise MalformedError("the envelope is truncated")
        return at + argument
    children = {ARRAY: argument, MAP: 2 * argument, TAG: 1}.get(major, 0)
    for _ in range(children):
        at = skip(data, at, depth + 1)
    return at


def _skip_indefinite(data: bytes, at: int, major: int, depth: int) -> int:
    if major == SIMPLE:
        raise MalformedError("a break outside of an item of indefinite length")
    count = 0
    while data[at : at + 1] != b"\xff":
        if major in (BYTES, TEXT):
            chunk_major, length, _ = read_head(data, at)
            if chunk_major != major or length is None:
                raise MalformedError("invalid CBOR")
        at = skip(data, at, depth + 1)
        count += 1
    if major == MAP and count % 2:
        raise MalformedError("invalid CBOR")
    return at + 1


def strict_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Returns the same as `read_head`, of a head of definite length in its shortest form."""
    major, argument, end = read_head(data, at)
    if argument is None:
        raise MalformedError("lengths must be definite")
    if major != SIMPLE and encode_head(major, argument) != data[at:end]:
        raise MalformedError("integers and lengths must be written in their shortest form")
    return major, argument, end


def strict(data: bytes, at: int, depth: int = 2) -> tuple[Any, int]:
    """Returns the value at `at`, as a header may have it, and the position after it. The header itself has depth 1."""
    if depth > NESTING_MAX:
        raise MalformedError("an extension is nested too deeply")
    start = at
    major, argument, at = strict_head(data, at)
    if major in (UINT, NEGATIVE):
        return (argument if major == UINT else -1 - argument), at
    if major in (BYTES, TEXT):
        return _strict_string(data, at, argument, major)
    if major in (ARRAY, MAP):
        return _strict_children(data, at, argument, major, depth + 1)
    if data[start] in (0xF4, 0xF5, 0xF6):
        return {0xF4: False, 0xF5: True, 0xF6: None}[data[start]], at
    raise MalformedError("a header must consist of integers, strings, arrays, maps, booleans and null")


def _strict_string(data: bytes, at: int, length: int, major: int) -> tuple[bytes | str, int]:
    if length > len(data) - at:
        raise MalformedError("the envelope is truncated")
    value = data[at : at + length]
    if major == BYTES:
        return value, at + length
    try:
        return value.decode(), at + length
    except UnicodeDecodeError:
        raise MalformedError("text must be UTF-8") from None


def _strict_children(data: bytes, at: int, count: int, major: int, depth: int) -> tuple[Any, int]:
    """Reads the children of an array or map. The value of a map is returned as pairs: no kind needs it as a dict."""
    values: list[Any] = []
    previous = b""
    for _ in range(count):
        if major == MAP:
            start = at
            _, at = strict(data, at, depth)
            if data[start:at] <= previous:
                raise MalformedError("map keys must be in ascending order, without duplicates")
            previous = data[start:at]
        value, at = strict(data, at, depth)
        values.append(value)
    return values, at


def decode(body: bytes) -> Any:
    """Returns the value of a body. cbor2 alone would ignore bytes after the item (PROTOCOL.md 16.6)."""
    if skip(body, 0) != len(body):
        raise MalformedError("bytes follow the item")
    try:
        return cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
        raise MalformedError(str(error)) from error


def encode(value: Any) -> bytes:
    """Returns the body of this value."""
    return cbor2.dumps(value)
