"""An echo worker in Python."""

from typing import Any

import callboard

# With slots=64 a wake-up serves a whole batch of short calls. They still run one after another.
app = callboard.Worker("bench", slots=64)


@app.read
def echo(message: Any) -> Any:
    return message


if __name__ == "__main__":
    app.run()
