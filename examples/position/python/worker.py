"""A worker with a background loop: a point moves around a circle, with or without calls.

python worker.py --every-ms 100 --degrees 5
callboard call position.position me
callboard call position.watch --conflate --timeout none
"""

import argparse
import asyncio
import math
from collections.abc import AsyncIterator
from typing import TypedDict

import callboard

app = callboard.Worker("position")


class Point(TypedDict):
    x: float
    y: float
    z: float


class Circle:
    """The point, and the condition that is notified when it moves."""

    def __init__(self) -> None:
        self.azimuth = 0.0
        self.moved = asyncio.Condition()

    async def move_to(self, azimuth: float) -> None:
        async with self.moved:
            self.azimuth = azimuth % 360
            self.moved.notify_all()


circle = Circle()


def reading(message: str) -> dict[str, object]:
    angle = math.radians(circle.azimuth)
    return {
        "x": math.cos(angle),
        "y": math.sin(angle),
        "z": 0.0,
        "status": "ok",
        "message": message,
    }


@app.read
async def position(request: str) -> dict[str, object]:
    """Returns where the point is."""
    return reading(f"for {request}")


@app.idempotent
async def publish(position: Point) -> dict[str, str]:
    """Moves the point to the nearest place on the circle."""
    x, y = position["x"], position["y"]
    if not (math.isfinite(x) and math.isfinite(y)) or (x, y) == (0, 0):
        return {"status": "refused", "message": "no place on the circle is the nearest"}
    await circle.move_to(math.degrees(math.atan2(y, x)))
    return {"status": "ok", "message": f"goes on from {circle.azimuth:.1f} degrees"}


@app.read
async def watch() -> AsyncIterator[dict[str, object]]:
    """Sends each new position. A slow reader with conflate=True gets the newest."""
    while True:
        async with circle.moved:
            await circle.moved.wait()
        yield reading(f"at {circle.azimuth:.1f} degrees")


@app.on_start
async def turn() -> None:
    """Moves the point forever."""
    while True:
        await asyncio.sleep(options.every_ms / 1000)
        await circle.move_to(circle.azimuth + options.degrees)


parser = argparse.ArgumentParser()
parser.add_argument("--every-ms", type=float, default=100)
parser.add_argument("--degrees", type=float, default=5)
options = parser.parse_args()

if __name__ == "__main__":
    app.run()
