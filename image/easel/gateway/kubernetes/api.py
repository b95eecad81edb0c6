"""The API server of one namespace, asked for JSON as it is.

By the official client's asyncio flavour: a dozen watches stay open all the time, which would be as many
threads otherwise, and none of those could be ended while it waits. Of the client the configuration (a pod's
own, with its token read anew; a kubeconfig with its plugins) and the connections are taken; its models are
not: objects stay what the API sent, and reading a thousand pods makes no hundred thousand objects.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, TypeVar

from easel.gateway.errors import GatewayError
from easel.gateway.kubernetes.errors import KubernetesError, message_of

Object = dict[str, Any]
_T = TypeVar("_T")
# Seconds for a connection, and for an answer that is no watch.
_CONNECT, _ANSWER = 5.0, 20.0
# Seconds without a word after which a watch's connection is dead: bookmarks come about each minute.
_SILENCE = 150.0
_MERGE = "application/merge-patch+json"


class KubernetesApi:
    """Connections to the API server; `namespace` is the team's."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Find the API server: a pod's own, else the KUBECONFIG's. Raises GatewayError."""
        # Beside the loop: all models of the API come along, which takes half a second.
        client = await asyncio.to_thread(importlib.import_module, "kubernetes.aio.client")
        config = importlib.import_module("kubernetes.aio.config")
        configuration = client.Configuration()
        try:
            try:
                config.load_incluster_config(client_configuration=configuration)
            except config.ConfigException:
                await config.load_kube_config(client_configuration=configuration)
        except (config.ConfigException, OSError, TypeError) as error:
            raise GatewayError(
                f"there is no way to Kubernetes: neither a pod's service account nor a KUBECONFIG ({error})"
            ) from None
        self._loop = asyncio.get_running_loop()
        self._client = client.ApiClient(configuration)

    async def close(self) -> None:
        """Drop the connections."""
        if self._client is not None:
            await self._client.close()

    def path(self, resource: str, name: str = "", *, group: str = "") -> str:
        """The path of a resource of the namespace: `pods`, or `deployments` of the group `apps/v1`."""
        root = f"/apis/{group}" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{resource}{f'/{name}' if name else ''}"

    async def get(self, path: str, **query: str) -> Object:
        """One object, or a list of them. Raises KubernetesError."""
        return _object(await self._ask("GET", path, query=query))

    async def text(self, path: str, **query: str) -> str:
        """What is no JSON, such as a log. Raises KubernetesError."""
        return (await self._ask("GET", path, query=query)).decode("utf-8", "replace")

    async def put(self, path: str, content: Object) -> Object:
        """Replace an object if it is still at the resourceVersion in `content`. Raises KubernetesError."""
        return _object(await self._ask("PUT", path, content=content))

    async def post(self, path: str, content: Object) -> Object:
        """Make an object. Raises KubernetesError."""
        return _object(await self._ask("POST", path, content=content))

    async def patch(self, path: str, content: Object) -> Object:
        """Change the fields of `content` alone (RFC 7386: null takes one away). Raises KubernetesError."""
        return _object(await self._ask("PATCH", path, content=content, kind=_MERGE))

    async def delete(self, path: str, content: Object) -> None:
        """End an object; `content` are DeleteOptions. Raises KubernetesError."""
        await self._ask("DELETE", path, content=content)

    async def watch(self, path: str, seconds: int, **query: str) -> AsyncIterator[Object]:
        """The changes from `resourceVersion` on, for so long at most. Raises KubernetesError."""
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        answer = await self._open("GET", path, query=asked, timeout=(_CONNECT, _SILENCE))
        rest = b""
        try:
            async for part in answer.content.iter_any():
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _object(line)
        except ValueError as error:
            raise KubernetesError(f"watch {path}", 0, f"no JSON: {error}") from None
        except _lost() as error:
            raise KubernetesError(f"watch {path}", 0, repr(error)) from None
        finally:
            answer.close()

    def wait_for(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """The outcome of a call, for who is in a thread: what is written by `Document`s blocks."""
        if self._loop is None:
            coroutine.close()
            raise GatewayError("the API server is not known yet")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CONNECT + _ANSWER)

    async def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None,
        content: Object | None = None, kind: str = "application/json",
    ) -> bytes:  # fmt: skip
        answer = await self._open(method, path, query=query, content=content, kind=kind)
        try:
            return bytes(await answer.read())
        except _lost() as error:
            raise KubernetesError(f"{method} {path}", 0, repr(error)) from None
        finally:
            answer.release()

    async def _open(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None,
        content: Object | None = None, kind: str = "application/json",
        timeout: float | tuple[float, float] = _ANSWER,
    ) -> Any:  # fmt: skip
        what = f"{method} {path}"
        headers = {"Accept": "application/json, */*", "Content-Type": kind}
        try:
            answer = await self._client.call_api(
                path, method, query_params=dict(query or {}), header_params=headers, body=content,
                auth_settings=["BearerToken"], _preload_content=False, _request_timeout=timeout,
            )  # fmt: skip
            if answer.status < 300:
                return answer
            body = await answer.read()
        except _lost() as error:
            raise KubernetesError(what, 0, repr(error)) from None
        raise KubernetesError(what, answer.status, message_of(body))


def _lost() -> tuple[type[Exception], ...]:
    """What a connection that is lost is told by."""
    import aiohttp

    return (OSError, TimeoutError, aiohttp.ClientError)


def _object(body: bytes) -> Object:
    found = json.loads(body)
    if not isinstance(found, dict):
        raise KubernetesError("read", 0, f"no object: {body[:80]!r}")
    return found
