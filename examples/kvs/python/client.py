"""A client of the key-value store that counts views. Its calls have an affinity key: one worker gets all of them.

python client.py tcp://127.0.0.1:5559 1000

If the broker requires authentication, set CALLBOARD_AUTHKEY.
"""

import sys

import callboard

address = sys.argv[1] if len(sys.argv) > 1 else None
times = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000

try:
    with callboard.Client(address) as client:
        kvs = client.service("kvs", key="views")
        views = 0
        for _ in range(times):
            views = kvs.inc("views")
        print(f"{views} views after the last of mine")
except callboard.Error as error:
    sys.exit(f"error: {error}")
