"""The umpire: a program with a loop of its own, which serves calls and makes calls. It congratulates the player.

callboard broker &
python umpire.py 37 &
python player.py
"""

import sys
import time

import callboard

MOST = 100
ROUND = 0.016


class Umpire:
    """Served as the service `umpire`, on the worker's own threads while the loop continues."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.found = False

    @callboard.read
    def most(self) -> int:
        return MOST

    @callboard.once
    def guess(self, number: int) -> str:
        self.found = number == self.number
        return "right" if self.found else "higher" if number < self.number else "lower"


umpire = Umpire(int(sys.argv[1]) if len(sys.argv) > 1 else 37)
app = callboard.Worker(threads=1)
app.register(umpire, service="umpire")
applauded = False


def applaud(guesses: int, error: BaseException | None) -> None:
    global applauded
    print(error or f"the player needed {guesses} guesses")
    applauded = True


with app.start(), callboard.PolledClient() as client:
    while not applauded:
        if umpire.found:
            umpire.found = False
            client.submit("player.found", umpire.number, callback=applaud)
        # A game would update and draw its scene here.
        client.process()
        time.sleep(ROUND)
