"""Asks the identity provider: with an end in time and size, and never led elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from easel.remark import figure, remark

# Seconds for one answer as a whole, and for each of its steps; bytes of its body. Entra's keys are 30 kB.
_WHOLE = 8.0
_STEP = 5.0
_LIMIT = 512 * 1024


class HttpFailed(Exception):
    """No usable answer, in words for the operator."""


class ProviderHttp:
    """HTTP for one provider."""

    def __init__(self) -> None:
        # Reading all certificate authorities takes a while: once.
        self._tls = httpx.create_ssl_context()

    async def __call__(
        self, method: str, url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer. Raises HttpFailed; a status of 400 and more with JSON is an
        answer."""
        try:
            async with asyncio.timeout(_WHOLE):
                status, content = await self._answer(method, url, body, headers or {})
        except TimeoutError:
            words = "{place} did not answer within {n} s"
            text = remark("provider_silent", words, place=_place(url), n=figure(_WHOLE, ".0f"))
            raise HttpFailed(text) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HttpFailed(f"{_place(url)}: {type(error).__name__}: {error}"[:300]) from None
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            words = "{place} answered {status} without a JSON object"
            raise HttpFailed(remark("provider_no_json", words, place=_place(url), status=str(status)))
        return status, data

    async def _answer(
        self, method: str, url: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        asked = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        # A company's proxy is for the world, not for this machine.
        outside = urlsplit(url).scheme == "https"
        async with (
            httpx.AsyncClient(
                verify=self._tls, timeout=_STEP, follow_redirects=False, trust_env=outside
            ) as client,
            client.stream(method, url, content=body, headers=asked) as answer,
        ):
            if answer.is_redirect:
                words = (
                    "{place} redirects to {there}, which is not followed: name the address that answers "
                    "itself"
                )
                there = _place(answer.headers.get("location", ""))
                raise HttpFailed(remark("provider_redirects", words, place=_place(url), there=there))
            if answer.headers.get("content-encoding", "identity") != "identity":
                words = "{place} answered compressed, which was not asked for"
                raise HttpFailed(remark("provider_compressed", words, place=_place(url)))
            content = b""
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > _LIMIT:
                    words = "{place} answered more than {n} bytes"
                    raise HttpFailed(
                        remark("provider_too_much", words, place=_place(url), n=figure(_LIMIT, "d"))
                    )
            return answer.status_code, content


def _place(url: str) -> str:
    """An address without its query, where secrets might be."""
    return url.partition("?")[0][:200]
