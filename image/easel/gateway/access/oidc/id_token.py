"""ID tokens (OpenID Connect Core 1.0, 3.1.3.7): signed by the provider, for us, for this very sign-in."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from easel.remark import remark

# Never `none`, and never one with a shared key: a public key would be taken for it.
_KINDS: Mapping[str, type[RSAKey] | type[ECKey]] = {"RS256": RSAKey, "ES256": ECKey}
_RSA_BITS = 2048
# Seconds that two clocks may differ by, and that may pass between a token's making and our reading it.
_SKEW = 60
_OLDEST = 600
_LONGEST = 64 * 1024


class BadToken(Exception):
    """Why an ID token counts for nothing, in words for the operator."""


class UnknownKey(BadToken):
    """Signed by a key that is not among those known: the provider may have changed them."""


@dataclass(frozen=True)
class Expected:
    """What an ID token must say."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = None


def verified(token: object, keys: Sequence[Any], expected: Expected) -> dict[str, Any]:
    """The claims of an ID token that is genuine, in time, for us and for this sign-in. Raises BadToken."""
    if not isinstance(token, str) or not token.isascii() or len(token) > _LONGEST:
        words = "the answer has no ID token: the client must be allowed the scope openid"
        raise BadToken(remark("id_token_missing", words))
    header, claims = _signed(token, keys)
    for moment in ("exp", "iat", "nbf"):
        value = claims.get(moment, 0)
        # JSON as Python reads it has Infinity, and true is a number.
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise BadToken(remark("id_token_moment", "{name} is not a moment", name=moment))
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise BadToken(remark("id_token_sub", "sub is missing"))
    now = int(time.time())
    must: dict[str, Any] = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    about = {
        "nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token,
    }  # fmt: skip
    try:
        CodeIDToken(claims, header, must, about).validate(now, _SKEW)
    except JoseError as error:
        words = "{why}; if it is about time, see that the gateway's clock is right"
        raise BadToken(remark("id_token_invalid", words, why=str(error)[:220])) from None
    except (ValueError, TypeError, AttributeError) as error:
        words = "a claim is of the wrong kind: {why}"
        raise BadToken(remark("id_token_claim", words, why=str(error)[:270])) from None
    if claims["iat"] < now - _OLDEST:
        words = "iat: it was made more than {n} s ago"
        raise BadToken(remark("id_token_old", words, n=_OLDEST))
    return claims


def _signed(token: str, keys: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError):
        raise BadToken(remark("id_token_no_jwt", "it is no JSON Web Token")) from None
    algorithm, name = header.get("alg"), header.get("kid")
    kind = _KINDS.get(algorithm) if isinstance(algorithm, str) else None
    if kind is None or algorithm is None:
        words = "signed with {algorithm}: only {known} count"
        known = ", ".join(_KINDS)
        raise BadToken(remark("id_token_algorithm", words, algorithm=repr(algorithm)[:40], known=known))
    candidates = [
        key
        for key in keys
        if isinstance(key, dict)
        and key.get("kty") == kind.key_type
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kind is RSAKey or key.get("crv") == "P-256")
        and (name is None or key.get("kid") == name)
    ]
    for candidate in candidates:
        try:
            public = kind.import_key({part: candidate[part] for part in candidate.keys() & _PUBLIC})
            if isinstance(public, RSAKey) and public.raw_value.key_size < _RSA_BITS:
                continue
            found = jwt.decode(token, public, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
        return dict(found.header), dict(found.claims)
    if candidates and name is not None:
        raise BadToken(remark("id_token_signature", "the signature is not the provider's"))
    words = "signed by a key that the provider's jwks_uri does not have"
    raise UnknownKey(remark("id_token_key", words))


_PUBLIC = {"kty", "n", "e", "crv", "x", "y"}
