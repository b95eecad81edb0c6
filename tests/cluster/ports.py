"""Ports for programs of a cluster, of which a second one may be starting on this machine at this moment."""

from __future__ import annotations

import random

from easel.gateway.process.ports import is_free

# Below those of other tests, which take theirs in turn: two that begin together would take the same ones, and
# a control plane needs a dozen, some of them seconds after they were found free.
_RANGE = range(9000, 15000)
_told: set[int] = set()


def cluster_port() -> int:
    """A port of loopback that nobody listens on, by chance."""
    while True:
        port = random.choice(_RANGE)
        if port not in _told and is_free(port, "127.0.0.1"):
            _told.add(port)
            return port
