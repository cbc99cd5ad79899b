"""An echo worker in Python."""

from typing import Any

import callboard

app = callboard.Worker("bench")


@app.read
def echo(message: Any) -> Any:
    return message


if __name__ == "__main__":
    app.run()
