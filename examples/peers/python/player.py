"""The player: a program with a loop of its own. It makes calls whose replies arrive in the loop, and serves calls."""

import time

import callboard

ROUND = 0.016


class Player:
    """Served as the service `player`, and the state of the search."""

    def __init__(self, most: int) -> None:
        self.least, self.most = 1, most
        self.guesses = 0
        self.number: int | None = None
        self.asked = False

    @callboard.once
    def found(self, number: int) -> int:
        """Takes the number, and returns how many guesses it took."""
        self.number = number
        return self.guesses

    def _guess(self, client: callboard.PolledClient) -> None:
        """Guesses the middle of the range without waiting; the reply arrives in a later round."""
        middle = (self.least + self.most) // 2
        self.asked = True
        self.guesses += 1

        def answered(hint: str, error: BaseException | None) -> None:
            self.asked = hint == "right"
            if hint == "higher":
                self.least = middle + 1
            elif hint == "lower":
                self.most = middle - 1
            # After an error, the same guess is repeated.
            print(
                error or f"{middle} is {hint if hint == 'right' else 'wrong: ' + hint}"
            )

        client.submit("umpire.guess", middle, callback=answered)


with callboard.Client() as blocking:
    player = Player(blocking.call("umpire.most", wait_for_ready=True))
app = callboard.Worker(threads=1)
app.register(player, service="player")
rounds = 0
with app.start(), callboard.PolledClient() as client:
    while player.number is None or client.pending:
        if not player.asked:
            player._guess(client)
        rounds += 1
        client.process()
        time.sleep(ROUND)
print(f"found {player.number} in {rounds} rounds")
