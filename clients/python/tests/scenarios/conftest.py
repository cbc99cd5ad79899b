"""The two sides of the scenarios. A test that uses both runs in all four pairings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..processes import REPOSITORY, Broker, Process, example_path, python


class Side:
    """The programs of one side of the scenarios, in one language."""

    def __init__(self, broker: Broker, language: str) -> None:
        self.broker = broker
        self.language = language

    def words(self, scenario: str, program: str) -> tuple[str, ...]:
        """The words that run a program of a scenario."""
        if self.language == "rust":
            return (example_path(f"{scenario}-{program}"),)
        return python(str(REPOSITORY / "examples" / scenario / "python" / f"{program}.py"))

    def start(
        self,
        scenario: str,
        program: str,
        *words: str,
        env: dict[str, str] | None = None,
        stdin: bool = False,
        cwd: Path | None = None,
    ) -> Process:
        """Starts a program with the addresses of the broker."""
        addresses = {"CALLBOARD_FRONTEND": self.broker.frontend, "CALLBOARD_BACKEND": self.broker.backend}
        words = (*self.words(scenario, program), *words)
        return Process(*words, env={**addresses, **(env or {})}, stdin=stdin, cwd=cwd)


@pytest.fixture(params=["rust", "python"], ids=["rust worker", "python worker"])
def worker_side(request: pytest.FixtureRequest, broker: Broker) -> Side:
    return Side(broker, request.param)


@pytest.fixture(params=["rust", "python"], ids=["rust client", "python client"])
def client_side(request: pytest.FixtureRequest, broker: Broker) -> Side:
    return Side(broker, request.param)
