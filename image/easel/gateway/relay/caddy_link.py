"""How Caddy and the gateway speak."""

from __future__ import annotations

from dataclasses import dataclass

from easel.gateway.relay.relay import Relay


@dataclass(frozen=True)
class CaddyLink:
    """Caddy asks with `key` at `address`, where the console is as well, and brings the bytes of what may pass
    to `relay`."""

    key: str
    address: str
    relay: Relay
