"""A client that continues after errors. It requests the position once a second, or reads the newest positions.

python client.py
python client.py --watch --every-ms 250
"""

import argparse
import time

import callboard

parser = argparse.ArgumentParser()
parser.add_argument("--watch", action="store_true")
parser.add_argument("--every-ms", type=float, default=1000)
options = parser.parse_args()
every = options.every_ms / 1000


def show(reading: dict[str, object], missed: int) -> None:
    print(
        f"x {reading['x']:+.3f}, y {reading['y']:+.3f}: {reading['message']}; missed {missed}",
        flush=True,
    )


with callboard.Client() as client:
    while True:
        try:
            if not options.watch:
                show(client.call("position.position", "the example", timeout=every), 0)
            else:
                with client.stream(
                    "position.watch", timeout=None, conflate=True
                ) as newest:
                    for reading in newest:
                        show(reading, newest.dropped)
                        time.sleep(every)
        except callboard.Error as error:
            print("no position:", error.code, flush=True)
        time.sleep(every)
