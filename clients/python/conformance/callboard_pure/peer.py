"""What a client and a worker share: the connection of a session (PROTOCOL.md 3, 6, 7, 11.1 and 16)."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import platform
import random
import secrets
import socket
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from callboard_pure import auth, cbor, wire
from callboard_pure.cbor import MalformedError
from callboard_pure.errors import CallError
from callboard_pure.wire import Code, Envelope, Executed, Kind, Refusal

VERSIONS = (2, 2)
MESSAGE_BYTES_MAX = 16_777_216
HANDSHAKE_SECONDS = 5.0
GOODBYE_SECONDS = 2.0
SILENT_INTERVALS = 3
PAUSE_SECONDS_MAX = 1.0  # a peer with a long heartbeat limits its pauses (6.4)
MESSAGES_PER_TURN = 256

SOCKET_OPTIONS = {  # section 16.2
    zmq.RECONNECT_IVL: 86_400_000,  # a day: never. With -1, libzmq drops what was not read when the broker closes
    zmq.LINGER: 0,
    zmq.SNDHWM: 0,
    zmq.RCVHWM: 0,
    zmq.MAXMSGSIZE: MESSAGE_BYTES_MAX,
    zmq.IPV6: 1,
}
GONE = (
    zmq.EVENT_CLOSED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


@dataclass(frozen=True)
class Curve:
    """The keys of an encrypted connection, in Z85. A peer with these keys never connects without encryption (1.1.1)."""

    server_key: bytes
    public_key: bytes
    secret_key: bytes = field(repr=False)

    @staticmethod
    def anonymous(server_key: bytes) -> Curve:
        """Returns the keys of a peer that has no identity of its own."""
        public_key, secret_key = zmq.curve_keypair()
        return Curve(server_key, public_key, secret_key)

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Sets the keys of a socket, before it connects."""
        socket.curve_serverkey = self.server_key
        socket.curve_publickey = self.public_key
        socket.curve_secretkey = self.secret_key


class Phase(Enum):
    """The states of section 11.1. libzmq keeps hello until it is connected, so Connecting is part of the second."""

    BACKOFF = auto()
    AWAITING_CHALLENGE = auto()
    AWAITING_WELCOME = auto()
    CONNECTED = auto()
    CLOSING = auto()
    CLOSED = auto()


class Peer(ABC):
    """One session. Its loop runs on one thread, which alone uses the socket; other threads use `post`."""

    role: str

    def __init__(
        self,
        address: str,
        authkey: bytes | None,
        curve: Curve | None,
        heartbeat_ms: int,
        instance: str,
        **hello: str | int | None,
    ) -> None:
        self.address = address
        self._curve = curve
        self._key = authkey
        self._heartbeat = heartbeat_ms / 1000
        self._hello: dict[str, Any] = {
            "versions": list(VERSIONS),
            "role": self.role,
            "session": uuid.uuid4().bytes,
            "connection": 0,
            "heartbeat_ms": heartbeat_ms,
            "instance": wire.truncate(instance, 128),
            "pid": os.getpid(),
            "host": wire.truncate(platform.node(), 128),
            **{name: value for name, value in hello.items() if value is not None},
        }
        self._handshake: auth.Handshake | None = None
        self._welcome: dict[str, Any] = {}
        self.goodbye_answered = False  # whether the broker read everything that was sent to it (7.1)
        self._start: bytes | None = None  # the broker's start that this session was welcomed by
        self._same_start = False  # whether the last two welcomes were of one start
        self._phase = Phase.BACKOFF
        self._phase_ends = 0.0  # when the pause, the handshake or the wait for goodbye is over
        self._failures = 0
        self._lost_because = ""  # why the last connection ended
        self._connected_at = self._last_received = self._last_sent = 0.0
        self._ping_number = 0
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._gone = False
        self._outbox: list[Envelope] = []
        self._commands: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_numbers = itertools.count()
        self._lock = threading.RLock()  # reentrant, because a signal handler may interrupt `post`
        self._ended = self._woken = False
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._poller.register(self._wakened.fileno(), zmq.POLLIN)

    # What a client and a worker add.

    @abstractmethod
    def _on_welcome(self, same_start: bool) -> None: ...

    @abstractmethod
    def _on_envelope(self, envelope: Envelope) -> None: ...

    @abstractmethod
    def _on_refusal(self, refusal: Refusal) -> None: ...

    @abstractmethod
    def _on_lost(self) -> None: ...

    @abstractmethod
    def _on_closed(self, error: CallError | None) -> None: ...

    @abstractmethod
    def _on_turn(self) -> None: ...

    def _done_below(self) -> int | None:
        """Returns what the next envelope has to state of the client's calls, and takes it as stated (4.1)."""
        return None

    @property
    def connections(self) -> int:
        """The number of connections that this session has attempted."""
        return int(self._hello["connection"])

    # The loop.

    def post(self, command: Callable[[], None]) -> bool:
        """Runs the command on the loop's thread. Any thread, and a signal handler, may call it.

        Returns False if the loop has ended, and the command does not run.
        """
        with self._lock:
            if self._ended:
                return False
            self._commands.append(command)
            if not self._woken:
                self._woken = True
                self._waker.send(b"\0")
            return True

    def _at(self, when: float, command: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._timer_numbers), command))

    def _run(self) -> None:
        try:
            while self._phase is not Phase.CLOSED:
                self._turn()
        except Exception as error:
            self._end(CallError(Code.INTERNAL, Executed.MAYBE, f"the connection's thread failed: {error!r}"))
            raise
        finally:
            with self._lock:
                self._ended = True
            self._run_commands({})
            self._close_socket()
            self._context.destroy(linger=0)
            self._waker.close()
            self._wakened.close()

    def _turn(self) -> None:
        wait = max(0.0, self._next_deadline() - time.monotonic())
        begin = time.monotonic()
        ready = dict(self._poller.poll(math.ceil(wait * 1000)))
        overslept = time.monotonic() - begin - wait
        self._run_commands(ready)
        self._read_socket(ready)
        self._check_time(overslept)
        if self._phase is not Phase.CLOSED:
            self._on_turn()
        self._flush()

    def _run_commands(self, ready: dict[Any, int]) -> None:
        if self._wakened.fileno() in ready:
            with self._lock:
                self._woken = False
                self._wakened.recv(1)
        for _ in range(len(self._commands)):
            self._commands.popleft()()

    def _next_deadline(self) -> float:
        moments = [time.monotonic() + 60, *(when for when, _, _ in self._timers[:1])]
        if self._commands or self._gone:
            moments.append(0)
        if self._phase in (Phase.CONNECTED, Phase.CLOSING):
            moments += [self._last_sent + self._heartbeat, self._silence_ends()]
        if self._phase is not Phase.CONNECTED:
            moments.append(self._phase_ends)
        return min(moments)

    def _silence_ends(self) -> float:
        return self._last_received + SILENT_INTERVALS * float(self._welcome["heartbeat_ms"]) / 1000

    def _check_time(self, overslept: float) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if self._phase is Phase.CONNECTED:
            interval = float(self._welcome["heartbeat_ms"]) / 1000
            if overslept > interval:  # this process did not run, so the broker's messages may be on their way (6.3)
                self._last_received = max(self._last_received, now - (SILENT_INTERVALS - 1) * interval)
            if now >= self._silence_ends():
                self._lose("the broker sent nothing for 3 of its heartbeat intervals")
            elif now >= self._last_sent + self._heartbeat:
                self._ping(self._done_below())
        elif self._phase in (Phase.AWAITING_CHALLENGE, Phase.AWAITING_WELCOME) and now >= self._phase_ends:
            self._lose(f"no welcome within {HANDSHAKE_SECONDS:.0f} s")
        elif self._phase is Phase.BACKOFF and now >= self._phase_ends:
            self._connect()
        elif self._phase is Phase.CLOSING and now >= self._phase_ends:
            self._end(None)

    # The socket.

    def _connect(self) -> None:
        """Opens a new socket, because one that was used before may send and receive what belongs to its past (16.1)."""
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in SOCKET_OPTIONS.items():
            self._socket.setsockopt(option, value)
        if self._curve is not None:
            self._curve.apply(self._socket)
        self._monitor = self._socket.get_monitor_socket(GONE)
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(self.address)
        self._hello["connection"] += 1
        if self._key is not None:
            self._hello["nonce"] = secrets.token_bytes(32)
        self._phase, self._phase_ends = Phase.AWAITING_CHALLENGE, time.monotonic() + HANDSHAKE_SECONDS
        self._send(Envelope(Kind.HELLO, body=cbor.encode(self._hello)))

    def _close_socket(self) -> None:
        self._outbox.clear()
        self._gone = False
        if self._socket is None or self._monitor is None:
            return
        self._poller.unregister(self._socket)
        self._poller.unregister(self._monitor)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        self._socket = self._monitor = None

    def _send(self, envelope: Envelope) -> None:
        """Queues an envelope. The end of the turn sends all that are queued, in bundles."""
        self._outbox.append(envelope)

    def _flush(self) -> None:
        if self._socket is None or not self._outbox:
            return
        for frames in wire.write_messages(self._outbox):
            # There is no high-water mark. Again: libzmq has just dropped the connection, which its monitor reports.
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(frames, zmq.NOBLOCK)
        self._outbox.clear()
        self._last_sent = time.monotonic()

    def _read_socket(self, ready: dict[Any, int]) -> None:
        """Reads the socket until it is empty after the monitor was polled, and only then acts on the monitor (16.3)."""
        if self._monitor is not None and self._monitor in ready:
            recv_monitor_message(self._monitor)
            self._gone = True
        for _ in range(MESSAGES_PER_TURN):
            if self._socket is None:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._last_received = time.monotonic()
            for result in wire.read_message(frames):
                if self._socket is not None:
                    self._on_received(result)
        else:
            self._commands.append(lambda: None)  # more may be there: come back without waiting
            return
        if self._gone:
            self._lose("the connection was closed, or could not be made")

    # The handshake, heartbeats, and the end of a connection.

    def _on_received(self, received: Envelope | Refusal) -> None:
        if received.kind == Kind.GOODBYE and isinstance(received, Envelope):
            self._on_goodbye(received)
        elif self._phase is Phase.AWAITING_CHALLENGE and received.kind == Kind.CHALLENGE:
            self._on_handshake(self._on_challenge, received)
        elif self._phase is Phase.AWAITING_WELCOME and received.kind == Kind.WELCOME:
            self._on_handshake(self._read_welcome, received)
        elif self._phase is not Phase.CONNECTED:
            pass  # section 11.1: refused, and dropped
        elif isinstance(received, Refusal):
            self._on_refusal(received)
        elif received.kind == Kind.PING:
            self._send(Envelope(Kind.PONG, number=received.number))
            if (below := self._done_below()) is not None:  # an idle client acknowledges its last outcomes (6.1)
                self._ping(below)
        else:
            self._on_envelope(received)

    def _on_handshake(self, handle: Callable[[Envelope], None], received: Envelope | Refusal) -> None:
        """Handles challenge or welcome. One that cannot be read ends the connection, but not the session."""
        try:
            if isinstance(received, Refusal):
                raise MalformedError(received.reason)
            handle(received)
        except (MalformedError, KeyError, TypeError, ValueError) as error:
            return self._lose(f"the broker's handshake cannot be read: {error!r}")
        if self._phase is Phase.CONNECTED:
            self._on_welcome(self._same_start)
        return None

    def _on_challenge(self, challenge: Envelope) -> None:
        if self._key is None and challenge.body:
            # libzmq does not show the keys of an encrypted connection, which the proof of an authkey covers (3.7).
            known = "" if self._curve is None else ": the broker does not know its public key"
            return self._give_up(f"the broker requires a key, and this program has none{known}")
        proof = b""
        if self._key is not None:
            if not challenge.body:
                return self._give_up("the broker does not know any key, and this program has one")
            body = cbor.decode(challenge.body)
            if body["mechanism"] != auth.MECHANISM:
                return self._give_up(f"the broker requires an unknown mechanism: {body['mechanism']!r:.80}")
            self._handshake = auth.Handshake(self.role, cbor.encode(self._hello), challenge.body)
            proof = cbor.encode({"proof": self._handshake.proof(self._key)})
        self._phase = Phase.AWAITING_WELCOME
        return self._send(Envelope(Kind.PROOF, body=proof))

    def _read_welcome(self, envelope: Envelope) -> None:
        if self._key is not None and not (self._handshake and self._handshake.broker_proved(self._key, envelope.body)):
            return self._give_up("the broker did not prove that it knows the key")
        welcome = cbor.decode(envelope.body)
        if not VERSIONS[0] <= int(welcome["version"]) <= VERSIONS[1]:
            return self._end(CallError(Code.FAILED_PRECONDITION, Executed.NO, "the broker chose an unknown version"))
        for name in ("heartbeat_ms", "credit_calls", "credit_bytes", "message_bytes_max"):
            welcome[name] = int(welcome[name])
        self._same_start = welcome["start"] == self._start
        self._welcome, self._start = welcome, welcome["start"]
        self._phase, self._connected_at = Phase.CONNECTED, time.monotonic()
        return None

    def _give_up(self, reason: str) -> None:
        self._end(CallError(Code.UNAUTHENTICATED, Executed.NO, reason))

    def _on_goodbye(self, goodbye: Envelope) -> None:
        error = None if goodbye.code is None else CallError.of(goodbye)
        if error is not None and error.code is not Code.UNAVAILABLE:
            self._end(error)
        elif self._phase is Phase.CLOSING:
            self.goodbye_answered = True
            self._end(None)
        else:
            self._lose(f"the broker closed the connection: {error}")

    def _ping(self, done_below: int | None = None) -> int:
        """Sends a ping and returns its number."""
        self._ping_number += 1
        self._send(Envelope(Kind.PING, number=self._ping_number, done_below=done_below))
        return self._ping_number

    def _lose(self, reason: str) -> None:
        """The connection is lost, or was not made: pause, and try again with the next number (3.6)."""
        was, self._lost_because = self._phase, reason
        self._close_socket()
        if was is Phase.CLOSING:
            return self._end(None)
        now = time.monotonic()
        joined_long_enough = was is Phase.CONNECTED and now - self._connected_at >= self._heartbeat
        self._failures = 1 if joined_long_enough else self._failures + 1
        step = min(0.05 * 2 ** min(self._failures - 1, 20), self._heartbeat, PAUSE_SECONDS_MAX)
        self._phase, self._phase_ends = Phase.BACKOFF, now + random.uniform(step / 5, step)
        if was is Phase.CONNECTED:
            self._on_lost()
        return None

    def _say_goodbye(self) -> None:
        """Ends a connected session in order; without a connection there is nothing to end (7.1)."""
        if self._phase is Phase.CONNECTED:
            self._send(Envelope(Kind.GOODBYE))
            self._phase, self._phase_ends = Phase.CLOSING, time.monotonic() + GOODBYE_SECONDS
        elif self._phase is not Phase.CLOSING:
            self._end(None)

    def _end(self, error: CallError | None) -> None:
        if self._phase is not Phase.CLOSED:
            self._close_socket()
            self._phase = Phase.CLOSED
            self._on_closed(error)
