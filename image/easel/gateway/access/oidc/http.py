"""Asks the identity provider: with an end in time and size, and never led elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

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
            raise HttpFailed(f"{_place(url)} did not answer within {_WHOLE:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HttpFailed(f"{_place(url)}: {type(error).__name__}: {error}"[:300]) from None
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise HttpFailed(f"{_place(url)} answered {status} without a JSON object")
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
                raise HttpFailed(
                    f"{_place(url)} redirects to {_place(answer.headers.get('location', ''))}, "
                    "which is not followed: name the address that answers itself"
                )
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise HttpFailed(f"{_place(url)} answered compressed, which was not asked for")
            content = b""
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > _LIMIT:
                    raise HttpFailed(f"{_place(url)} answered more than {_LIMIT} bytes")
            return answer.status_code, content


def _place(url: str) -> str:
    """An address without its query, where secrets might be."""
    return url.partition("?")[0][:200]
