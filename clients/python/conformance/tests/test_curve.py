"""Encrypted connections of libzmq to the real broker (PROTOCOL.md 1.1.1 to 1.1.3)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from conftest import Start
from harness import COMMAND, PYTHON_WORKER, Broker, Process, call, eventually

from callboard_pure import CallError, Client, Code, Curve

WORKER = """
import os
from callboard_pure import Curve, Worker

keys = [os.environ[name].encode() for name in ("SERVER_KEY", "PUBLIC_KEY", "SECRET_KEY") if name in os.environ]
worker = Worker(curve=Curve(*keys) if keys[1:] else Curve.anonymous(*keys), on_ready=lambda: print("ready"))


@worker.method("calculator.add", effect="read")
def add(x: float, y: float) -> float:
    return x + y


@worker.method("calculator.double", effect="read")
def double(data: bytes) -> bytes:
    return data + data


worker.run()
"""


class EncryptedBroker(Broker):
    """A broker with a CURVE key, which refuses connections without encryption."""

    def __init__(self, folder: Path, plain: str = "never", **variables: str) -> None:
        keygen = Process([str(COMMAND), "keygen", str(folder / "broker")])
        assert keygen.wait() == 0
        keygen.kill()
        secret = str(folder / "broker.secret")
        variables |= {"CALLBOARD_BROKER_CURVE_SECRET_FILE": secret, "CALLBOARD_BROKER_PLAIN_CONNECTIONS": plain}
        super().__init__(None, **variables)
        line = (folder / "broker.public").read_text()
        self.key = line.split('"')[1].encode()


@pytest.fixture
def encrypted(tmp_path: Path, start: Start) -> Iterator[EncryptedBroker]:
    """A broker with a CURVE key and an encrypted worker."""
    broker = EncryptedBroker(tmp_path)
    start([sys.executable, "-c", WORKER], CALLBOARD_BACKEND=broker.backend, SERVER_KEY=broker.key.decode()).wait_for(
        "^ready$"
    )
    yield broker
    broker.kill()


def assert_served(broker: EncryptedBroker) -> None:
    """Checks that another peer with the right key notices nothing."""
    with Client(broker.frontend, curve=Curve.anonymous(broker.key)) as client:
        assert client.call("calculator.add", [2, 3]) == 5


def assert_not_served(client: Client) -> None:
    with pytest.raises(CallError) as raised:
        client.call("calculator.add", [2, 3], timeout=1.0)
    assert raised.value.code in (Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE)


@pytest.mark.parametrize("size", [0, 1, 300, 16_384, 16_385, 3_000_000])
def test_bodies_of_all_sizes_travel_encrypted_in_both_directions(encrypted: EncryptedBroker, size: int) -> None:
    data = os.urandom(size)
    with Client(encrypted.frontend, curve=Curve.anonymous(encrypted.key)) as client:
        assert client.call("calculator.double", [data]) == data + data


def test_the_rust_client_calls_the_encrypted_worker(encrypted: EncryptedBroker) -> None:
    assert call(encrypted, "calculator.add", "2", "3", CALLBOARD_SERVER_KEY=encrypted.key.decode()) == (0, "5.0")


def test_a_client_with_another_server_key_is_refused_and_others_notice_nothing(encrypted: EncryptedBroker) -> None:
    other, _ = zmq.curve_keypair()
    with Client(encrypted.frontend, curve=Curve.anonymous(other)) as client:
        encrypted.wait_for("HELLO was encrypted for another server key")
        assert_served(encrypted)
        assert_not_served(client)


def test_a_client_whose_keys_do_not_belong_together_is_refused(encrypted: EncryptedBroker) -> None:
    (public, _), (_, secret) = zmq.curve_keypair(), zmq.curve_keypair()
    with Client(encrypted.frontend, curve=Curve(encrypted.key, public, secret)) as client:
        encrypted.wait_for("did not prove that it has the secret key of its public key")
        assert_served(encrypted)
        assert_not_served(client)


def test_a_client_without_encryption_is_refused_with_the_reason(encrypted: EncryptedBroker) -> None:
    with Client(encrypted.frontend) as client:
        encrypted.wait_for("connects without encryption, and CURVE is required")
        assert_served(encrypted)
        assert_not_served(client)


def test_plain_and_encrypted_peers_of_one_host_share_a_port(tmp_path: Path, start: Start) -> None:
    broker = EncryptedBroker(tmp_path, plain="loopback")
    try:
        start(PYTHON_WORKER, CALLBOARD_BACKEND=broker.backend).wait_for("^ready$")
        assert_served(broker)
        with Client(broker.frontend) as client:
            assert client.call("calculator.add", [2, 3]) == 5
    finally:
        broker.kill()


def test_a_client_with_a_server_key_never_connects_to_a_broker_without_a_key(broker: Broker, start: Start) -> None:
    start(PYTHON_WORKER, CALLBOARD_BACKEND=broker.backend).wait_for("^ready$")
    server_key, _ = zmq.curve_keypair()
    with Client(broker.frontend, curve=Curve.anonymous(server_key)) as client:
        eventually(lambda: client.connections >= 3)  # libzmq leaves when it reads that the broker has no CURVE
        with Client(broker.frontend) as plain:
            assert plain.call("calculator.add", [2, 3]) == 5
        assert_not_served(client)


def keys_of(broker: EncryptedBroker, pair: tuple[bytes, bytes]) -> Curve:
    return Curve(broker.key, *pair)


def broker_with_peers(folder: Path, *peers: str) -> EncryptedBroker:
    """Starts a broker with a file of these peers."""
    file = folder / "peers.toml"
    file.touch(mode=0o600)
    file.write_text("".join(f"[[peer]]\n{peer}\n" for peer in peers))
    return EncryptedBroker(folder, CALLBOARD_PEERS_FILE=str(file))


def test_a_client_and_a_worker_are_known_by_their_public_keys(tmp_path: Path, start: Start) -> None:
    web, jobs = zmq.curve_keypair(), zmq.curve_keypair()
    broker = broker_with_peers(
        tmp_path,
        f'name = "web"\npublic_key = "{web[0].decode()}"\ncall = ["calculator.add"]',
        f'name = "jobs"\npublic_key = "{jobs[0].decode()}"\nserve = ["calculator"]',
    )
    try:
        variables = {"SERVER_KEY": broker.key, "PUBLIC_KEY": jobs[0], "SECRET_KEY": jobs[1]}
        worker = {name: value.decode() for name, value in variables.items()}
        start([sys.executable, "-c", WORKER], CALLBOARD_BACKEND=broker.backend, **worker).wait_for("^ready$")
        with Client(broker.frontend, curve=keys_of(broker, web)) as client:
            assert client.call("calculator.add", [2, 3]) == 5
            with pytest.raises(CallError, match=r"peer web may not call calculator\.double") as denied:
                client.call("calculator.double", [b""])
            assert denied.value.code is Code.PERMISSION_DENIED
        with Client(broker.frontend, curve=Curve.anonymous(broker.key)) as stranger:
            with pytest.raises(CallError, match="unknown public key") as rejected:
                stranger.call("calculator.add", [2, 3])
            assert rejected.value.code is Code.UNAUTHENTICATED
    finally:
        broker.kill()


def test_an_authkey_cannot_be_proved_over_curve_and_the_broker_names_the_public_key_instead(tmp_path: Path) -> None:
    key = b"0123456789abcdef"
    broker = broker_with_peers(tmp_path, f'name = "web"\nauthkey = "{key.decode()}"')
    try:
        reasons = {None: "does not know its public key", key: "add its public key to the broker's peers file"}
        for authkey, reason in reasons.items():
            with (
                Client(broker.frontend, authkey, curve=Curve.anonymous(broker.key)) as client,
                pytest.raises(CallError, match=reason) as rejected,
            ):
                client.call("calculator.add", [2, 3])
            assert rejected.value.code is Code.UNAUTHENTICATED
    finally:
        broker.kill()
