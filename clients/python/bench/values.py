"""Time the conversion of values: encode and decode, beside cbor2 and json.

    python bench/values.py

Each figure is the best of many rounds, in microseconds for one value.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from typing import Any

from callboard._native import decode, encode

VALUES: dict[str, Any] = {
    "(2, 3)": (2, 3),
    "dict of 10 fields": {
        "id": 123456,
        "name": "Ada Lovelace",
        "email": "ada@example.org",
        "age": 36,
        "score": 0.75,
        "active": True,
        "manager": None,
        "tags": ["admin", "staff"],
        "city": "London",
        "balance": -1250,
    },
    "list of 1000 ints": list(range(1000)),
    "1 MiB of text": "x" * (1 << 20),
}


def microseconds(function: Callable[[Any], object], argument: object) -> float:
    """Return the time of one call: the best of 7 rounds of about 20 ms."""
    timer = timeit.Timer(lambda: function(argument))
    runs, seconds = timer.autorange()
    runs = max(1, int(runs * 0.02 / seconds))
    return min(timer.repeat(7, runs)) / runs * 1e6


def main() -> None:
    """Print a table: a line for each value, a pair of columns for each codec."""
    codecs: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
        "callboard": (encode, decode),
        "json": (lambda value: json.dumps(value).encode(), json.loads),
    }
    try:
        import cbor2
    except ImportError:
        pass
    else:
        codecs["cbor2"] = (cbor2.dumps, cbor2.loads)
    print(f"{'microseconds':20}" + "".join(f"{codec:>10} enc{'dec':>10}" for codec in codecs))
    for name, value in VALUES.items():
        line = f"{name:20}"
        for dump, load in codecs.values():
            line += f"{microseconds(dump, value):14.2f}{microseconds(load, dump(value)):10.2f}"
        print(line)


if __name__ == "__main__":
    main()
