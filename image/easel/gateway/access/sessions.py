"""Browser sessions: a signed cookie per endpoint that says which token or member it came of and which browser
it is.

The cookie carries all, and what it names must still hold at each request (`Rights`): its token valid, a
member's provider, client and domains those that it was begun with, and itself not ended before its time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace

from itsdangerous import BadData, URLSafeTimedSerializer

from easel.gateway.access.cookies import cookie_name, cookie_values, set_cookie
from easel.gateway.access.keyring import Keyring
from easel.gateway.access.right import ANONYMOUS, MAX_AGE, MEMBER_MAX_AGE, Kind, Right
from easel.gateway.access.rights import Rights
from easel.gateway.access.tokens import Token
from easel.gateway.config import Members


@dataclass(frozen=True)
class Session:
    """One browser at one endpoint."""

    endpoint: str
    token: str  # the token's name, ANONYMOUS, or the member's
    token_id: str
    browser: str
    started: float
    member: bool = False
    # Signed with a secret that was replaced since.
    aged: bool = False

    @property
    def user(self) -> str:
        """The name that its jobs and pictures belong to: two browsers with one link are two people, a member
        is the same everywhere."""
        if self.member:
            return self.token
        return f"{self.token}/{self.browser}"

    @property
    def right(self) -> Right:
        """What its requests pass by."""
        kind: Kind = "member" if self.member else "anonymous" if self.token == ANONYMOUS else "token"
        lasts = MEMBER_MAX_AGE if self.member else MAX_AGE
        return Right(
            kind, self.endpoint, self.token, self.token_id, self.browser, self.started, self.started + lasts
        )

    def renewed(self) -> Session:
        """The same with all of its time before it."""
        return replace(self, started=time.time())

    @property
    def stale(self) -> bool:
        """Whether it is time to give the browser a fresh cookie."""
        return not self.member and (self.aged or time.time() - self.started > MAX_AGE / 2)


class Sessions:
    """Makes and reads session cookies."""

    def __init__(self, keyring: Keyring, rights: Rights) -> None:
        self._keyring = keyring
        self._rights = rights

    def start(self, endpoint: str, token: Token | None, browser: str | None = None) -> Session:
        """A session of `token`, or an anonymous one; `browser` keeps who somebody is across sessions."""
        name, token_id = (token.name, token.id) if token else (ANONYMOUS, "")
        return Session(endpoint, name, token_id, browser or secrets.token_urlsafe(9), time.time())

    def welcome(self, endpoint: str, member: str, members: Members) -> Session:
        """A session of a member, who signed in as `members` says."""
        return Session(
            endpoint, member, members.fingerprint, secrets.token_urlsafe(9), time.time(), member=True
        )

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
                token, token_id, browser = (str(fields[key]) for key in ("m" if member else "t", "k", "b"))
                # The signature's own time is in whole seconds: too coarse for "signed in after that".
                started = float(fields.get("s", signed.timestamp()))
            except (BadData, KeyError, TypeError, IndexError, ValueError):
                continue
            session = Session(
                endpoint, token, token_id, browser, started, member=member, aged=self._aged(endpoint, value)
            )
            if self._rights.hold(session.right):
                return session
        return None

    def cookie(self, session: Session, *, secure: bool) -> str:
        """The `Set-Cookie` header's value: for this host only, unseen by scripts, not sent along by other
        sites."""
        value = self._serializer(session.endpoint).dumps(
            {
                "m" if session.member else "t": session.token,
                "k": session.token_id,
                "b": session.browser,
                "s": round(session.started, 3),
            }
        )
        lasts = MEMBER_MAX_AGE if session.member else MAX_AGE
        return set_cookie(session.endpoint, value, lasts, secure=secure)

    def _serializer(self, endpoint: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._keyring.counting, salt=_salt(endpoint))

    def _aged(self, endpoint: str, value: str) -> bool:
        retired = self._keyring.retired
        if not retired:
            return False
        return URLSafeTimedSerializer(retired, salt=_salt(endpoint)).loads_unsafe(value)[0]


def _salt(endpoint: str) -> str:
    return f"easel session {endpoint}"
