"""Who asks, as something that the receiver verifies: one signed assertion per request.

The gateway signs (EdDSA over Ed25519, RFC 8037, as a JWT); studio and console verify, and hold public keys
alone. A header that somebody dropped, forged or kept from elsewhere is then no identity at all, where a plain
name would have been one: a caller once had `X-Easel-User` dropped on its way and was taken for the operator.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

HEADER = "X-Easel-Assertion"
USER_HEADER = "X-Easel-User"

# What a gateway tells the studio that it starts: the file of its public keys, the endpoint's name, and paths
# that need no assertion (a host asks them of its container before any gateway does).
KEYS_VARIABLE = "EASEL_ASSERTION_KEYS"
AUDIENCE_VARIABLE = "EASEL_ASSERTION_AUDIENCE"
OPEN_VARIABLE = "EASEL_ASSERTION_OPEN"

LASTS = 60
"""Seconds. Looked at when a request begins: a stream may go on for longer."""
SKEW = 30
"""Seconds that the clocks of gateway and receiver may differ by."""

_ALGORITHM = "Ed25519"
# Nothing else that is ever signed with these keys can be taken for an assertion.
_TYPE = "easel-assertion+jwt"
_LONGEST = 4096


class NotVouched(Exception):
    """An assertion that counts for nothing; why, for a log and never for the caller."""


class Signer:
    """Signs with the key that follows from a secret: whoever has the secret has the same key."""

    def __init__(self, secret: str) -> None:
        seed = HKDF(SHA256(), 32, None, b"easel assertion key").derive(secret.encode())
        self._key = OKPKey.import_key(_private(seed))
        self._kid = self._key.thumbprint()

    def sign(self, user: str, audience: str) -> str:
        """That `user` asks something of the endpoint `audience`, now."""
        now = int(time.time())
        header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": self._kid}
        claims = {"sub": user, "aud": audience, "iat": now, "exp": now + LASTS}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])

    def public(self) -> dict[str, Any]:
        """The public key as a JWK."""
        return {**self._key.as_dict(private=False), "kid": self._kid, "alg": _ALGORITHM, "use": "sig"}


def key_set(signers: Iterable[Signer]) -> str:
    """The public keys of `signers` as a JSON Web Key Set (RFC 7517)."""
    return json.dumps({"keys": [signer.public() for signer in signers]}, sort_keys=True)


class KeyFile:
    """A key set in a file that is replaced as a whole: read again when it is another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._keys: KeySet | None = None

    def __call__(self) -> KeySet:
        """The keys. Raises NotVouched while there are none to go by."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if self._keys is None or seen != self._seen:
                self._keys, self._seen = parsed(self._path.read_text(encoding="utf-8")), seen
        except OSError as error:
            raise NotVouched(f"the gateway's keys cannot be read: {error}") from None
        return self._keys


def parsed(text: str) -> KeySet:
    """A key set from its text. Raises NotVouched."""
    try:
        keys = [key for key in json.loads(text)["keys"] if key.get("crv") == "Ed25519"]
        return KeySet([OKPKey.import_key(key) for key in keys])
    except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotVouched(f"the gateway's keys are no key set: {error}") from None


class Verifier:
    """Knows genuine assertions for one endpoint."""

    def __init__(self, keys: Callable[[], KeySet], audience: str) -> None:
        self._keys = keys
        self._audience = audience

    def user(self, assertions: Iterable[str]) -> str:
        """Who asks, by the values of a request's assertion headers. Raises NotVouched for anything but one
        that is genuine, in time and for this endpoint."""
        match list(assertions):
            case [one]:
                return self._user(one)
            case several:
                raise NotVouched(f"{len(several)} assertions in the place of one")

    def _user(self, token: str) -> str:
        if not token.isascii() or len(token) > _LONGEST:
            raise NotVouched("no assertion")
        try:
            found = jwt.decode(token, self._keys(), algorithms=[_ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise NotVouched(f"not signed by the gateway: {type(error).__name__}") from None
        claims = found.claims
        if found.header.get("typ") != _TYPE or not isinstance(claims, dict):
            raise NotVouched("signed, but no assertion")
        if claims.get("aud") != self._audience:
            raise NotVouched(f"for another endpoint, {claims.get('aud')!r:.60}")
        began, ends = _moment(claims.get("iat")), _moment(claims.get("exp"))
        if not (began - SKEW <= time.time() <= ends + SKEW and ends - began <= LASTS):
            raise NotVouched("stale; if it is not, the clocks differ")
        user = claims.get("sub")
        # It becomes a header's value.
        if not isinstance(user, str) or not user.strip() or not (user.isascii() and user.isprintable()):
            raise NotVouched("it names nobody")
        return user


def _moment(value: object) -> float:
    # JSON as Python reads it has Infinity, and true is a number.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotVouched("a moment that is none")
    return float(value)


def _private(seed: bytes) -> dict[str, str | list[str]]:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "d": _text(seed), "x": _text(public)}


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
