"""Peers with names and rights, against a real broker with a file of peers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import callboard
import pytest

from .processes import Broker

PEERS = """
[[peer]]
name = "web"
authkey = "a key of the web server"
call = ["s.who"]

[[peer]]
name = "jobs"
authkey = "a key of the job worker"
serve = ["s"]
"""


@pytest.fixture
def guarded_broker(tmp_path: Path) -> Iterator[Broker]:
    peers = tmp_path / "peers.toml"
    peers.touch(mode=0o600)
    peers.write_text(PEERS)
    with Broker("--peers-file", str(peers)) as broker:
        yield broker


@pytest.fixture
def app(guarded_broker: Broker) -> Iterator[callboard.Worker]:
    app = callboard.Worker("s", address=guarded_broker.backend, authkey="a key of the job worker")

    @app.read
    def who(context: callboard.Context) -> str | None:
        return context.caller

    @app.read
    def secret() -> int:
        return 42

    with app.start():
        yield app


def test_a_handler_reads_the_name_of_its_caller(guarded_broker: Broker, app: callboard.Worker) -> None:
    with callboard.Client(guarded_broker.frontend, authkey="a key of the web server") as client:
        assert client.call("s.who", wait_for_ready=True) == "web"


def test_a_call_without_a_right_is_denied(guarded_broker: Broker, app: callboard.Worker) -> None:
    with callboard.Client(guarded_broker.frontend, authkey="a key of the web server") as client:
        client.call("s.who", wait_for_ready=True)
        with pytest.raises(callboard.PermissionDenied, match=r"s\.secret") as denied:
            client.call("s.secret")
    assert denied.value.executed == "no"


def test_a_caller_has_no_name_without_a_file_of_peers(broker: Broker) -> None:
    app = callboard.Worker("s", address=broker.backend)

    @app.read
    def who(context: callboard.Context) -> str | None:
        return context.caller

    with app.start(), callboard.Client(broker.frontend) as client:
        assert client.call("s.who", wait_for_ready=True) is None
