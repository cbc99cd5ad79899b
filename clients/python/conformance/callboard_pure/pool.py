"""What a pool gives its workers (PROTOCOL.md section 17)."""

from __future__ import annotations

import contextlib
import os
import threading

BACKEND = "tcp://127.0.0.1:5560"
LIFELINE_EXIT = 129


def variable(name: str) -> str | None:
    """Returns the value of an environment variable. An empty one counts as absent."""
    return os.environ.get(f"CALLBOARD_{name}") or None


def authkey_from_environment() -> bytes | None:
    """Returns the first key of CALLBOARD_AUTHKEY, which has the form of a key file (17.2)."""
    for line in (variable("AUTHKEY") or "").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        while line.startswith(("id=", "roles=")):
            line = line.partition(" ")[2].lstrip()
        return line.removeprefix("key=").lstrip().encode()
    return None


def watch_lifeline() -> bool:
    """Starts a thread that exits this process when its pool is gone (17.3). Returns whether there is a lifeline."""
    descriptor, _, inode = (variable("LIFELINE") or "").partition(":")
    if not (descriptor.isdecimal() and inode.isdecimal()):
        return False
    path = f"/dev/fd/{int(descriptor)}"
    try:
        if os.stat(path).st_ino != int(inode):
            return False  # another file has this number: the pipe was not inherited
        pipe = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    threading.Thread(target=_wait_for_end, args=(pipe,), name="callboard-lifeline", daemon=True).start()
    return True


def _wait_for_end(pipe: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(pipe, 64):
            pass
    os._exit(LIFELINE_EXIT)
