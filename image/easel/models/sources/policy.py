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
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that IANA has given out of IPv6; the rest is reserved, local or to come."""
_ISATAP = 0x00005EFE
"""RFC 5214: the middle of an address whose end is an IPv4 one. Its second bit says whether that is unique."""
# What Python calls global and is not; older ones lack the newer entries of IANA's registries.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's platform: "What is IP address 168.63.129.16?"
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890; Oracle's metadata of old is 192.0.0.192
        "192.88.99.0/24",  # relays of 6to4, given up by RFC 7526
        "2001::/23",  # IETF protocol assignments, RFC 2928
        "3fff::/20",  # documentation, RFC 9637
    )
)
METADATA_NAMES = ("metadata", "instance-data", "metadata.google.internal", "metadata.tencentyun.com",
                  "instance-data.ec2.internal", "metadata.goog", "metadata.azure.internal")  # fmt: skip
"""Names of where clouds tell a machine its secrets, wherever they lead: a resolver may be told to answer for
them with anything. Their addresses are not public by their ranges; the tests hold that."""


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What may be fetched. `private`: from addresses that are not public, and over plain http.

    `own`: `file:` and `s3://`, which use what this machine may read.
    """

    private: bool = False
    own: bool = False


OPERATOR = FetchPolicy(private=True, own=True)
"""For the command line and the spec."""
VISITOR = FetchPolicy()
"""For page and API."""


def is_public(address: Address) -> bool:
    """Whether the address is one of the open internet, whatever it is wrapped in.

    Public is what IANA's registries call globally reachable, less what they or a cloud have taken since.
    """
    inner = _inner(address)
    if inner is not None:
        return is_public(inner)
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one stands for: mapped and compatible (RFC 4291), 6to4 (RFC 3056), Teredo
    (RFC 4380), NAT64 (RFC 6052), ISATAP (RFC 5214)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    low = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64 or int(address) >> 32 & 0xFDFFFFFF == _ISATAP:
        return low
    if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, "IPv4-compatible"
        return low
    return None
