"""The vectors of the project (PROTOCOL.md section 9): every one, in both directions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callboard_pure import cbor, contract, wire
from callboard_pure.auth import Handshake
from callboard_pure.wire import Code, Envelope, Refusal

VECTORS = Path(__file__).parents[4] / "core" / "vectors"


def load(name: str) -> list[Any]:
    """Returns the vectors of one file as pytest's parameters."""
    vectors = json.loads((VECTORS / f"{name}.json").read_text())
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


def read(vector: dict[str, Any]) -> list[Envelope | Refusal]:
    """Reads the vector's message as its reader would."""
    frames = [bytes.fromhex(frame) for frame in vector["frames"]]
    return list(wire.read_message(frames, to_peer=vector["reader"] == "peer"))


def shown(result: Envelope | Refusal) -> dict[str, Any]:
    """Returns a result in the form of the vectors' member `reads`, without the reason of a refusal."""
    if isinstance(result, Refusal):
        known = {"refused": result.code.name, "kind": result.kind, "number": result.number}
        return {name: value for name, value in known.items() if value is not None}
    values = {name: getattr(result, name) for name in wire.KEYS.values()}
    values = {name: value for name, value in values.items() if name == "kind" or value != wire.DEFAULTS[name]}
    if result.extensions:
        pairs = (cbor.encode_head(cbor.UINT, key) + value for key, value in result.extensions.items())
        values["extensions"] = b"".join(pairs).hex()
    return values | ({"body": result.body.hex()} if result.body else {})


def expected(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the vector's results without the reasons, which are those of the Rust implementation (9.2)."""
    return [{name: value for name, value in result.items() if name != "reason"} for result in vector["reads"]]


@pytest.mark.parametrize("vector", load("envelopes") + load("refusals"))
def test_a_message_reads_as_its_vector_states(vector: dict[str, Any]) -> None:
    assert [shown(result) for result in read(vector)] == expected(vector)


@pytest.mark.parametrize("vector", load("envelopes"))
def test_envelopes_are_written_as_a_canonical_vector_states(vector: dict[str, Any]) -> None:
    envelopes = [result for result in read(vector) if isinstance(result, Envelope)]
    written = [[frame.hex() for frame in message] for message in wire.write_messages(envelopes)]
    assert (written == [vector["frames"]]) == vector["canonical"]


@pytest.mark.parametrize("vector", load("auth"))
def test_proofs_are_those_of_the_vector(vector: dict[str, Any]) -> None:
    names = ("hello_body", "challenge_body", "channel_binding")
    handshake = Handshake(vector["role"], *(bytes.fromhex(vector[name]) for name in names))
    key, welcome = bytes.fromhex(vector["key"]), bytes.fromhex(vector["welcome_body"])
    assert handshake.transcript(vector["role"]).hex() == vector["peer_transcript"]
    assert handshake.transcript("broker", welcome[:-32]).hex() == vector["broker_transcript"]
    assert handshake.proof(key).hex() == vector["peer_proof"]
    assert cbor.encode({"proof": handshake.proof(key)}).hex() == vector["proof_body"]
    assert welcome[-32:].hex() == vector["broker_proof"]
    assert handshake.broker_proved(key, welcome)


@pytest.mark.parametrize("vector", load("auth"))
def test_a_changed_byte_of_the_handshake_makes_the_proofs_invalid(vector: dict[str, Any]) -> None:
    names = ("hello_body", "challenge_body", "channel_binding", "welcome_body")
    bodies = [bytes.fromhex(vector[name]) for name in names]
    key, role = bytes.fromhex(vector["key"]), vector["role"]
    for number, body in enumerate(bodies):
        for at in range(len(body)):
            changed = bodies.copy()
            changed[number] = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            hello, challenge, binding, welcome = changed
            handshake = Handshake(role, hello, challenge, binding)
            assert not handshake.broker_proved(key, welcome)
            assert (handshake.proof(key).hex() == vector["peer_proof"]) == (names[number] == "welcome_body")


@pytest.mark.parametrize("vector", load("contracts"))
def test_the_hash_of_a_contract_is_that_of_the_vector(vector: dict[str, Any]) -> None:
    description = cbor.decode(bytes.fromhex(vector["description"]))
    assert contract.canonical(description).hex() == vector["canonical"]
    assert contract.contract_hash(description) == vector["hash"]


def test_every_status_code_has_its_name() -> None:
    assert [code.value for code in Code] == list(range(1, 17))
