"""Scenario 4: two programs with loops of their own call each other."""

from __future__ import annotations

import pytest

from ..processes import Broker, Process
from .conftest import Side


@pytest.mark.parametrize("first", ["player", "umpire"])
def test_two_programs_call_each_other_while_their_loops_run(
    broker: Broker, worker_side: Side, client_side: Side, first: str
) -> None:
    def start(program: str) -> Process:
        if program == "umpire":
            return worker_side.start("peers", "umpire", "42")
        return client_side.start("peers", "player")

    with start(first) as one:
        # The first one waits for the second one.
        broker.wait_for_service(first)
        with start("umpire" if first == "player" else "player") as other:
            player, umpire = (one, other) if first == "player" else (other, one)
            player.wait_for("42 is right")
            player.wait_for("found 42 in ")
            # 50, 25, 37, 43, 40, 41, 42.
            umpire.wait_for("the player needed 7 guesses")
            assert (player.exit_code(), umpire.exit_code()) == (0, 0)
            assert len(player.output) == 2 and len(umpire.output) == 1
