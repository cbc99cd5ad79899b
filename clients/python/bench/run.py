"""Calls a second from Python: Callboard beside multiprocessing.managers, grpcio, zerorpc and the conformance client.

    python bench/run.py [--seconds 3] [--repeats 3] [--only NAME...]

Every peer echoes a dictionary of three entries, through its own server process. The peers are interleaved: each round
measures every peer once, and the table has the medians of the rounds. A peer that is not installed is named.
Callboard's figures are through the broker; the others, but for the pure client, have no broker in between.
CALLBOARD_COMMAND is the path of a release build of the command, with the Rust echo worker in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUTSTANDING = (1, 64, 512)


@contextmanager
def process(*words: str, ready: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """Runs a process while its context lasts. Gives its line that starts with `ready`."""
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    assert child.stdout is not None
    try:
        for line in child.stdout:
            if line.startswith(ready):
                yield line.strip()
                break
        else:
            raise RuntimeError(f"{words} ended before it was ready")
    finally:
        child.terminate()
        child.wait()


class Peer:
    """One way to call, with the command of its client."""

    def __init__(
        self, name: str, outstanding: tuple[int, ...], *client: str, env: dict[str, str] | None = None
    ) -> None:
        self.name, self.outstanding, self.client, self.env = name, outstanding, client, env or {}

    def measure(self, outstanding: int, seconds: float) -> dict[str, float]:
        """Runs the client once."""
        words = [*self.client, "--outstanding", str(outstanding), "--seconds", str(seconds)]
        env = {**os.environ, **self.env}
        done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr}")
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return result


def callboard_peers(stack: ExitStack) -> Iterator[Peer]:
    """Callboard with a worker in Rust and one in Python, and the pure client of the conformance suite."""
    command = os.environ.get("CALLBOARD_COMMAND", str(HERE.parents[2] / "target" / "release" / "callboard"))
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    for worker in ("rust", "python"):
        addresses = [f"ipc://{folder}/{worker}-{side}" for side in ("front", "back")]
        flags = ["--frontend", addresses[0], "--backend", addresses[1]]
        stack.enter_context(process(command, "broker", *flags, ready="ready"))
        env = {"CALLBOARD_FRONTEND": addresses[0], "CALLBOARD_BACKEND": addresses[1]}
        words = (
            (command, "internal", "echo-worker") if worker == "rust" else (sys.executable, str(HERE / "echo_worker.py"))
        )
        served = subprocess.Popen(words, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
        stack.callback(served.wait)
        stack.callback(served.terminate)
        for style in ("call", "submit", "asyncio"):
            outstanding = OUTSTANDING if style != "call" else (1,)
            client = (sys.executable, str(HERE / "callboard_client.py"), style)
            yield Peer(f"callboard, {style}, {worker} worker", outstanding, *client, env=env)
        if worker == "rust":
            pure = (sys.executable, str(HERE / "pure_client.py"))
            yield Peer("pure pyzmq and cbor2 client, rust worker", OUTSTANDING, *pure, env=env)


def rival_peers(stack: ExitStack) -> Iterator[Peer]:
    """Those rivals that are installed."""
    python = sys.executable
    for module, name, script, outstanding in (
        ("multiprocessing", "multiprocessing.managers", "managers_echo.py", (1,)),
        ("zerorpc", "zerorpc", "zerorpc_echo.py", OUTSTANDING),
        ("grpc", "grpcio, threads", "grpc_echo.py", (1, 64)),
        ("grpc", "grpcio, asyncio", "grpc_aio_echo.py", OUTSTANDING),
    ):
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
            print(f"{name} is not installed", file=sys.stderr)
            continue
        path = str(HERE / script)
        address = stack.enter_context(process(python, path, "server", ready="ready")).split()[1]
        yield Peer(name, outstanding, python, path, "client", address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="peers whose name contains one of these")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        peers = [*callboard_peers(stack), *rival_peers(stack)]
        if options.only:
            peers = [peer for peer in peers if any(word in peer.name for word in options.only)]
        results: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(options.repeats):
            for peer in peers:
                for outstanding in peer.outstanding:
                    result = peer.measure(outstanding, options.seconds)
                    results.setdefault((peer.name, outstanding), []).append(result)
    if options.json:
        print(json.dumps([{"peer": peer, "outstanding": n, "runs": runs} for (peer, n), runs in results.items()]))
        return
    print("| peer | outstanding | calls/s (lowest..highest) | client CPU s per 100k |\n|---|---|---|---|")
    for (name, outstanding), runs in results.items():
        rates = [run["rate"] for run in runs]
        cpu = statistics.median(run["cpu"] / run["calls"] * 1e5 for run in runs)
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f}..{max(rates):,.0f})"
        print(f"| {name} | {outstanding} | {spread} | {cpu:.2f} |")


if __name__ == "__main__":
    main()
