"""The settings, by precedence: flags, the variables of Callboard, those of this program, a JSON file, defaults."""

import argparse
import json
import logging
import os
from pathlib import Path


def load(address: str, address_variable: str, every_ms: float) -> argparse.Namespace:
    """Loads the settings, with these defaults for two of them, and starts the log."""
    parser = argparse.ArgumentParser(epilog="Each flag has a variable, such as POSITION_EVERY_MS for --every-ms.")
    parser.add_argument("--config", help="JSON file with settings")
    parser.add_argument("--address", default=address, help="address of the broker")
    parser.add_argument("--log", default="info", help="log level: error, warning, info, debug, or off")
    parser.add_argument("--every-ms", type=float, default=every_ms, help="interval of the steps or requests")
    parser.add_argument("--degrees", type=float, default=5.0, help="size of a step")
    parser.add_argument("--watch", action="store_true", help="client: read a stream of positions")
    names = ("config", "address", "log", "every_ms", "degrees")
    variables = {
        name: os.environ[f"POSITION_{name.upper()}"] for name in names if f"POSITION_{name.upper()}" in os.environ
    }
    if os.environ.get(address_variable):
        variables["address"] = os.environ[address_variable]
    parser.set_defaults(**variables)
    config = parser.parse_args().config
    file = json.loads(Path(config).read_text()) if config else {}
    if unknown := file.keys() - set(names):
        parser.error(f"{config} has unknown settings: {', '.join(sorted(unknown))}")
    parser.set_defaults(**{**file, **variables})
    settings = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL if settings.log == "off" else settings.log.upper())
    return settings
