"""Sessions that were ended before their time: signed out of, here or everywhere, or taken back.

A session's cookie carries all of it, so ending one means to remember that it is over, for as long as the
cookie would have lasted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from easel.gateway.access.right import MAX_AGE, MEMBER_MAX_AGE, Right
from easel.gateway.disk import RecordList, settle

What = Literal["session", "token", "member"]


@dataclass(frozen=True)
class End:
    """What is over: one `session` (`<endpoint> <browser>`), all sessions so far of a `token` (`<endpoint>
    <its id>`) or of a `member` (their address). Times are Unix seconds; after `until` nothing needs it."""

    what: What
    whose: str
    at: float
    until: float


class EndedSessions:
    """Remembers ends, in memory at once and in the store as soon as it takes them."""

    def __init__(self, store: RecordList[End]) -> None:
        self._store = store
        self._seen: object = self  # unlike anything `changed` returns
        self._known: dict[tuple[What, str], End] = {}
        # Not written yet: a store that does not answer keeps nobody signed in.
        self._pending: dict[tuple[What, str], End] = {}

    def session(self, right: Right) -> bool:
        """End the session that `right` is of, in all copies of its cookie; whether that is written."""
        lasts = MEMBER_MAX_AGE if right.kind == "member" else MAX_AGE
        return self._end("session", f"{right.endpoint} {right.session}", lasts)

    def member(self, name: str) -> bool:
        """End all of a member's sessions, at all endpoints; whether that is written."""
        return self._end("member", name, MEMBER_MAX_AGE)

    def token(self, endpoint: str, token_id: str) -> bool:
        """End all sessions that were begun with a token, which itself stays good; whether that is written."""
        return self._end("token", f"{endpoint} {token_id}", MAX_AGE)

    def covers(self, right: Right) -> bool:
        """Whether the session of `right` is over."""
        if not right.session:
            return False
        asked: list[tuple[What, str]] = [("session", f"{right.endpoint} {right.session}")]
        if right.kind == "member":
            asked.append(("member", right.name))
        elif right.token:
            asked.append(("token", f"{right.endpoint} {right.token}"))
        known = self._fresh()
        for key in asked:
            end = self._pending.get(key) or known.get(key)
            # One browser's name is never given again; the others begin new sessions.
            if end is not None and (end.what == "session" or right.began <= end.at):
                return True
        return False

    @property
    def settled(self) -> bool:
        """Whether all is written."""
        return not self._pending

    def settle(self) -> bool:
        """Write what is not written yet; whether all is. Blocks."""
        now = time.time()

        def add(ends: list[End], waiting: dict[tuple[What, str], End]) -> list[End]:
            kept = {(end.what, end.whose): end for end in ends if end.until > now}
            return list((kept | waiting).values())

        return settle(self._store, self._pending, add)

    def _end(self, what: What, whose: str, lasts: float) -> bool:
        now = time.time()
        self._pending[what, whose] = End(what, whose, now, now + lasts)
        return self.settle()

    def _fresh(self) -> dict[tuple[What, str], End]:
        seen = self._store.changed()
        if seen != self._seen:
            self._known = {(end.what, end.whose): end for end in self._store.known()}
            self._seen = seen
        return self._known
