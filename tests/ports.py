"""Free ports of loopback, for tests that run side by side.

Below what the kernel hands out by itself (32768 and up on Linux): a port of that range, found free, can be
an outgoing connection's a moment later, and the server it was found for does not start. Each worker has a
range of its own, and walks through it, so that no two tests are told the same.
"""

from __future__ import annotations

import itertools
import os

from easel.gateway.process.ports import is_free

_FIRST, _EACH = 15000, 2000
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_walk = itertools.cycle(range(_FIRST + _worker * _EACH, _FIRST + (_worker + 1) * _EACH))


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)


def free_ports(count: int = 3) -> int:
    """The first of some ports in a row that nobody listens on."""
    for _ in range(_EACH):
        row = [next(_walk) for _ in range(count)]
        if row[-1] - row[0] == count - 1 and all(is_free(port, "127.0.0.1") for port in row):
            return row[0]
    raise AssertionError("no free ports")
