"""``python -m callboard worker MODULE:WORKER`` runs a worker."""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from ._worker import Worker


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m callboard", description="Runs a worker.")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker", help="run the worker of a module, until SIGTERM or Ctrl-C")
    worker.add_argument("app", metavar="MODULE:WORKER", help="such as shop.orders:app; WORKER is app by default")
    options = parser.parse_args()
    try:
        app = load(options.app)
    except ValueError as error:
        parser.error(str(error))
    app.run()


def load(path: str) -> Worker:
    """Imports a worker.

    Raises ValueError if there is none at this path. An error inside of the module is raised as it is.
    """
    module_name, _, name = path.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ValueError(f"no module {module_name!r} in {os.getcwd()} or the installed packages") from error
    app: object = module
    for part in (name or "app").split("."):
        app = getattr(app, part, None)
    if not isinstance(app, Worker):
        raise ValueError(f"{name or 'app'!r} of {module_name} is not a callboard.Worker")
    return app


if __name__ == "__main__":
    main()
