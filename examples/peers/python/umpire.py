"""The umpire: a program with a loop of its own, which serves calls and makes calls. It congratulates the player.

callboard broker &
python umpire.py 37 &
python player.py
"""

import sys
import time
from typing import Literal

import callboard

MOST = 100
ROUND = 0.016


class Umpire:
    """Served as the service `umpire`, on a thread of the worker while the loop continues."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._found = False

    @callboard.read
    def most(self) -> int:
        """Returns the largest possible number. The smallest is 1."""
        return MOST

    @callboard.once
    def guess(self, number: int) -> Literal["Higher", "Lower", "Right"]:
        """Compares a guess with the number."""
        self._found = self._found or number == self._number
        return "Right" if number == self._number else "Higher" if number < self._number else "Lower"

    def _run(self, client: callboard.PolledClient) -> None:
        """Runs the loop until the player was congratulated."""
        congratulated = False
        while not (congratulated and client.pending == 0):
            if self._found and not congratulated:
                congratulated = True
                client.submit("player.found", self._number, callback=applaud)
            # A game would update and draw its scene here.
            client.process()
            time.sleep(ROUND)


def applaud(guesses: int, error: BaseException | None) -> None:
    """Runs on the thread of the loop, exactly once: for a result, an error or a timeout."""
    print(f"cannot congratulate the player: {error}" if error else f"the player needed {guesses} guesses")


umpire = Umpire(int(sys.argv[1]) if len(sys.argv) > 1 else 37)
app = callboard.Worker("umpire")
app.register(umpire)
with app.start(), callboard.PolledClient() as client:
    umpire._run(client)
