"""A webhook: where somebody wants to be told that their job has ended, and what they are told by.

As Standard Webhooks 1.0.0 has it (github.com/standard-webhooks): a POST of JSON, its `webhook-signature`
`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64, by a secret that both sides have.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import structlog
from pydantic import BaseModel, Field

from easel.studio.engine import InvalidRequest

log = structlog.get_logger(__name__)

HEADER = "Easel-Webhook"
SECRET = "EASEL_WEBHOOK_SECRET"  # noqa: S105 - the setting's name
_PREFIX = "whsec_"
# What the specification asks for.
_SHORTEST, _LONGEST = 24, 64
_LONGEST_URL = 2000


class WebhookDelivery(BaseModel):
    """How far the telling is. `at` is when it is tried next, in Unix seconds."""

    url: str
    state: Literal["waiting", "delivered", "given_up"] = Field(
        "waiting", description="given_up: nobody answered 2xx within the tries"
    )
    tries: int = 0
    at: float = 0.0
    trouble: str = Field("", description="of the last try, in words")


class WebhookSecret:
    """The secret that this endpoint signs with."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> WebhookSecret | None:
        """That of EASEL_WEBHOOK_SECRET; None without. One that is none is passed over, and logged."""
        said = environment.get(SECRET, "").strip()
        if not said:
            return None
        try:
            key = base64.b64decode(said.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not said.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
            allowed = f"{_PREFIX} and {_SHORTEST} to {_LONGEST} random bytes in base64"
            log.warning("setting passed over", name=SECRET, allowed=allowed)
            return None
        return cls(key)

    def headers(self, id: str, at: int, body: bytes) -> dict[str, str]:
        """What makes `body` believable: sent as `id` at `at`, Unix seconds."""
        signed = hmac.new(self._key, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
        return {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }


def wanted(url: str | None, secret: WebhookSecret | None, *, plain: bool) -> WebhookDelivery | None:
    """What a request's header asks for. `plain`: http:// may be asked too. Raises InvalidRequest."""
    if url is None:
        return None
    if secret is None:
        raise InvalidRequest(
            HEADER, url[:80], f"none: webhooks are signed, and the operator has not set {SECRET}"
        )
    if len(url) > _LONGEST_URL:
        raise InvalidRequest(HEADER, f"{len(url)} letters", f"an address of up to {_LONGEST_URL}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    schemes = ("https", "http") if plain else ("https",)
    if not host or parts.scheme not in schemes or "@" in parts.netloc or not url.isascii():
        raise InvalidRequest(HEADER, url[:80], "an https:// address without a name and a password")
    return WebhookDelivery(url=url)
