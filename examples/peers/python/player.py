"""The player: a program with a loop of its own. It makes calls whose replies arrive in the loop, and serves calls."""

import time

import callboard

ROUND = 0.016


class Player:
    """Served as the service `player`, on a thread of the worker while the loop continues."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._guesses = 0

    @callboard.once
    def found(self, number: int) -> int:
        """Reports that this was the number. Returns how many guesses were made."""
        self._number = number
        return self._guesses

    def _play(self, client: callboard.PolledClient, most: int) -> None:
        """Runs the loop until the umpire has called."""
        self._least, self._most, self._asked = 1, most, False
        rounds = 0
        # The umpire's call can arrive before the reply to the last guess.
        while self._number is None or client.pending:
            if not self._asked:
                self._guess(client, (self._least + self._most) // 2)
            rounds += 1
            client.process()
            time.sleep(ROUND)
        print(f"found {self._number} in {rounds} rounds")

    def _guess(self, client: callboard.PolledClient, number: int) -> None:
        """Guesses without waiting; the reply arrives in a later round."""

        def answered(hint: str, error: BaseException | None) -> None:
            if error is not None:
                print("call failed:", error)  # The same guess is repeated.
            elif hint == "Right":
                print(number, "is right")
            elif hint == "Higher":
                self._least = number + 1
            else:
                self._most = number - 1
            self._asked = hint == "Right"

        self._asked = True
        self._guesses += 1
        client.submit("umpire.guess", number, callback=answered)


player = Player()
app = callboard.Worker("player")
app.register(player)
with app.start(), callboard.Client() as client:
    # A blocking call: it returns with the reply, or raises an error at its timeout.
    most = client.call("umpire.most", wait_for_ready=True)
    with callboard.PolledClient() as polled:
        player._play(polled, most)
