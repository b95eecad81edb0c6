"""`python -m easel.studio.drain --port N --at-most SECONDS`: returns once the studio has nothing to do.

Kubernetes runs it in the container before SIGTERM, which gives pictures seven seconds only. Nobody sends new
work meanwhile: the gateway sees the pod's end.
"""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.request

# What the gateway sent just before it knew comes within this.
QUIET_SECONDS = 2.0
POLL_SECONDS = 1.0


def main() -> None:
    """Wait, and end with 0 in any case: what comes then is SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m easel.studio.drain", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where the studio listens")
    parser.add_argument("--at-most", type=float, required=True, metavar="SECONDS", help="how long to wait")
    asked = parser.parse_args()
    wait_until_idle(f"http://127.0.0.1:{asked.port}/easel/load", asked.at_most)


def wait_until_idle(load: str, at_most: float) -> bool:
    """Whether the studio at `load` came to rest within `at_most` seconds; one that is gone has."""
    end = time.monotonic() + at_most
    quiet_since: float | None = None
    while (now := time.monotonic()) < end:
        if _works(load):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = now
        elif now - quiet_since >= QUIET_SECONDS:
            return True
        time.sleep(POLL_SECONDS)
    return False


def _works(load: str) -> bool:
    try:
        with urllib.request.urlopen(load, timeout=5) as answer:  # noqa: S310 - of this container
            now = json.load(answer)
    except urllib.error.URLError as error:
        # Refused: nothing listens. Whoever answers late is at work.
        return not isinstance(error.reason, ConnectionRefusedError)
    except (OSError, ValueError):
        return True
    # A transfer of a file draws nothing and keeps `idle_seconds` at 0.
    return bool(now["running"] or now["queued"] or now["idle_seconds"] < QUIET_SECONDS)


if __name__ == "__main__":
    main()
