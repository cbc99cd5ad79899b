"""The proofs of mechanism `hmac-sha-256` (PROTOCOL.md 3.7)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MECHANISM = "hmac-sha-256"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What both sides prove that they agree on: fields of hello and challenge."""

    versions: tuple[int, int]
    role: str
    session: bytes
    connection: int
    peer_nonce: bytes
    broker_nonce: bytes
    broker: bytes
    start: bytes

    def transcript(self, prover: str) -> bytes:
        """Returns the bytes that `prover`, a role or `broker`, authenticates."""
        verifier = self.role if prover == "broker" else "broker"
        first, last = self.versions
        parts = [
            b"callboard", MECHANISM.encode(), first.to_bytes(4, "big") + last.to_bytes(4, "big"),
            prover.encode(), verifier.encode(), self.peer_nonce, self.broker_nonce, self.session,
            self.connection.to_bytes(8, "big"), self.broker, self.start,
        ]  # fmt: skip
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def proof(self, key: bytes, prover: str) -> bytes:
        """Returns the proof by which `prover` shows that it knows the key."""
        return hmac.digest(key, self.transcript(prover), hashlib.sha256)

    def broker_proved(self, key: bytes, welcome: Mapping[str, Any]) -> bool:
        """Whether welcome proves that the broker knows the key, with the ids of welcome itself (3.7.4)."""
        proof = welcome.get("proof")
        same = welcome.get("broker") == self.broker and welcome.get("start") == self.start
        return same and isinstance(proof, bytes) and hmac.compare_digest(proof, self.proof(key, "broker"))
