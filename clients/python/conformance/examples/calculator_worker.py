"""A worker of the calculator. Run it alone, or by `callboard pool -n 4 -- python calculator_worker.py`."""

from __future__ import annotations

import os

from callboard_pure import MethodError, Worker


class DivisionByZero(MethodError):  # noqa: N818, because the class name is the error's type on the wire
    """The method's own error: callers see its name, its text and its details."""


worker = Worker(on_ready=lambda: print("ready", flush=True))


@worker.method("calculator.add", effect="read")
def add(x: float, y: float) -> float:
    """Returns the sum, an integer if it is one."""
    total = x + y
    return int(total) if total.is_integer() else total


@worker.method("calculator.div", effect="read")
def div(x: float, y: float) -> float:
    """Returns the quotient."""
    if y == 0:
        raise DivisionByZero(f"cannot divide {x:g} by zero", {"dividend": x})
    return x / y


@worker.method("calculator.crash")
def crash() -> None:
    """Raises an exception that is not an error of the method."""
    raise ValueError("no")


@worker.method("calculator.wait_for_drain")
def wait_for_drain() -> int:
    """Ends when this process was asked to stop, and returns its process id."""
    print("waiting\n", end="", flush=True)
    worker.draining.wait(30)
    return os.getpid()


if __name__ == "__main__":
    worker.run()
