"""Slows down who shows wrong tokens. A right token always passes: an office behind one address must not be
locked out by one colleague's old script, and 256 random bits are not guessed at any speed."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque

_REMEMBERED = 10_000


class RateLimit:
    """Failed sign-ins per network address in a sliding window of `seconds`."""

    def __init__(self, allowed: int = 10, seconds: float = 60.0) -> None:
        self._allowed = allowed
        self._seconds = seconds
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def fail(self, address: str) -> int:
        """Note a failure. 0 if the caller may try again at once, else the seconds to wait."""
        now = time.monotonic()
        times = self._failed.setdefault(network(address), deque())
        self._failed.move_to_end(network(address))
        if len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)
        while times and now - times[0] > self._seconds:
            times.popleft()
        if len(times) >= self._allowed:
            return math.ceil(self._seconds - (now - times[0]))
        times.append(now)
        return 0


def network(address: str) -> str:
    """Who somebody is to the network: an IPv4 address, or the /64 that one household or machine gets in
    IPv6."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return "unknown"
    if ip.version == 6 and not ip.ipv4_mapped:
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
