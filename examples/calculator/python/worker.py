"""A calculator: a worker that serves functions under names.

callboard broker &
python worker.py &
callboard call calculator.add 2 3
"""

import callboard

app = callboard.Worker("calculator")
Number = int | float


class DivisionByZero(Exception):
    """The caller gets the name of the class, its text and its arguments."""

    def __str__(self) -> str:
        return f"cannot divide {self.args[0]} by zero"


@app.read
def add(x: Number, y: Number) -> Number:
    return x + y


@app.read
def sub(x: Number, y: Number) -> Number:
    return x - y


@app.read
def div(x: Number, y: Number) -> Number:
    if y == 0:
        raise DivisionByZero(x)
    return x / y


if __name__ == "__main__":
    app.run()
