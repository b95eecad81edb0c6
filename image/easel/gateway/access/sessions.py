"""Browser sessions: a signed cookie per endpoint that says which token or member it came of and which browser
it is.

The cookie carries all, and what it names must still hold at each request (`Rights`): its token valid, a
member's provider, client and domains those that it was begun with, and itself not ended before its time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace

from itsdangerous import BadData

from easel.gateway.access.cookies import cookie_name, cookie_values, set_cookie
from easel.gateway.access.keyring import Keyring
from easel.gateway.access.right import ANONYMOUS, MAX_AGE, MEMBER_MAX_AGE, Kind, Right
from easel.gateway.access.rights import Rights
from easel.gateway.access.serializer import SkewedSerializer
from easel.gateway.access.tokens import Token
from easel.gateway.config import Members


@dataclass(frozen=True)
class Session:
    """One browser at one endpoint, and what its requests pass by."""

    right: Right
    # Signed with a secret that was replaced since.
    aged: bool = False

    @property
    def member(self) -> bool:
        """Whether it is a member's."""
        return self.right.kind == "member"

    @property
    def user(self) -> str:
        """The name that its jobs and pictures belong to: two browsers with one link are two people, a member
        is the same everywhere."""
        return self.right.name if self.member else f"{self.right.name}/{self.right.session}"

    def renewed(self) -> Session:
        """The same with all of its time before it."""
        now = time.time()
        return replace(self, right=replace(self.right, began=now, until=now + MAX_AGE))

    @property
    def stale(self) -> bool:
        """Whether it is time to give the browser a fresh cookie."""
        return not self.member and (self.aged or time.time() - self.right.began > MAX_AGE / 2)


class Sessions:
    """Makes and reads session cookies."""

    def __init__(self, keyring: Keyring, rights: Rights) -> None:
        self._keyring = keyring
        self._rights = rights

    def start(self, endpoint: str, token: Token | None, browser: str | None = None) -> Session:
        """A session of `token`, or an anonymous one; `browser` keeps who somebody is across sessions."""
        browser = browser or secrets.token_urlsafe(9)
        if token is None:
            return Session(_right("anonymous", endpoint, ANONYMOUS, "", browser, time.time()))
        return Session(_right("token", endpoint, token.name, token.id, browser, time.time()))

    def welcome(self, endpoint: str, member: str, members: Members) -> Session:
        """A session of a member, who signed in as `members` says."""
        browser = secrets.token_urlsafe(9)
        return Session(_right("member", endpoint, member, members.fingerprint, browser, time.time()))

    def read(self, endpoint: str, cookies: str, *, secure: bool = False) -> Session | None:
        """The session in a `Cookie` header, if it is of this endpoint, intact, and what it is of still holds.

        A cookie of another endpoint is refused under any name: the endpoint is part of the key that signs it.
        """
        for value in cookie_values(cookies, cookie_name(endpoint, secure=secure)):
            try:
                fields, signed = self._serializer(endpoint).loads(
                    value, max_age=MAX_AGE, return_timestamp=True
                )
                member = "m" in fields
                name, token, browser = (str(fields[key]) for key in ("m" if member else "t", "k", "b"))
                # The signature's own time is in whole seconds: too coarse for "signed in after that".
                began = float(fields.get("s", signed.timestamp()))
            except (BadData, KeyError, TypeError, IndexError, ValueError):
                continue
            kind: Kind = "member" if member else "anonymous" if name == ANONYMOUS else "token"
            right = _right(kind, endpoint, name, token, browser, began)
            if self._rights.hold(right):
                return Session(right, aged=self._aged(endpoint, value))
        return None

    def cookie(self, session: Session, *, secure: bool) -> str:
        """The `Set-Cookie` header's value: for this host only, unseen by scripts, not sent along by other
        sites."""
        right = session.right
        value = self._serializer(right.endpoint).dumps(
            {
                "m" if session.member else "t": right.name,
                "k": right.token,
                "b": right.session,
                "s": round(right.began, 3),
            }
        )
        lasts = MEMBER_MAX_AGE if session.member else MAX_AGE
        return set_cookie(right.endpoint, value, lasts, secure=secure)

    def _serializer(self, endpoint: str) -> SkewedSerializer:
        return SkewedSerializer(self._keyring.counting, salt=_salt(endpoint))

    def _aged(self, endpoint: str, value: str) -> bool:
        retired = self._keyring.retired
        if not retired:
            return False
        return SkewedSerializer(retired, salt=_salt(endpoint)).loads_unsafe(value)[0]


def _salt(endpoint: str) -> str:
    return f"easel session {endpoint}"


def _right(kind: Kind, endpoint: str, name: str, token: str, browser: str, began: float) -> Right:
    lasts = MEMBER_MAX_AGE if kind == "member" else MAX_AGE
    return Right(kind, endpoint, name, token, browser, began, began + lasts)
