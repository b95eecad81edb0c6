"""What somebody was let in by.

Every request that passes the door keeps its right: when that ends, so does the request (`relay`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ANONYMOUS = "anonymous"
# Seconds. A month; a session in use is renewed when half of it has passed.
MAX_AGE = 30 * 24 * 3600
# Not renewed: who left the team is out by then, as the provider is asked anew.
MEMBER_MAX_AGE = 12 * 3600

Kind = Literal["token", "member", "anonymous", "operator", "pass"]


@dataclass(frozen=True)
class Right:
    """A token's, a member's, a visitor's of a public endpoint, the local operator's, or a pass's.

    `token` is the token's id, the `Members.fingerprint` of a member or the id of the operator's key. With
    `session` it came by a browser's session, begun at `began`. `until` is when it ends by itself; times are
    Unix seconds. `by` is what a pass was made with.
    """

    kind: Kind
    endpoint: str
    name: str
    token: str = ""
    session: str = ""
    began: float = 0.0
    until: float | None = None
    by: Right | None = None
