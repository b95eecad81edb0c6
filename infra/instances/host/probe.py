"""`probe.py CONFIG`: does the container answer? Exit 0: ready; 1: not yet; 3: it says that it failed.

`probe.py CONFIG idle`, on the gateway: does nobody draw? Exit 0: nobody; 1: somebody, or it does not say.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from typing import Any

SECONDS = 5


def main() -> None:
    """Print a sentence unless it is ready."""
    with open(sys.argv[1], encoding="utf-8") as text:
        config = json.load(text)
    try:
        if sys.argv[2:] == ["idle"]:
            code, words = idle()
        else:
            code, words = door(config) if os.environ["ROLE"] == "gateway" else replica(config["container"])
    except urllib.error.HTTPError as refused:
        code, words = 1, f"it answers {refused.code}"
    except (OSError, ValueError) as error:
        code, words = 1, f"it does not answer yet, {getattr(error, 'reason', error)}"
    print(words)
    sys.exit(code)


def replica(container: dict[str, Any]) -> tuple[int, str]:
    """Easel's studio says how far it is; an own container answers on its health path or connects."""
    address, port = os.environ["ADDRESS"], int(container["port"])
    if container.get("load") == "easel":
        load = json.loads(get(f"http://{address}:{port}/easel/load"))
        code = {"ready": 0, "failed": 3}.get(load["phase"], 1)
        return code, f"{load['phase']} {load.get('detail', '')}".strip()
    if container.get("health"):
        try:
            get(f"http://{address}:{port}{container['health']}")
        except urllib.error.HTTPError as answer:
            if answer.code >= 400:
                raise
    else:
        socket.create_connection((address, port), SECONDS).close()
    return 0, ""


def status() -> dict[str, Any]:
    """What the gateway tells its operator."""
    with open("/data/easel/run/gateway.json", encoding="utf-8") as text:
        operator = json.load(text)
    return dict(json.loads(get(f"{operator['url']}/api/status", operator["token"])))


def idle() -> tuple[int, str]:
    """Nobody draws, and nobody waits for an endpoint that wakes."""
    for one in status()["endpoints"]:
        if any(one.get(what) for what in ("running", "queued", "waiting")):
            return 1, f"{one['name']} is drawing"
    return 0, ""


def door(config: dict[str, Any]) -> tuple[int, str]:
    """The gateway answers its operator, and Caddy listens for the world."""
    status()
    socket.create_connection(("127.0.0.1", int(config["console"]["port"])), SECONDS).close()
    return 0, ""


class Unled(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which is then an answer as it is."""

    def redirect_request(self, *_: Any) -> None:
        """None: not followed."""


def get(url: str, token: str | None = None) -> bytes:
    """The body of a 2xx answer; proxies of the host's environment are not asked."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Unled)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=SECONDS) as answer:  # noqa: S310
        return bytes(answer.read(1 << 20))


main()
