"""Envelopes and bundles (PROTOCOL.md 1.3 to 2.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

from callboard_pure import cbor
from callboard_pure.cbor import MalformedError

BUNDLE_ENVELOPES_MAX = 64
BUNDLE_BYTES_MAX = 65_536
INLINE_BODY_MAX = 16_384
HEADER_BYTES_MAX = 4_096
HEADER_KEYS_MAX = 64
EXTENSIONS_MAX = 32
BATCH_ITEMS_MAX = 512  # in one envelope (5.5.1)
EXTENSION_BYTES_MAX = 1_024
EXTENSION = 64  # the first extension key
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+", re.ASCII)


class Kind(IntEnum):
    """The kinds of section 2.3."""

    HELLO, CHALLENGE, PROOF, WELCOME, REGISTER, REQUEST, STARTED, REPLY, ITEM, END, CREDIT, PROGRESS, CANCEL = range(13)
    HANDBACK = 13
    DRAIN, GOODBYE, PING, PONG = range(15, 19)


class Code(IntEnum):
    """The status codes of section 15."""

    CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS = range(1, 7)
    PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE = range(7, 12)
    UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = range(12, 17)


class Executed(IntEnum):
    """Whether the handler of a failed call ran (section 4.11)."""

    NO, YES, MAYBE = range(3)


CAST, RESEND, WAIT_FOR_READY, BROADCAST = 1, 2, 4, 8  # flags, key 5


@dataclass(slots=True)
class Envelope:
    """One header and its body. Each field up to `items` is a key of section 2.2; the default is its absence."""

    kind: int
    number: int | None = None
    method: str | None = None
    timeout_ms: int | None = None
    effect: int | None = None
    flags: int = 0
    done_below: int | None = None
    code: int | None = None
    executed: int | None = None
    type: str = ""
    message: str = ""
    attempt: int = 0
    worker: str = ""
    retry_after_ms: int | None = None
    credit_calls: int = 0
    credit_bytes: int = 0
    caller: int | None = None
    call: int | None = None
    offer: int = 0
    priority: int = 1
    fence: int | None = None
    sequence: int | None = None
    key: str | None = None
    streams: int = 0
    latest: int | None = None
    caller_name: str | None = None
    items: int = 1
    extensions: dict[int, bytes] = field(default_factory=dict)  # from key 64 on, the values as they are encoded
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An envelope that cannot be read, with what could be read of it before the fault (section 2.5)."""

    code: Code
    reason: str
    kind: int | None = None
    number: int | None = None


NUMBERS = {
    0: "kind", 1: "number", 3: "timeout_ms", 4: "effect", 5: "flags", 6: "done_below", 7: "code", 8: "executed",
    11: "attempt", 13: "retry_after_ms", 14: "credit_calls", 15: "credit_bytes", 16: "caller", 17: "call", 18: "offer",
    20: "priority", 25: "fence", 27: "sequence", 29: "streams", 30: "latest",
    32: "items",
}  # fmt: skip
TEXTS = {2: "method", 9: "type", 10: "message", 12: "worker", 28: "key", 31: "caller_name"}
KEYS = dict(sorted((NUMBERS | TEXTS).items()))
DEFAULTS = {each.name: each.default for each in fields(Envelope)}
BOUNDS = {4: 3, 8: 3, 11: 1 << 32, 14: 1 << 32, 16: 1 << 32, 18: 1 << 32, 20: 3}  # the values are below these
BITS = {5: 0b1111, 29: 0b111}
TEXT_BYTES_MAX = {9: 128, 10: 1_024, 12: 128, 28: 128, 31: 128}

_FAILURE = {7, 8, 9, 10, 13}
# By kind: the keys that must be present, and those that may be (2.2 and appendix A).
FORMS_TO_BROKER: dict[int, tuple[set[int], set[int]]] = {
    Kind.HELLO: (set(), set()),
    Kind.PROOF: (set(), set()),
    Kind.REGISTER: (set(), set()),
    Kind.REQUEST: ({1, 2}, {3, 4, 5, 6, 20, 28, 29}),
    Kind.STARTED: ({1}, set()),
    Kind.REPLY: ({1}, _FAILURE | {11, 12}),
    Kind.ITEM: ({1, 27}, {30, 32}),
    Kind.END: ({1, 27}, set()),
    Kind.CREDIT: (set(), {14, 18, 28}),
    Kind.PROGRESS: ({1}, set()),
    Kind.CANCEL: ({1}, {6}),
    Kind.HANDBACK: ({1}, set()),
    Kind.DRAIN: (set(), set()),
    Kind.GOODBYE: (set(), _FAILURE),
    Kind.PING: ({1}, {6}),
    Kind.PONG: ({1}, set()),
}
FORMS_TO_PEER: dict[int, tuple[set[int], set[int]]] = {
    **FORMS_TO_BROKER,  # what only a peer may send is read, and then dropped as misplaced
    Kind.CHALLENGE: (set(), set()),
    Kind.WELCOME: (set(), set()),
    Kind.REQUEST: ({1, 2, 11, 16, 17}, {3, 25, 28, 29, 31}),
    Kind.REPLY: ({1}, _FAILURE | {11, 12, 14, 15}),
    Kind.CREDIT: (set(), {14, 15}),
    Kind.CANCEL: ({1}, set()),
    Kind.PING: ({1}, set()),
}
FORMS_TO_BROKER |= {Kind.CHALLENGE: (set(), set()), Kind.WELCOME: (set(), set())}
STREAM_CREDIT: tuple[set[int], set[int]] = ({1}, {14, 15})  # credit with a number, in both directions
WITHOUT_NUMBER = {Kind.HELLO, Kind.CHALLENGE, Kind.PROOF, Kind.WELCOME, Kind.REGISTER, Kind.DRAIN, Kind.GOODBYE}
WITH_BODY = {Kind.HELLO, Kind.CHALLENGE, Kind.PROOF, Kind.WELCOME, Kind.REGISTER, Kind.REQUEST, Kind.REPLY, Kind.ITEM,
             Kind.PROGRESS}  # fmt: skip


class _RefusedError(Exception):
    def __init__(self, reason: str, code: Code = Code.INVALID_ARGUMENT) -> None:
        super().__init__(reason)
        self.code = code


def read_message(frames: list[bytes], to_peer: bool = True) -> Iterator[Envelope | Refusal]:
    """Yields the envelopes of a ZeroMQ message in their order, and a refusal for each that cannot be read."""
    if len(frames) not in (1, 2) or not frames[0]:
        yield Refusal(Code.INVALID_ARGUMENT, "a message must have one frame (a bundle) or two (a header and its body)")
        return
    at, count = 0, 0
    while at < len(frames[0]):
        if count == BUNDLE_ENVELOPES_MAX:
            yield Refusal(Code.INVALID_ARGUMENT, f"a bundle must not have more than {BUNDLE_ENVELOPES_MAX} envelopes")
            return
        result, at = _read_envelope(frames, at, to_peer)
        count += 1
        yield result


def _read_envelope(frames: list[bytes], start: int, to_peer: bool) -> tuple[Envelope | Refusal, int]:
    """Reads one envelope, and returns the position of the next one: the frame's end if the rest cannot be read."""
    frame, found = frames[0], Envelope(kind=-1)
    refused: Exception | None = None
    try:
        _read_header(frame, start, found, to_peer)
    except (_RefusedError, MalformedError) as error:
        refused = error
    at = len(frame)
    try:
        end = cbor.skip(frame, start)
        if end - start > HEADER_BYTES_MAX:
            raise MalformedError(f"a header must not exceed {HEADER_BYTES_MAX} bytes")
        found.body, at = _read_body(frames, end)
        if not refused and found.body and (found.kind not in WITH_BODY or found.kind == Kind.GOODBYE):
            _check_body(found)
    except (_RefusedError, MalformedError) as error:
        refused = refused or error
    if not refused:
        return found, at
    code = refused.code if isinstance(refused, _RefusedError) else Code.INVALID_ARGUMENT
    kind = None if found.kind < 0 else found.kind
    return Refusal(code, str(refused), kind, None if kind in WITHOUT_NUMBER else found.number), at


def _check_body(found: Envelope) -> None:
    if found.kind != Kind.GOODBYE or found.code is None:
        raise _RefusedError("an envelope of this kind must have an empty body")


def _read_body(frames: list[bytes], at: int) -> tuple[bytes, int]:
    if len(frames) == 2:
        if at != len(frames[0]):
            raise MalformedError("a header whose body has a frame of its own must be alone in the first frame")
        return frames[1], at
    major, length, start = cbor.strict_head(frames[0], at)
    if major != cbor.BYTES:
        raise MalformedError("a header must be followed by its body, a byte string")
    if length > len(frames[0]) - start:
        raise MalformedError("the envelope is truncated")
    return frames[0][start : start + length], start + length


def _read_header(frame: bytes, start: int, found: Envelope, to_peer: bool) -> None:
    """Reads the header into `found`, key by key, so that a fault leaves what precedes it."""
    major, count, at = cbor.strict_head(frame, start)
    if major != cbor.MAP:
        raise _RefusedError("a header must be a map")
    if count > HEADER_KEYS_MAX:
        raise _RefusedError(f"a header must not have more than {HEADER_KEYS_MAX} keys")
    keys: set[int] = set()
    extension_bytes, previous = 0, -1
    for _ in range(count):
        major, key, value_at = cbor.strict_head(frame, at)
        if major != cbor.UINT:
            raise _RefusedError("header keys must be unsigned integers")
        if key <= previous:
            raise _RefusedError("map keys must be in ascending order, without duplicates")
        if key > 1 or found.kind < 0 < key:
            _check_kind(found)
        value, end = cbor.strict(frame, value_at)
        if key >= EXTENSION:
            extension_bytes += end - at
            found.extensions[key] = frame[value_at:end]
        else:
            _set(found, key, value)
        keys.add(key)
        previous, at = key, end
    if len(found.extensions) > EXTENSIONS_MAX or extension_bytes > EXTENSION_BYTES_MAX:
        raise _RefusedError(f"a header has at most {EXTENSIONS_MAX} extensions with {EXTENSION_BYTES_MAX} bytes")
    _check_keys(found, {key for key in keys if key < EXTENSION}, to_peer)
    if found.kind not in (Kind.REQUEST, Kind.REPLY):
        found.extensions = {}  # no other kind forwards them


def _check_kind(found: Envelope) -> None:
    """Checks the kind once the number may have been read, so that the sender of an unknown request gets a reply."""
    if found.kind < 0:
        raise _RefusedError("key 0 (kind) is missing")
    if found.kind not in FORMS_TO_PEER:
        raise _RefusedError(f"kind {found.kind} is unknown or reserved", Code.UNIMPLEMENTED)


def _set(found: Envelope, key: int, value: Any) -> None:
    """Stores the value of a critical key, if it is valid."""
    if key not in KEYS:
        raise _RefusedError(f"key {key} is unknown or reserved, and must not be ignored", Code.UNIMPLEMENTED)
    name = KEYS[key]
    if key in TEXTS:
        _check_text(key, value)
    elif not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _RefusedError(f"key {key} ({name}) must be an unsigned integer")
    elif value >= BOUNDS.get(key, 1 << 64) or (key == 7 and value == 0):
        raise _RefusedError(f"key {key} ({name}) has an invalid value: {value}")
    elif key == 32 and not 1 <= value <= BATCH_ITEMS_MAX:
        raise _RefusedError(f"key 32 (items) must be 1 to {BATCH_ITEMS_MAX}")
    elif value & ~BITS.get(key, value):
        raise _RefusedError(f"{name} {value:#x} are unknown, and must not be ignored", Code.UNIMPLEMENTED)
    setattr(found, name, Code.UNKNOWN if key == 7 and value > Code.UNAUTHENTICATED else value)


def _check_text(key: int, value: Any) -> None:
    if not isinstance(value, str):
        raise _RefusedError(f"key {key} ({TEXTS[key]}) must be text")
    size = len(value.encode())
    if key == 2 and (size > 128 or not NAME.fullmatch(value)):
        raise _RefusedError(f"{value[:80]!r} is not the name of a method: write SERVICE.METHOD of at most 128 bytes")
    if size > TEXT_BYTES_MAX.get(key, 128) or (key == 28 and not value):
        raise _RefusedError(f"key {key} ({TEXTS[key]}) exceeds its limit")


def _check_keys(found: Envelope, keys: set[int], to_peer: bool) -> None:
    """Checks that the keys are those that this kind has in this direction."""
    _check_kind(found)
    required, optional = (FORMS_TO_PEER if to_peer else FORMS_TO_BROKER)[found.kind]
    if found.kind == Kind.CREDIT and 1 in keys:
        required, optional = STREAM_CREDIT
    if 7 in keys:
        required = required | {8}
    elif found.kind in (Kind.REPLY, Kind.GOODBYE):
        optional = optional - (_FAILURE | {11, 12})
    if found.kind == Kind.REQUEST and to_peer and keys & {25, 28}:
        required = required | {25, 28}
    if found.flags & CAST:
        optional = optional - {29}
    for key in sorted(required - keys):
        raise _RefusedError(f"key {key} ({KEYS[key]}) is missing")
    for key in sorted(keys - required - optional - {0}):
        raise _RefusedError(f"key {key} ({KEYS[key]}) is not allowed in this kind of envelope")
    if found.kind == Kind.CREDIT and found.key is not None and found.credit_calls != 1:
        raise _RefusedError("key 14 (credit_calls) must be 1 beside a key")


def read_items(envelope: Envelope) -> Iterator[bytes]:
    """Yields the encoded items of an envelope of the kind item (5.5.1). The last one is the rest of the body."""
    at = 0
    for _ in range(envelope.items - 1):
        end = cbor.skip(envelope.body, at)
        yield envelope.body[at:end]
        at = end
    yield envelope.body[at:]


def write_header(envelope: Envelope) -> bytes:
    """Returns the header, without keys whose value equals the meaning of their absence."""
    pairs = []
    for key, name in KEYS.items():
        value = getattr(envelope, name)
        if key == 0 or value != DEFAULTS[name]:
            pairs.append(cbor.encode_head(cbor.UINT, key) + cbor.encode(value))
    for key, encoded in sorted(envelope.extensions.items()):
        pairs.append(cbor.encode_head(cbor.UINT, key) + encoded)
    return cbor.encode_head(cbor.MAP, len(pairs)) + b"".join(pairs)


def write_messages(envelopes: Iterable[Envelope]) -> Iterator[list[bytes]]:
    """Yields the ZeroMQ messages that carry these envelopes: bundles, and large bodies in a frame of their own."""
    bundle: list[bytes] = []
    size = count = 0
    for envelope in envelopes:
        header = write_header(envelope)
        alone = len(envelope.body) > INLINE_BODY_MAX
        head = cbor.encode_head(cbor.BYTES, len(envelope.body))
        added = len(header) + len(head) + len(envelope.body)
        if bundle and (alone or count == BUNDLE_ENVELOPES_MAX or size + added > BUNDLE_BYTES_MAX):
            yield [b"".join(bundle)]
            bundle, size, count = [], 0, 0
        if alone:
            yield [header, envelope.body]
            continue
        bundle += [header, head, envelope.body]
        size, count = size + added, count + 1
    if bundle:
        yield [b"".join(bundle)]


def truncate(text: str, bytes_max: int) -> str:
    """Returns as many whole characters as fit into so many bytes of UTF-8."""
    return text.encode()[:bytes_max].decode(errors="ignore")
