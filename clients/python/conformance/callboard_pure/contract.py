"""The hash of a contract (PROTOCOL.md 10.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from callboard_pure import cbor

Description = Mapping[str, Any]


def contract_hash(description: Description) -> str:
    """Returns the hash of a description of a service, as a registration states it."""
    return hashlib.sha256(canonical(description)).hexdigest()[:16]


def canonical(description: Description) -> bytes:
    """Returns what the hash covers: no `doc`, no unknown keys, and the order of appendix B."""
    methods = sorted(description["methods"], key=lambda method: str(method["name"]).encode())
    service: dict[str, Any] = {"name": description["name"], "methods": [_method(method) for method in methods]}
    if types := description.get("types"):
        names = sorted(types, key=str.encode)
        service["types"] = {name: {"type": _shape(types[name]["type"])} for name in names}
    return cbor.encode(service)


def _method(method: Description) -> dict[str, Any]:
    bare: dict[str, Any] = {name: method[name] for name in ("name", "effect", "style")}
    bare["arguments"] = [{"name": each["name"], "type": _shape(each["type"])} for each in method["arguments"]]
    for name in ("incoming", "outgoing", "result"):
        if method.get(name) is not None:
            bare[name] = _shape(method[name])
    if error := method.get("error"):
        bare["error"] = {"name": error["name"], "type": _shape(error["type"])}
    return bare


def _shape(shape: Any) -> Any:
    if isinstance(shape, str):
        return shape
    ((kind, inside),) = shape.items()
    if kind in ("optional", "list"):
        return {kind: _shape(inside)}
    if kind in ("map", "tuple", "one_of"):
        return {kind: [_shape(each) for each in inside]}
    if kind == "record":
        record: dict[str, Any] = {"fields": [_field(field) for field in inside["fields"]]}
        return {kind: record | ({"closed": True} if inside.get("closed") else {})}
    return {kind: inside}  # opaque, literal, named


def _field(field: Description) -> dict[str, Any]:
    bare = {"name": field["name"], "type": _shape(field["type"])}
    return bare | ({"optional": True} if field.get("optional") else {})
