"""Asks replicas over HTTP: with an end in time and size, as it is, never led elsewhere.

A replica runs files of strangers. Its answers need neither end nor be small: one without an end held up the
look at all replicas, one that unpacks to gigabytes took the gateway's memory.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

REPORT = 64 * 1024
"""Bytes of a report on itself at most."""


@dataclass(frozen=True)
class ReplicaAnswer:
    """What a replica answered."""

    status: int
    kind: str
    """Its media type, as the replica calls it."""
    content: bytes

    def json(self) -> dict[str, Any]:
        """The content as an object of JSON. Raises ValueError for anything else."""
        try:
            found = json.loads(self.content)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


class ReplicaHttp:
    """Keeps the connections of whoever asks. `timeout` is seconds for one answer as a whole."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._client: httpx.AsyncClient | None = None

    async def get(
        self, url: str, limit: int, headers: Mapping[str, str] | None = None
    ) -> ReplicaAnswer | None:
        """The answer with its first `limit` bytes as content, or None: none came in time, or a longer one."""
        answer = await self.head(url, limit, headers)
        return answer if answer is not None and len(answer.content) <= limit else None

    async def head(
        self, url: str, limit: int = 0, headers: Mapping[str, str] | None = None
    ) -> ReplicaAnswer | None:
        """The answer's head, and of its body what is read until it is known whether `limit` bytes hold it."""
        client = await self._connections()
        import httpx

        asked = {"Accept-Encoding": "identity", **(headers or {})}
        content = bytearray()
        try:
            async with asyncio.timeout(self.timeout), client.stream("GET", url, headers=asked) as answer:
                kind = answer.headers.get("content-type", "")
                if limit:
                    # As it came over the wire: what is packed although it was not asked for is no JSON.
                    async for chunk in answer.aiter_raw():
                        content += chunk
                        if len(content) > limit:
                            break
                return ReplicaAnswer(answer.status_code, kind, bytes(content))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            return None

    async def close(self) -> None:
        """Drop the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _connections(self) -> httpx.AsyncClient:
        if self._client is None:
            # Only now, when the door is open, and beside the loop: on a busy machine it takes a while.
            await asyncio.to_thread(importlib.import_module, "httpx")
        import httpx

        if self._client is None:
            # `verify`: there is no TLS here, and reading all certificate authorities takes as long again.
            self._client = httpx.AsyncClient(timeout=self.timeout, trust_env=False, verify=False)  # noqa: S501
        return self._client
