"""The team's identity provider (OpenID Connect): where it is, where people sign in, and who came back.

Authorization code with PKCE. The protocol's words are Authlib's, the requests our own (`fetch`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from easel.gateway.access.oidc.client_secret import SecretMissing
from easel.gateway.access.oidc.http import HttpFailed, ProviderHttp
from easel.gateway.access.oidc.id_token import BadToken, Expected, UnknownKey, verified
from easel.gateway.config import Members, reached_safely
from easel.gateway.errors import LoginFailed, provider_failed
from easel.remark import remark, said_by

# Seconds: how long what the provider says of itself is believed, how long while it does not answer, and how
# soon one that failed is asked again.
_FRESH = 3600.0
_STALE = 24 * 3600.0
_AGAIN = 10.0
_PLACES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_SCOPE = "openid email"


@dataclass
class _Kept:
    """Something that was fetched, and when; or the reason why not."""

    value: dict[str, Any] | None = None
    at: float = 0.0
    failed: LoginFailed | None = None
    failed_at: float = 0.0


class Provider:
    """One provider, for one client of it."""

    def __init__(self, members: Members, secret: Callable[[], Awaitable[str | None]]) -> None:
        self.members = members
        self._secret = secret
        self._known_secret: tuple[str | None] | None = None
        self._fetch = ProviderHttp()
        self._metadata, self._keys = _Kept(), _Kept()
        self._lock = asyncio.Lock()

    async def authorization(
        self, redirect_uri: str, state: str, nonce: str, verifier: str, prompt: str | None
    ) -> str:
        """The address where a person signs in. Raises LoginFailed."""
        metadata = await self._discovered()
        return str(
            prepare_grant_uri(
                metadata["authorization_endpoint"], self.members.client_id, "code", redirect_uri, _SCOPE,
                state, nonce=nonce, prompt=prompt, code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )  # fmt: skip

    async def came_from(self, issuer: str | None) -> bool:
        """Whether an answer is this provider's, by RFC 9207: a provider that says so always does."""
        metadata = await self._discovered()
        if issuer is None:
            return metadata.get("authorization_response_iss_parameter_supported") is not True
        return issuer == self.members.issuer

    async def claims(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> dict[str, Any]:
        """Who came back with a code: the claims of their ID token, with the mail address. Raises
        LoginFailed."""
        metadata = await self._discovered()
        answer = await self._exchange(metadata, code, redirect_uri, verifier)
        access = answer.get("access_token")
        access = access if isinstance(access, str) and access.isascii() else None
        expected = Expected(self.members.issuer, self.members.client_id, nonce, access)
        try:
            claims = await self._verified(metadata, answer.get("id_token"), expected)
        except BadToken as error:
            raise self._failed(
                remark("id_token_worthless", "its ID token does not count: {why}", why=error)
            ) from None
        # Not beside xms_edov, which the ID token says of its own address and of no other.
        told_there = self.members.verified_by == "email_verified" and "userinfo_endpoint" in metadata
        if "email" not in claims and access is not None and told_there:
            # OpenID Connect Core 5.4: what a scope asks for may be told there only.
            claims |= await self._asked(metadata["userinfo_endpoint"], access, claims["sub"])
        return claims

    async def _verified(self, metadata: dict[str, Any], token: object, expected: Expected) -> dict[str, Any]:
        try:
            return verified(token, await self._keyring(metadata, _FRESH), expected)
        except UnknownKey:
            # It may have new keys. The token is its own answer, so nobody else makes us ask.
            return verified(token, await self._keyring(metadata, 0.0), expected)

    async def _exchange(
        self, metadata: dict[str, Any], code: str, redirect_uri: str, verifier: str
    ) -> dict[str, Any]:
        secret = await self._client_secret()
        methods = metadata.get("token_endpoint_auth_methods_supported")
        # Basic is what OpenID Connect takes for granted.
        basic = not isinstance(methods, list) or "client_secret_basic" in methods or not methods
        how = "none" if secret is None else "client_secret_basic" if basic else "client_secret_post"
        body = prepare_token_request(
            "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier
        )
        try:
            where, headers, body = ClientAuth(self.members.client_id, secret, how).prepare(
                "POST", metadata["token_endpoint"],
                {"Content-Type": "application/x-www-form-urlencoded;charset=UTF-8"}, body,
            )  # fmt: skip
        except UnicodeError:
            raise self._failed(
                remark("secret_letters", "the client's secret has letters that HTTP cannot carry")
            ) from None
        status, answer = await self._ask("POST", where, body=body, headers=headers)
        if status != 200:
            error = _words(answer.get("error"))
            if error == "invalid_grant":
                words = "this sign-in is used up or took too long; sign in again"
                raise LoginFailed(400, remark("login_late", words))
            if error in ("invalid_client", "unauthorized_client"):
                # Perhaps it was changed meanwhile.
                self._known_secret = None
            said = f"{error} {_words(answer.get('error_description'))}".strip()
            # It may have been given the secret back.
            raise self._failed(_answered(where, status, said.replace(secret, "…") if secret else said))
        return answer

    async def _asked(self, where: str, access: str, subject: str) -> dict[str, Any]:
        status, answer = await self._ask("GET", where, headers={"Authorization": f"Bearer {access}"})
        if status != 200 or answer.get("sub") != subject:
            words = "{place} answered {status}, and not about who signed in"
            raise self._failed(remark("provider_nobody", words, place=where, status=str(status)))
        return {name: answer[name] for name in ("email", "email_verified") if name in answer}

    async def _client_secret(self) -> str | None:
        if self._known_secret is None:
            try:
                self._known_secret = (await self._secret(),)
            except SecretMissing as error:
                raise self._failed(said_by(error)) from None
        return self._known_secret[0]

    async def _discovered(self) -> dict[str, Any]:
        where = self.members.issuer.rstrip("/") + "/.well-known/openid-configuration"
        return await self._kept(self._metadata, where, self._sound, _FRESH)

    async def _keyring(self, metadata: dict[str, Any], fresh: float) -> list[Any]:
        found = await self._kept(self._keys, metadata["jwks_uri"], self._has_keys, fresh)
        return list(found["keys"])

    async def _kept(
        self, kept: _Kept, where: str, check: Callable[[str, dict[str, Any]], None], fresh: float
    ) -> dict[str, Any]:
        async with self._lock:
            now = time.monotonic()
            if kept.value is not None and now - kept.at < fresh:
                return kept.value
            usable = kept.value if now - kept.at < _STALE else None
            if kept.failed is not None and now - kept.failed_at < _AGAIN:
                if usable is not None:
                    return usable
                raise kept.failed
            try:
                status, answer = await self._ask("GET", where)
                if status != 200:
                    raise self._failed(_answered(where, status, ""))
                check(where, answer)
            except LoginFailed as error:
                kept.failed, kept.failed_at = error, time.monotonic()
                if usable is not None:
                    return usable
                raise
            kept.value, kept.at, kept.failed = answer, time.monotonic(), None
            return answer

    def _sound(self, where: str, metadata: dict[str, Any]) -> None:
        issuer = metadata.get("issuer")
        if issuer != self.members.issuer:
            words = (
                "{place} is of another issuer, {issuer}; members.issuer is {expected} and must be the same "
                "to the letter"
            )
            there, expected = repr(_words(issuer)), repr(self.members.issuer)
            raise self._failed(remark("provider_issuer", words, place=where, issuer=there, expected=expected))
        # To this machine only from this machine: a provider elsewhere must not point us inwards.
        inside = self.members.issuer.startswith("http://")
        for name in (*_PLACES, "userinfo_endpoint"):
            if (name in _PLACES or name in metadata) and not reached_safely(
                metadata.get(name), loopback=inside
            ):
                words = "{place}: {name} is not an https address: {found}"
                found = repr(_words(metadata.get(name)))
                raise self._failed(remark("provider_no_https", words, place=where, name=name, found=found))

    def _has_keys(self, where: str, answer: dict[str, Any]) -> None:
        if not isinstance(answer.get("keys"), list):
            raise self._failed(remark("provider_no_keys", "{place} has no list of keys", place=where))

    async def _ask(
        self, method: str, url: str, *, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        try:
            return await self._fetch(method, url, body=body, headers=headers)
        except HttpFailed as error:
            raise self._failed(said_by(error)) from None

    def _failed(self, detail: str) -> LoginFailed:
        return provider_failed(self.members.provider, remark("sign_on", "single sign-on: {why}", why=detail))


def _answered(where: str, status: int, said: str) -> str:
    """What a provider answered that gave no token, and what it usually means."""
    place = where.partition("?")[0]
    if said.startswith(("invalid_client", "unauthorized_client")):
        words = (
            "{place} answered {status} {said}: see that members.client_id and the client's secret are those "
            "that it shows"
        )
        return remark("provider_client", words, place=place, status=str(status), said=said)
    if said:
        words = "{place} answered {status} {said}"
        return remark("provider_answered_so", words, place=place, status=str(status), said=said)
    return remark("provider_answered", "{place} answered {status}", place=place, status=str(status))


def _words(value: object) -> str:
    """Something of the provider's for a log: short and printable."""
    text = value if isinstance(value, str) else "" if value is None else type(value).__name__
    return "".join(letter for letter in text if letter.isprintable())[:200]
