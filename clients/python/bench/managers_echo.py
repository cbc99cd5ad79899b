"""multiprocessing.managers: a server without a broker."""

from __future__ import annotations

import sys
from multiprocessing.managers import BaseManager
from typing import Any

import load

AUTHKEY = b"a key of the bench"


class Echo:
    def echo(self, message: Any) -> Any:
        return message


class Manager(BaseManager):
    pass


def main() -> None:
    if sys.argv[1] == "server":
        Manager.register("Echo", Echo)
        server = Manager(("127.0.0.1", 0), AUTHKEY).get_server()
        host, port = server.address  # type: ignore[misc]
        print(f"ready {host}:{port}", flush=True)
        server.serve_forever()
    options = load.options("role", "address")
    host, port = options.address.split(":")
    Manager.register("Echo")
    manager = Manager((host, int(port)), AUTHKEY)
    manager.connect()
    echo = manager.Echo()  # type: ignore[attr-defined]
    load.one_after_the_other(echo.echo, options.seconds)


if __name__ == "__main__":
    main()
