"""How a cluster reaches one of several gateways, and how those reach each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Inner:
    """`name` is this gateway's among its peers; `host` and `port` are where it listens for the cluster.

    `others` gives the addresses of all gateways by name, this one perhaps among them; `elect` has one of them
    fetch models, and tells `hear` whether it is this one, until it is cancelled.
    """

    name: str
    host: str
    port: int
    others: Callable[[], Mapping[str, str]]
    elect: Callable[[Callable[[bool], None]], Awaitable[None]]
