"""Carries each request that was let through to its replica, and ends it when its right ends.

The door admits a request and gives Caddy its number; by that number its bytes are taken here.
"""

from easel.gateway.relay.caddy_link import CaddyLink
from easel.gateway.relay.relay import HEADER, Relay
