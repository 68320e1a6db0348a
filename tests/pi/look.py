"""Print the response of a page on loopback as JSON; runs on the board."""

import json
import sys
import time
import urllib.error
import urllib.request

ADDRESS = "http://127.0.0.1:8080"


def get(path: str) -> tuple[int, bytes]:
    """Status and body; status 0 if the server does not answer."""
    try:
        with urllib.request.urlopen(ADDRESS + path, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError:
        return 0, b""


end = time.monotonic() + 60
while get("/frame.jpg")[0] != 200 and time.monotonic() < end:
    time.sleep(0.5)
picture = get("/frame.jpg")[1]
json.dump(
    {
        "page": get("/")[1].decode(),
        "state": json.loads(get("/api/state")[1]),
        "health": get("/health")[0],
        "picture": [picture[:2].hex(), picture[-2:].hex()],
    },
    sys.stdout,
)
