"""Clients and workers with CURVE, against a real broker that requires it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import callboard
import callboard.aio
import pytest

from .processes import DEADLINE, Broker, command_path


def make_keys(folder: Path, name: str) -> Path:
    """Makes a pair of keys, and returns the path of both files without their endings."""
    subprocess.run([command_path(), "keygen", folder / name], check=True, capture_output=True, timeout=DEADLINE)
    return folder / name


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return make_keys(tmp_path, "broker")


@pytest.fixture
def encrypted_broker(keys: Path) -> Iterator[Broker]:
    with Broker("--curve-secret-file", f"{keys}.secret", "--plain-connections", "never") as broker:
        yield broker


def test_encrypted_clients_call_an_encrypted_worker(encrypted_broker: Broker, keys: Path) -> None:
    public = f"{keys}.public"
    app = callboard.Worker("s", address=encrypted_broker.backend, server_key=public)

    @app.read
    def double(number: int) -> int:
        return 2 * number

    async def call() -> object:
        async with callboard.aio.Client(encrypted_broker.frontend, server_key=public) as client:
            return await asyncio.gather(*(client.call("s.double", number) for number in range(100)))

    with app.start(), callboard.Client(encrypted_broker.frontend, server_key=public) as client:
        assert client.call("s.double", 21, wait_for_ready=True) == 42
        assert len(client.call("s.double", 1 << 1_000_000).to_bytes(200_000, "big")) == 200_000
        assert asyncio.run(call()) == [2 * number for number in range(100)]


def test_the_keys_may_come_from_variables(
    encrypted_broker: Broker, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_SERVER_KEY", f"{keys}.public")
    app = callboard.Worker("s", address=encrypted_broker.backend)

    @app.read
    def ask() -> str:
        return "served"

    with app.start(), callboard.Client(encrypted_broker.frontend) as client:
        assert client.call("s.ask", wait_for_ready=True) == "served"


def test_a_client_without_the_key_learns_that_it_needs_one(encrypted_broker: Broker) -> None:
    with (
        callboard.Client(encrypted_broker.frontend) as client,
        pytest.raises(callboard.DeadlineExceeded, match="connects without encryption"),
    ):
        client.call("s.double", 21, timeout=2)


def test_a_client_with_a_key_does_not_connect_to_a_plain_broker(broker: Broker, keys: Path) -> None:
    with (
        callboard.Client(broker.frontend, server_key=f"{keys}.public") as client,
        pytest.raises(callboard.DeadlineExceeded, match="does not offer encryption"),
    ):
        client.call("s.double", 21, timeout=2)


def test_a_key_that_is_none_is_an_error_at_once(keys: Path) -> None:
    with pytest.raises(ValueError, match="it contains a secret key"):
        callboard.Client(server_key=f"{keys}.secret")
    with pytest.raises(ValueError, match="cannot read the server key file"):
        callboard.Client(server_key="nowhere.public")
    with pytest.raises(ValueError, match="without a server key"):
        callboard.Client(curve_secret_file=f"{keys}.secret")
