"""Whose work it is: the name that the gateway vouches for, and the folder that belongs to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

HEADER = "x-easel-user"
# The studio on its own, without a gateway in front, belongs to whoever started it.
LOCAL = "local"
ANONYMOUS = "anonymous"

Role = Literal["operators", "members", "tokens", "visitors"]


class NotYours(Exception):
    """The caller may not do this; the message says who may."""


def owner_of(headers: Mapping[str, str]) -> str:
    """The caller's name from a request's headers (lower-case names), `local` without one."""
    return headers.get(HEADER, "").strip() or LOCAL


def is_anonymous(owner: str) -> bool:
    """Whether it is nobody known: a visitor of a public endpoint, as the gateway calls them."""
    return owner.partition("/")[0] == ANONYMOUS


def role_of(owner: str) -> Role:
    """What somebody is by how they came in, as the gateway's names tell: nobody names a token with an `@`, a
    member is an address, and the operator's name begins with the sign."""
    if owner == LOCAL or owner.startswith("@"):
        return "operators"
    if is_anonymous(owner):
        return "visitors"
    return "members" if "@" in owner else "tokens"


def folder_name(owner: str) -> str:
    """A folder name for an owner: readable, the same every time, never anything but one plain path part.

    The hash keeps two owners apart whose names read alike; names are the gateway's, never trusted as a path.
    """
    readable = re.sub(r"[^a-z0-9]+", "-", owner.lower())[:32].strip("-")
    digest = hashlib.sha256(owner.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{readable}-{digest}" if readable else digest
