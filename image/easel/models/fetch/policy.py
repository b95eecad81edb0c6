"""Who may send this machine where.

The command line and the spec trust their operator: private and loopback addresses, `file:`, `s3://` and plain
http are theirs to use. Page and API pass on the words of people who may not even be known: from them only
https to public addresses, unless the operator's setting says otherwise.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be fetched. `private`: from addresses that are not public, and over plain http.

    `own`: `file:` and `s3://`, which use what this machine may read.
    """

    private: bool = False
    own: bool = False


OPERATOR = Policy(private=True, own=True)
"""For the command line and the spec."""
VISITOR = Policy()
"""For page and API."""


def is_public(address: Address) -> bool:
    """Whether the address is one of the open internet, whatever it is wrapped in."""
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, "IPv4-compatible"
        return ipaddress.IPv4Address(int(address))
    return None
