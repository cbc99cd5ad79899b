"""Scenario 1: the key-value store."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import callboard
import pytest

from ..processes import Broker, Process, command_path
from .conftest import Side


@pytest.fixture
def store(broker: Broker, worker_side: Side) -> Iterator[Process]:
    with worker_side.start("kvs", "worker", stdin=True) as worker:
        broker.wait_for_service("kvs")
        yield worker


@pytest.mark.usefixtures("store")
def test_a_stored_value_is_returned_and_a_missing_one_is_null(broker: Broker, client: callboard.Client) -> None:
    kvs = client.service("kvs")
    assert kvs.get("a") is None
    assert kvs.put("a", 10) is None
    assert kvs.get("a") == 10
    value = {"list": [1, -2.5, None, True, b"\0"], "text": "x"}
    kvs.put(k="b", v=value)
    assert kvs.get("b") == value
    assert set(kvs.uname()) == {"sysname", "nodename", "release"}
    with pytest.raises(callboard.FailedPrecondition, match="there is no number to increment"):
        kvs.inc("b")
    assert broker.run("call", "kvs.get", "a").stdout == "10\n"


def count_views(side: Side) -> None:
    """Runs five clients at once, each with 1,000 increments."""
    clients = [side.start("kvs", "client", side.broker.frontend, "1000") for _ in range(5)]
    last = sorted(int(client.wait_for("views after the last of mine").split()[0]) for client in clients)
    assert [client.exit_code() for client in clients] == [0] * 5
    assert last[-1] == 5000


@pytest.mark.usefixtures("store")
def test_five_processes_that_count_at_once_lose_no_increment(client: callboard.Client, client_side: Side) -> None:
    count_views(client_side)
    assert client.call("kvs.get", "views") == 5000


def test_a_pool_loses_no_increment_of_one_key(
    broker: Broker, client: callboard.Client, worker_side: Side, client_side: Side
) -> None:
    words = ("pool", "-n", "3", "--backend", broker.backend, "--", *worker_side.words("kvs", "worker"))
    with Process(command_path(), *words) as pool:
        pool.wait_for("ready 3 workers")
        count_views(client_side)
        assert client.call("kvs.get", "views", key="views") == 5000
        pool.signal(signal.SIGTERM)
        assert pool.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_store_stops_in_order_on_a_signal(broker: Broker, store: Process, number: signal.Signals) -> None:
    store.signal(number)
    assert store.exit_code() == 0
    broker.wait_for("worker left")
    assert [line for line in store.output if "ready, serving" not in line] == []


def test_the_store_stops_in_order_on_enter(broker: Broker, store: Process) -> None:
    assert store.popen.stdin is not None
    print(file=store.popen.stdin, flush=True)
    assert store.exit_code() == 0
    broker.wait_for("worker left")
    assert [line for line in store.output if "ready, serving" not in line] == []


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Broker]:
    """A broker that requires a secret."""
    key = tmp_path / "keys"
    key.write_text("the shared secret\n")
    key.chmod(0o600)
    with Broker("--authkey-file", str(key)) as broker:
        yield broker


KEY = {"CALLBOARD_AUTHKEY": "the shared secret"}
WRONG_KEY = {"CALLBOARD_AUTHKEY": "another secret of enough bytes"}
LANGUAGES = pytest.mark.parametrize("language", ["rust", "python"])


@LANGUAGES
def test_the_right_authkey_is_accepted_and_others_are_refused(guarded: Broker, language: str) -> None:
    side = Side(guarded, language)
    with side.start("kvs", "worker", env=KEY), callboard.Client(guarded.frontend, KEY["CALLBOARD_AUTHKEY"]) as client:
        assert client.call("kvs.inc", "views", wait_for_ready=True) == 1
        for env in (WRONG_KEY, {}):
            with side.start("kvs", "client", guarded.frontend, "1", env=env) as refused:
                refused.wait_for("error: ")
                assert refused.exit_code() == 1
                assert len(refused.output) == 1 and "UNAUTHENTICATED" in refused.output[0], refused.output
        assert client.call("kvs.get", "views") == 1
        with side.start("kvs", "client", guarded.frontend, "1", env=KEY) as accepted:
            accepted.wait_for("2 views after the last of mine")
            assert accepted.exit_code() == 0


@LANGUAGES
def test_a_worker_with_a_wrong_authkey_is_refused(guarded: Broker, language: str) -> None:
    for env in (WRONG_KEY, {}):
        with Side(guarded, language).start("kvs", "worker", env=env) as worker:
            worker.wait_for("rejected this worker: UNAUTHENTICATED")
            assert worker.exit_code() == 1
    with callboard.Client(guarded.frontend, KEY["CALLBOARD_AUTHKEY"]) as client:
        with pytest.raises(callboard.Unavailable) as unserved:
            client.call("kvs.get", "a")
        assert unserved.value.executed == "no"
