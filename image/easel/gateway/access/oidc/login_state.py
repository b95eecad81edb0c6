"""Trips to the identity provider and back, each bound to the browser that began it.

Nothing is stored: a short-lived signed cookie holds a key of the browser's, `state` is signed and names that
key's hash, and nonce and PKCE verifier are computed from key and trip. So several tabs may be on their way at
once, and whoever reads `state` on its way learns neither.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from itsdangerous import BadData

from easel.gateway.access import (
    MEMBER_MAX_AGE,
    ForwardedRequest,
    Keyring,
    SkewedSerializer,
    cookie_name,
    cookie_values,
    local_path,
    set_cookie,
)
from easel.gateway.errors import LoginFailed
from easel.remark import remark

# Seconds that a person may take to sign in.
_LASTS = 600
_LONGEST_TARGET = 1500
_REMEMBERED = 20_000


@dataclass(frozen=True)
class LoginState:
    """One trip. `quiet`: without a question to the person; `cookie` is the `Set-Cookie` value it begins
    with."""

    state: str
    nonce: str
    verifier: str
    target: str
    quiet: bool
    cookie: str = ""


class LoginStates:
    """Begins trips and knows them again."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._used: OrderedDict[str, float] = OrderedDict()

    def begin(
        self, endpoint: str, request: ForwardedRequest, target: str, about: str, *, quiet: bool
    ) -> LoginState:
        """A new trip. `about` names what it is only good for: provider, client and domains."""
        # The same key for tabs that begin at once: the last cookie must not undo the others.
        key = next((key for key, _, age in self._cookies(endpoint, request) if age < _LASTS), "")
        key = key or secrets.token_urlsafe(32)
        number = secrets.token_urlsafe(16)
        target = local_path(target) if len(target) <= _LONGEST_TARGET else "/"
        secret = self._keyring.newest
        fields = {"e": endpoint, "i": number, "c": _hash(key), "n": target, "q": quiet, "s": _hash(secret)}
        state = self._states(about).dumps(fields)
        nonce, verifier = _derived("nonce", secret, key, number), _derived("verifier", secret, key, number)
        cookie = self._cookie(endpoint, request, key, left=False)
        return LoginState(state, nonce, verifier, target, quiet, cookie)

    def begun_at(self, state: str, about: str) -> str:
        """The endpoint that a trip began at. Raises LoginFailed for what is no trip of ours.

        Nothing more is known by it: whose browser it was, that endpoint can tell by its own cookie.
        """
        return str(self._read(state, about)["e"])

    def back(self, endpoint: str, request: ForwardedRequest, state: str, about: str) -> LoginState:
        """The trip that ends here, once. Raises LoginFailed for one of another browser, endpoint or time."""
        fields = self._read(state, about)
        number, digest, target = (str(fields[part]) for part in ("i", "c", "n"))
        quiet = fields["q"] is True
        if fields["e"] != endpoint:
            raise _not_begun()
        keys = [key for key, _, age in self._cookies(endpoint, request) if age < _LASTS]
        key = next((key for key in keys if hmac.compare_digest(_hash(key), digest)), None)
        if key is None:
            words = "this sign-in was begun in another browser or too long ago; sign in again"
            raise LoginFailed(400, remark("login_other_browser", words))
        if not self._first_use(number):
            words = "this sign-in was used already; sign in again"
            raise LoginFailed(400, remark("login_used", words))
        # The one that it was begun with, which another may have replaced meanwhile.
        secret = next((one for one in self._keyring.counting if _hash(one) == fields["s"]), "")
        if not secret:
            raise _not_begun()
        nonce, verifier = _derived("nonce", secret, key, number), _derived("verifier", secret, key, number)
        return LoginState(state, nonce, verifier, local_path(target), quiet)

    def left(self, endpoint: str, request: ForwardedRequest) -> str:
        """The `Set-Cookie` value for somebody who signed out: nobody signs them in again unasked."""
        return self._cookie(endpoint, request, secrets.token_urlsafe(32), left=True)

    def unasked(self, endpoint: str, request: ForwardedRequest) -> bool:
        """Whether this browser may be sent on a quiet trip: not just after another, nor after signing out."""
        return not any(left or age < _LASTS for _, left, age in self._cookies(endpoint, request))

    def _read(self, state: str, about: str) -> dict[str, object]:
        try:
            fields = self._states(about).loads(state, max_age=_LASTS)
        except BadData:
            raise _not_begun() from None
        if not isinstance(fields, dict) or not {"e", "i", "c", "n", "q", "s"} <= fields.keys():
            raise _not_begun()
        return fields

    def _first_use(self, number: str) -> bool:
        now = time.monotonic()
        while self._used and now - next(iter(self._used.values())) > _LASTS + 60:
            self._used.popitem(last=False)
        if number in self._used:
            return False
        if len(self._used) >= _REMEMBERED:
            self._used.popitem(last=False)
        self._used[number] = now
        return True

    def _cookies(self, endpoint: str, request: ForwardedRequest) -> Iterator[tuple[str, bool, float]]:
        header = request.headers.get("cookie", "")
        for value in cookie_values(header, cookie_name(_name(endpoint), secure=request.secure)):
            try:
                fields, signed = self._keys(endpoint).loads(
                    value, max_age=MEMBER_MAX_AGE, return_timestamp=True
                )
                yield str(fields["b"]), fields["l"] is True, time.time() - signed.timestamp()
            except (BadData, KeyError, TypeError):
                continue

    def _cookie(self, endpoint: str, request: ForwardedRequest, key: str, *, left: bool) -> str:
        value = self._keys(endpoint).dumps({"b": key, "l": left})
        lasts = MEMBER_MAX_AGE if left else _LASTS
        return set_cookie(_name(endpoint), value, lasts, secure=request.secure)

    def _keys(self, endpoint: str) -> SkewedSerializer:
        return SkewedSerializer(self._keyring.counting, salt=f"easel journey {endpoint}")

    def _states(self, about: str) -> SkewedSerializer:
        return SkewedSerializer(self._keyring.counting, salt=f"easel state {about}")


def _derived(what: str, secret: str, key: str, number: str) -> str:
    digest = hmac.new(secret.encode(), f"{what} {key} {number}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _not_begun() -> LoginFailed:
    words = "this sign-in took too long, or was not begun here; sign in again"
    return LoginFailed(400, remark("login_not_begun", words))


def _name(endpoint: str) -> str:
    # No endpoint's session is called so: names of endpoints have no underscore.
    return f"{endpoint}_journey"


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]
