"""Whether a right still holds."""

from __future__ import annotations

import time
from collections.abc import Callable

from easel.gateway.access.ended_sessions import EndedSessions
from easel.gateway.access.right import Right
from easel.gateway.access.tokens import Tokens
from easel.gateway.config import Members


class Rights:
    """Says what holds. `public` says whether an endpoint takes anybody; `operator` is the id of the local
    operator's key."""

    def __init__(
        self, tokens: Tokens, ended: EndedSessions | None = None, *,
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
