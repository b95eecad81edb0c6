"""Replicas as pods: the suite for all backends on a real control plane, and what only a cluster does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from easel.gateway.config import ClusterDeployment, Container, Endpoint, Replicas, Timeouts
from easel.gateway.events import Events
from easel.gateway.kubernetes import KubernetesApi
from easel.gateway.replicas import ReplicaTimeouts, ScaleSignal
from easel.gateway.replicas.kubernetes import KubernetesBackend, Namespace
from tests.cluster.conftest import Cluster
from tests.cluster.objects import GPU
from tests.cluster.team import NAME, scaled_studio, studio
from tests.gateway.replicas.backend_suite import BackendSuite

pytestmark = pytest.mark.cluster
QUICK = ReplicaTimeouts(backoff_limit=3, termination_grace=2.0, unresponsive=5.0)


class Signal:
    """What KEDA asks in the gateway's place: the backend's own word, which a fleet would pass on."""

    def __init__(self, stage: ClusterStage) -> None:
        self._stage = stage
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        app = Starlette(routes=[Route("/scale/studio", self._scale)])
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve([self._listener]))

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._task

    async def _scale(self, request: Request) -> JSONResponse:
        floor = self._stage.backend.floor("studio")
        return JSONResponse(ScaleSignal(floor=floor, concurrency=1).as_json())


class ClusterStage:
    """A namespace with one endpoint's Deployment and ScaledObject, and the backend that looks after them."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.endpoint = Endpoint(
            name="studio", port=8080, replicas=Replicas(min=0, max=2), concurrency=1,
            timeouts=Timeouts(wake=60, request=60), container=Container(port=7860),
            deployment=ClusterDeployment(name=NAME),
        )  # fmt: skip
        self.signal = Signal(self)

    async def open(self) -> None:
        self.cluster.nodes.pools = [GPU]
        self.cluster.api.apply(studio(self.namespace))
        self.cluster.api.apply(scaled_studio(self.namespace))
        self.api = KubernetesApi(self.namespace)
        await self.api.open()
        watched = Namespace(self.api)
        watched.start()
        await watched.listed()
        self.backend = KubernetesBackend(watched, Events(), timeouts=QUICK)
        await self.backend.follow(self.endpoint)
        await self.signal.start()
        self.cluster.services.instead[self.namespace, "gateway-inner"] = self.signal.address

    async def close(self) -> None:
        await self.backend.close()
        await self.api.close()
        await self.signal.stop()
        self.cluster.kubelet.environments.pop("studio", None)
        del self.cluster.services.instead[self.namespace, "gateway-inner"]

    async def slow(self, seconds: float) -> None:
        self._environment(EASEL_TEST_SLOW=str(seconds))

    async def crash(self, words: str | None) -> None:
        self._environment(EASEL_TEST_CRASH=words or "")

    def _environment(self, **variables: str) -> None:
        self.cluster.kubelet.environments.setdefault("studio", {}).update(variables)

    async def alive(self) -> int:
        return await asyncio.to_thread(self._alive)

    def _alive(self) -> int:
        return sum(self._runs(pod["metadata"]["name"]) for pod in self.cluster.pods(self.namespace))

    def _runs(self, pod: str) -> bool:
        try:
            process = self.cluster.kubelet.life(self.namespace, pod).process
        except KeyError:
            return False
        return process is not None and process.running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def stage(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ClusterStage]:
    monkeypatch.setenv("KUBECONFIG", str(cluster.plane.kubeconfig))
    stage = ClusterStage(cluster, namespace)
    await stage.open()
    yield stage
    await stage.close()


class TestKubernetesBackend(BackendSuite):
    """The suite, with pods."""
