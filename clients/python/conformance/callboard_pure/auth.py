"""The proofs of mechanism `hmac-sha-256` (PROTOCOL.md 3.7)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

MECHANISM = "hmac-sha-256"
PROOF_BYTES = 32


@dataclass(frozen=True, slots=True)
class Handshake:
    """What both sides prove that they agree on: the messages of the handshake, and their encrypted channel."""

    role: str
    hello: bytes  # the body, as it was sent
    challenge: bytes  # the body, as it was received
    channel_binding: bytes = b""

    def transcript(self, prover: str, welcome: bytes | None = None) -> bytes:
        """Returns the bytes that `prover`, a role or `broker`, authenticates. The broker adds its welcome."""
        verifier = self.role if prover == "broker" else "broker"
        digest = b"" if welcome is None else hashlib.sha256(welcome).digest()
        parts = [
            b"callboard", MECHANISM.encode(), prover.encode(), verifier.encode(), hashlib.sha256(self.hello).digest(),
            hashlib.sha256(self.challenge).digest(), self.channel_binding, digest,
        ]  # fmt: skip
        return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

    def proof(self, key: bytes) -> bytes:
        """Returns the proof by which the peer shows that it knows the key."""
        return hmac.digest(key, self.transcript(self.role), hashlib.sha256)

    def broker_proved(self, key: bytes, welcome: bytes) -> bool:
        """Whether the body of welcome ends with the proof that the broker knows the key (3.7.4)."""
        covered, proof = welcome[:-PROOF_BYTES], welcome[-PROOF_BYTES:]
        return hmac.compare_digest(proof, hmac.digest(key, self.transcript("broker", covered), hashlib.sha256))
