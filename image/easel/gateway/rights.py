"""What somebody was let in by, and whether it still holds.

Every request that passes the door keeps its right: when that ends, so does the request (`relay`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from easel.gateway.ended import Ended
    from easel.gateway.membership import Members
    from easel.gateway.tokens import Tokens

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


class Rights:
    """Says what holds. `public` says whether an endpoint takes anybody; `operator` is the id of the local
    operator's key."""

    def __init__(
        self, tokens: Tokens, ended: Ended | None = None, *,
        members: Callable[[], Members | None] = lambda: None,
        public: Callable[[str], bool] = lambda endpoint: False, operator: str = "",
    ) -> None:  # fmt: skip
        self._tokens = tokens
        self._ended = ended
        self._members = members
        self._public = public
        self._operator = operator

    def hold(self, right: Right) -> bool:
        """Whether `right` is good now."""
        if right.until is not None and time.time() >= right.until:
            return False
        if self._ended is not None and self._ended.covers(right):
            return False
        match right.kind:
            case "token":
                return self._tokens.holds(right.endpoint, right.name, right.token)
            case "member":
                members = self._members()
                return members is not None and members.fingerprint == right.token
            case "anonymous":
                return self._public(right.endpoint)
            case "operator":
                return bool(self._operator) and right.token == self._operator
            case "pass":
                return right.by is not None and self.hold(right.by)
