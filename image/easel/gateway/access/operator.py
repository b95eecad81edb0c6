"""The local operator: who reads EASEL_HOME, and so the gateway's own key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from easel.gateway.access.right import Right
from easel.gateway.config import CONSOLE

# What `X-Easel-User` says then. No token can be called so: their names begin with a letter or a digit.
OPERATOR = "@operator"


@dataclass(frozen=True)
class Operator:
    """The key of one gateway process, and the right that it gives, which ends with the process."""

    token: str
    right: Right

    @classmethod
    def new(cls) -> Operator:
        """With a key that nobody had before."""
        token = secrets.token_urlsafe(32)
        return cls(
            token, Right("operator", CONSOLE, OPERATOR, hashlib.sha256(token.encode()).hexdigest()[:16])
        )
