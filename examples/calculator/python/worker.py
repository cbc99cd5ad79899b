"""A calculator: a worker that serves functions under names.

callboard broker &
python worker.py &
callboard call calculator.add 2 3
"""

import callboard

app = callboard.Worker("calculator")
Number = int | float


class DivisionByZero(callboard.Error):
    """The caller gets the name of the class, the message and the details."""


@app.read
def add(x: Number, y: Number) -> Number:
    return x + y


@app.read
def sub(x: Number, y: Number) -> Number:
    return x - y


@app.read
def div(x: Number, y: Number) -> Number:
    if y == 0:
        raise DivisionByZero(f"cannot divide {x} by zero", details={"dividend": x})
    return x / y


if __name__ == "__main__":
    app.run()
