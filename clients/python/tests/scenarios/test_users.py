"""Scenario 3: the four call styles."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import callboard
import pytest

from ..processes import Broker, Process
from .conftest import Side

Start = Callable[[], Process]
URU = {"id": 7, "nickname": "Uru", "mail_address": "uru@example.org", "user_type": "GUEST"}


@pytest.fixture
def start(worker_side: Side, tmp_path: Path) -> Start:
    """Starts a worker of the same file."""
    env = {"CALLBOARD_EXAMPLE_USERS_FILE": str(tmp_path / "users.json")}
    return lambda: worker_side.start("users", "worker", env=env)


@pytest.fixture
def worker(broker: Broker, start: Start) -> Iterator[Process]:
    with start() as worker:
        broker.wait_for_service("user_statistics")
        yield worker


@pytest.mark.usefixtures("worker")
def test_the_client_of_the_example(client_side: Side) -> None:
    with client_side.start("users", "client", client_side.broker.frontend) as client:
        normal = "Normal" if client_side.language == "rust" else "NORMAL"
        for line in [
            f"user 5 is Zaru, {normal}",
            "there is no user 7",
            "added Uru",
            "not added: user 7: already exist",
            "a guest: guest",
            "a guest: Uru",
            "2 of 3 ids belong to users",
            "user 6 is Saru",
            "user 4 is troll",
            "7 users, 2 of them guests",
        ]:
            assert client.wait_for("") == line
        assert client.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_worker_keeps_the_added_users(
    broker: Broker, client: callboard.Client, start: Start, worker: Process, number: signal.Signals
) -> None:
    assert client.call("user_manager.add_user", URU) == URU
    worker.signal(number)
    worker.exit_code()
    broker.wait_for("worker left" if number == signal.SIGTERM else "worker lost")
    with start():
        assert client.call("user_manager.get_user", 7, wait_for_ready=True) == URU
        assert client.call("user_statistics.count") == 7


@pytest.mark.usefixtures("worker")
def test_a_second_worker_of_the_same_file_is_refused(client: callboard.Client, start: Start) -> None:
    with start() as second:
        second.wait_for("another process owns these users")
        assert second.exit_code() == 1
    assert client.call("user_statistics.count") == 6


@pytest.mark.usefixtures("worker")
def test_errors_have_the_code_the_type_and_the_details_of_both_languages(client: callboard.Client) -> None:
    with pytest.raises(callboard.NotFound, match="user 7: not found") as missing:
        client.call("user_manager.get_user", 7)
    assert (missing.value.type_name, missing.value.details) == ("UserError", {"NotFound": {"id": 7}})
    client.call("user_manager.add_user", URU)
    with pytest.raises(callboard.AlreadyExists, match="user 7: already exist") as exists:
        client.call("user_manager.add_user", URU)
    assert exists.value.details == {"AlreadyExists": {"id": 7}}
    with pytest.raises(callboard.InvalidArgument) as wrong:
        client.call("user_manager.add_user", {**URU, "user_type": "OWNER"})
    assert wrong.value.executed == "no" and "user_type" in str(wrong.value)


@pytest.mark.usefixtures("worker")
def test_streams_in_each_direction(client: callboard.Client) -> None:
    assert [user["nickname"] for user in client.stream("user_manager.get_users_by_type", "NORMAL")] == [
        "foo",
        "Zaru",
        "Saru",
    ]
    client.call("user_manager.add_user", {**URU, "user_type": "ADMINISTRATOR"})
    assert client.upload([1, 2, 99, 7], "user_manager.count_already_users") == 3
    assert client.upload([], "user_manager.count_already_users") == 0
    with client.duplex("user_manager.get_users_by_ids") as found:
        for id in (5, 1):
            found.send(99)
            found.send(id)
            assert next(found)["id"] == id
        found.end()
        assert list(found) == []
    with client.duplex("user_manager.get_users_by_all_ids") as found:
        found.send_all([6, 99, 2])
        assert [user["id"] for user in found] == [6, 2]


def test_no_match_is_an_empty_stream(broker: Broker, client: callboard.Client, start: Start, tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(json.dumps([URU]))
    with start():
        broker.wait_for_service("user_manager")
        assert list(client.stream("user_manager.get_users_by_type", "NORMAL")) == []
        assert list(client.stream("user_manager.get_users_by_type", "GUEST")) == [URU]


@pytest.mark.usefixtures("worker")
def test_a_tool_without_the_types_describes_and_calls_the_services(broker: Broker) -> None:
    services = {service["name"] for service in json.loads(broker.run("services", "--json").stdout)}
    assert {"user_manager", "user_statistics"} <= services
    described = broker.run("describe", "user_manager").stdout
    for part in ("get_user(id: ", "-> User", "Returns the user with this id.", "-> stream of User", "(stream of "):
        assert part in described
    assert json.loads(broker.run("call", "user_manager.get_user", "5").stdout)["nickname"] == "Zaru"
    failed = broker.run("call", "user_manager.get_user", "7", check=False)
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: NOT_FOUND UserError: user 7: not found")
    assert broker.run("call", "user_statistics.count", "GUEST").stdout == "1\n"
