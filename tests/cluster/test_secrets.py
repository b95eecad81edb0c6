"""Texts in Secrets that several gateways write at once, against the real API: none over another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from easel.gateway.access import Token, Tokens
from easel.gateway.disk import RecordList
from easel.gateway.errors import GatewayError
from easel.gateway.kubernetes import KubernetesApi, SecretObject
from tests.cluster.conftest import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.anyio]
NAME = "easel-tokens"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def apis(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[KubernetesApi]]:
    """Two gateways' ways to the API."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    apis = [KubernetesApi(namespace) for _ in range(2)]
    for api in apis:
        await api.open()
    yield apis
    for api in apis:
        await api.close()


def store(api: KubernetesApi) -> RecordList[Token]:
    return RecordList(SecretObject(api, NAME, "tokens.json"), "tokens", Token)


async def test_no_token_is_lost_when_two_gateways_make_them(
    cluster: Cluster, namespace: str, apis: list[KubernetesApi]
) -> None:
    """Twenty at each, all at once: forty, and both know all."""
    cluster.api.create(_secret(namespace))
    lists = [Tokens(store(api)) for api in apis]
    begin = threading.Barrier(2)

    def make(number: int) -> None:
        begin.wait()
        for one in range(20):
            lists[number].new("studio", f"t-{number}-{one}")

    await asyncio.gather(*(asyncio.to_thread(make, number) for number in range(2)))
    for api in apis:
        found, revision = await asyncio.to_thread(store(api).read)
        assert len({token.name for token in found}) == 40
        assert revision


async def test_the_first_is_written_once(cluster: Cluster, namespace: str, apis: list[KubernetesApi]) -> None:
    """Of an empty Secret, which the program makes: who comes second is told so; what else it has stays."""
    cluster.api.create(_secret(namespace))
    first, second = (SecretObject(api, NAME, "tokens.json") for api in apis)
    assert await asyncio.to_thread(second.read) == (b"", "")
    written = await asyncio.to_thread(first.swap, "one", "")
    assert written
    assert await asyncio.to_thread(second.swap, "two", "") == ""
    assert await asyncio.to_thread(second.read) == (b"one", written)
    found = cluster.api.get("v1", "Secret", NAME, namespace)
    assert found["metadata"]["labels"] == {"whose": "program"}


async def test_a_secret_that_is_missing_is_said(namespace: str, apis: list[KubernetesApi]) -> None:
    """The program makes it, not the gateway, which may make none."""
    with pytest.raises(
        GatewayError, match=f"Secret {namespace}/{NAME} cannot be read: .* `pulumi up` makes it"
    ):
        await asyncio.to_thread(SecretObject(apis[0], NAME, "tokens.json").read)


def _secret(namespace: str) -> dict[str, object]:
    labels = {"whose": "program"}
    metadata = {"name": NAME, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
