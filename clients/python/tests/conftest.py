from __future__ import annotations

from collections.abc import Iterator

import callboard
import pytest

from .processes import Broker, Process, example_path


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def calculator(broker: Broker) -> Iterator[Process]:
    """The calculator of the Rust examples."""
    with broker.worker(example_path("calculator-worker"), service="calculator") as worker:
        yield worker


@pytest.fixture
def client(broker: Broker) -> Iterator[callboard.Client]:
    with callboard.Client(broker.frontend) as client:
        yield client
