"""A worker with a background loop: a point moves around a circle, with or without calls.

python worker.py --every-ms 100 --degrees 5
callboard call position.position me
callboard call position.watch --conflate --timeout none
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import callboard
import settings

options = settings.load(address="tcp://127.0.0.1:5560", address_variable="CALLBOARD_BACKEND", every_ms=100)
app = callboard.Worker("position", address=options.address, drain=1)


@dataclass
class Point:
    """A position. The circle has radius 1 around the origin."""

    x: float
    y: float
    z: float


@dataclass
class Published:
    """The reply to a published position."""

    status: Literal["ok", "refused"]
    message: str


@dataclass
class Reading(Point, Published):
    """A position with a message."""


class Circle:
    """The point, and the condition that is notified when it moves."""

    def __init__(self) -> None:
        self.azimuth = 0.0
        self.moved = asyncio.Condition()

    async def move_to(self, azimuth: float) -> None:
        async with self.moved:
            self.azimuth = azimuth % 360
            self.moved.notify_all()

    def read(self, message: str) -> Reading:
        angle = math.radians(self.azimuth)
        return Reading(x=math.cos(angle), y=math.sin(angle), z=0.0, status="ok", message=message)


circle = Circle()


@app.background
async def turn() -> None:
    """Moves the point forever."""
    while True:
        await asyncio.sleep(options.every_ms / 1000)
        await circle.move_to(circle.azimuth + options.degrees)


@app.read
async def position(request: str) -> Reading:
    """Returns the current position. `request` is the name of the caller; the message contains it."""
    logging.debug("request for the position from %s", request)
    return circle.read(f"for {request}")


@app.idempotent
async def publish(position: Point) -> Published:
    """Moves the point to this position, or to the nearest one on the circle."""
    x, y = position.x, position.y
    if not (math.isfinite(x) and math.isfinite(y)) or (x, y) == (0, 0):
        return Published("refused", "no place on the circle is the nearest")
    await circle.move_to(math.degrees(math.atan2(y, x)))
    logging.info("the point continues from a published place: %.1f degrees", circle.azimuth)
    return Published("ok", f"continues from {circle.azimuth:.1f} degrees")


@app.read
async def watch() -> AsyncIterator[Reading]:
    """Sends the position continuously. Only the newest one counts: a slow reader skips older ones."""
    while True:
        async with circle.moved:
            await circle.moved.wait()
        yield circle.read(f"at {circle.azimuth:.1f} degrees")


if __name__ == "__main__":
    app.run()
