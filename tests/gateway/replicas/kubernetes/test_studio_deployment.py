"""What is written to pods, so that the ReplicaSet ends the right one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from easel.gateway.config import ClusterDeployment, Container, Endpoint, Replicas
from easel.gateway.events import Events
from easel.gateway.replicas import ContainerProbe, OpenRequests, ReplicaTimeouts, Report, Work
from easel.gateway.replicas.kubernetes.namespace import Namespace
from easel.gateway.replicas.kubernetes.pod_state import DRAINING
from easel.gateway.replicas.kubernetes.studio_deployment import COST, StudioDeployment

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowApi:
    """Takes annotations of pods; the first write takes longer than the second."""

    def __init__(self) -> None:
        self.annotations: dict[str, dict[str, str | None]] = {"a": {}, "b": {}}
        self._pauses = [0.3]

    def path(self, kind: str, name: str = "", **rest: str) -> str:
        return name

    async def patch(self, path: str, change: dict[str, Any]) -> None:
        await asyncio.sleep(self._pauses.pop() if self._pauses else 0)
        self.annotations[path] |= change["metadata"]["annotations"]


class TwoPods:
    """A namespace with two pods that run, as it is followed."""

    trouble = ""

    def __init__(self, api: SlowApi) -> None:
        self.api = api

    def pods(self, endpoint: str) -> list[dict[str, Any]]:
        container = {"name": "studio", "state": {"running": {}}}
        return [
            {
                "metadata": {"name": name},
                "spec": {"nodeName": "node"},
                "status": {"phase": "Running", "podIP": ip, "containerStatuses": [container]},
            }
            for name, ip in (("a", "127.0.0.1"), ("b", "127.0.0.2"))
        ]

    def events(self, pod: str) -> list[dict[str, Any]]:
        return []

    def node(self, name: str) -> None:
        return None

    def deployment(self, name: str) -> None:
        return None

    def scaled(self, name: str) -> None:
        return None


class OneDraws(ContainerProbe):
    """`a` draws, `b` does not."""

    async def ask(self, endpoint: Endpoint, address: str) -> Report | None:
        running = int(address.startswith("127.0.0.1:"))
        return Report("ready", "", Work(running=running))


async def test_who_drains_goes_first_whatever_was_being_written() -> None:
    """That it draws was to cost more, and is still under way when it is to drain: the later word counts."""
    api = SlowApi()
    endpoint = Endpoint(
        name="studio", port=8080, replicas=Replicas(min=0, max=2), container=Container(port=7860),
        deployment=ClusterDeployment(name="studio-studio"),
    )  # fmt: skip
    deployment = StudioDeployment(
        endpoint, namespace=cast(Namespace, TwoPods(api)), events=Events(), timeouts=ReplicaTimeouts(),
        probe=OneDraws(OpenRequests(), 1.0, None),
    )  # fmt: skip
    await deployment.look()
    await asyncio.sleep(0)  # the first write begins
    await deployment.drain("a")
    await asyncio.sleep(0.5)
    assert api.annotations == {"a": {COST: "-1000", DRAINING: "true"}, "b": {}}
    await deployment.set_capacity(2)
    assert api.annotations["a"] == {COST: "100", DRAINING: None}


class LostNode(TwoPods):
    """The node of both does not answer."""

    def node(self, name: str) -> dict[str, Any]:  # type: ignore[override]
        condition = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
        return {"metadata": {"name": name}, "status": {"conditions": [condition]}}


class Silent(ContainerProbe):
    """Nobody answers."""

    async def ask(self, endpoint: Endpoint, address: str) -> Report | None:
        return None


async def test_who_asks_waits_for_the_pod_that_takes_a_lost_ones_place() -> None:
    """Failed with an address it would be one that nobody tries again, and who lost their picture got 503."""
    endpoint = Endpoint(
        name="studio", port=8080, replicas=Replicas(min=0, max=2), container=Container(port=7860),
        deployment=ClusterDeployment(name="studio-studio"),
    )  # fmt: skip
    deployment = StudioDeployment(
        endpoint, namespace=cast(Namespace, LostNode(SlowApi())), events=Events(),
        timeouts=ReplicaTimeouts(), probe=Silent(OpenRequests(), 1.0, None),
    )  # fmt: skip
    found = await deployment.look()
    assert [(one.state, one.given_up, one.address) for one in found] == [("failed", False, None)] * 2
