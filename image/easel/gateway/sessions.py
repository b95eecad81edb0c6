"""Browser sessions: a signed cookie per endpoint that says which token it came of and which browser it is.

Nothing is stored: the cookie carries all, and the token it names must still be valid at each request.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from itsdangerous import BadData, URLSafeTimedSerializer

from easel.gateway.tokens import Token, Tokens

ANONYMOUS = "anonymous"
# A month; a session in use is renewed when half of it has passed.
MAX_AGE = 30 * 24 * 3600


@dataclass(frozen=True)
class Session:
    """One browser at one endpoint."""

    endpoint: str
    token: str  # the token's name, or ANONYMOUS
    token_id: str
    browser: str
    started: float

    @property
    def user(self) -> str:
        """The name that its jobs and pictures belong to: two browsers with one link are two people."""
        return f"{self.token}/{self.browser}"

    @property
    def stale(self) -> bool:
        """Whether it is time to give the browser a fresh cookie."""
        return time.time() - self.started > MAX_AGE / 2


class Sessions:
    """Makes and reads session cookies."""

    def __init__(self, secret: str, tokens: Tokens) -> None:
        self._secret = secret
        self._tokens = tokens

    def start(self, endpoint: str, token: Token | None, browser: str | None = None) -> Session:
        """A session of `token`, or an anonymous one; `browser` keeps who somebody is across sessions."""
        name, token_id = (token.name, token.id) if token else (ANONYMOUS, "")
        return Session(endpoint, name, token_id, browser or secrets.token_urlsafe(9), time.time())

    def read(self, endpoint: str, cookies: str, *, public: bool, secure: bool = False) -> Session | None:
        """The session in a `Cookie` header, if it is of this endpoint, intact, and its token is still valid.

        A cookie of another endpoint is refused under any name: the endpoint is part of the key that signs it.
        """
        for value in _values(cookies, cookie_name(endpoint, secure=secure)):
            try:
                fields, signed = self._serializer(endpoint).loads(
                    value, max_age=MAX_AGE, return_timestamp=True
                )
                token, token_id, browser = (str(fields[key]) for key in ("t", "k", "b"))
            except (BadData, KeyError, TypeError, IndexError):
                continue
            known = public if token == ANONYMOUS else self._tokens.find(endpoint, token, token_id) is not None
            if known:
                return Session(endpoint, token, token_id, browser, signed.timestamp())
        return None

    def cookie(self, session: Session, *, secure: bool) -> str:
        """The `Set-Cookie` header's value: for this host only, unseen by scripts, not sent along by other
        sites."""
        value = self._serializer(session.endpoint).dumps(
            {"t": session.token, "k": session.token_id, "b": session.browser}
        )
        text = value if isinstance(value, str) else value.decode()
        parts = [
            f"{cookie_name(session.endpoint, secure=secure)}={text}",
            f"Max-Age={MAX_AGE}",
            "Path=/",
            "HttpOnly",
            "SameSite=Lax",
        ]
        return "; ".join([*parts, "Secure"] if secure else parts)

    def _serializer(self, endpoint: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret, salt=f"easel session {endpoint}")


def cookie_name(endpoint: str, *, secure: bool) -> str:
    """A name per endpoint: locally all endpoints share one host, and cookies do not see ports.

    With TLS it says `__Host-`: browsers take such a cookie from that very host alone, so that no sibling
    below the team's domain can put a session of its own in its place.
    """
    return f"{'__Host-' if secure else ''}easel_{endpoint}"


def _values(header: str, name: str) -> list[str]:
    """Every value of a cookie: a path or a parent domain may have set a second one of the same name."""
    found = []
    for part in header.split(";"):
        try:
            jar: SimpleCookie = SimpleCookie(part.strip())
        except CookieError:
            continue
        if name in jar:
            found.append(jar[name].value)
    return found
