"""One control plane for all tests of a cluster, and a namespace for each."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.api import Api, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.kubelet import Kubelet
from tests.cluster.nodes import Nodes
from tests.cluster.programs import lacking, missing
from tests.cluster.services import ServiceProxy, is_ready

_numbers = itertools.count(1)


class Cluster:
    """The control plane with its stand-ins: what a test of a cluster needs."""

    def __init__(self, plane: ControlPlane, kubelet: Kubelet, nodes: Nodes, services: ServiceProxy) -> None:
        self.plane, self.kubelet, self.nodes, self.services = plane, kubelet, nodes, services

    @property
    def api(self) -> Api:
        """The API as its administrator asks it."""
        return self.plane.api

    def pods(self, namespace: str, labels: str = "") -> list[Object]:
        """Pods by name."""
        found = self.api.list("v1", "Pod", namespace, labelSelector=labels)
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def ready(self, namespace: str, labels: str = "") -> list[Object]:
        """Pods that traffic may go to."""
        return [pod for pod in self.pods(namespace, labels) if is_ready(pod)]

    def waits(self, namespace: str) -> set[str]:
        """Why containers wait: `ImagePullBackOff`, `CrashLoopBackOff` …"""
        states = [
            each["state"]
            for pod in self.pods(namespace)
            for each in pod["status"].get("containerStatuses", [])
        ]
        return {state["waiting"]["reason"] for state in states if "waiting" in state}

    def end(self, namespace: str) -> None:
        """Nothing of a namespace runs any more; its objects go by themselves, which takes seconds."""
        self.api.delete("v1", "Namespace", namespace)
        until(lambda: not self._ended(namespace), 60, f"{namespace} is empty")
        for volume in self.api.list("v1", "PersistentVolume"):
            if volume["spec"].get("claimRef", {}).get("namespace") == namespace:
                self.api.delete("v1", "PersistentVolume", volume["metadata"]["name"])

    def vacant(self, namespace: str) -> None:
        """Nothing is left of a namespace that another test had under this name: what is made in one that ends
        is gone with it."""
        until(lambda: self.api.find("v1", "Namespace", namespace) is None, 90, f"{namespace} is gone")

    def without_nodes(self, pool: str) -> None:
        """No node of a pool is left: whoever comes next waits for one of their own."""
        until(lambda: not self.nodes.here(pool), 30, f"no node of {pool} is left")

    def _ended(self, namespace: str) -> list[Object]:
        """Ends the pods of a namespace without grace; those that are still there."""
        pods = self.pods(namespace)
        for pod in pods:
            self.api.delete("v1", "Pod", pod["metadata"]["name"], namespace, gracePeriodSeconds=0)
        return pods

    def events(self, namespace: str) -> list[tuple[str, str, str]]:
        """(type, reason, message) of all events of a namespace, the oldest first."""
        found = self.api.list("v1", "Event", namespace)
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["type"], event["reason"], event.get("message", "")) for event in found]


def until(true: Callable[[], Any], seconds: float = 30.0, what: str = "") -> Any:
    """Waits until `true()` is; its value."""
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or true}"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Runs as long as the tests do."""
    if lacks := [*lacking(), *missing()]:
        pytest.skip(f"`make cluster` builds it: {', '.join(lacks)} missing")
    root = tmp_path_factory.mktemp("cluster")
    services = ServiceProxy()
    plane = ControlPlane(root, services.url)
    try:
        plane.start()
        services.api = plane.api
        certificate = plane.authority.issue("kubelet")
        kubelet = Kubelet(plane.api, root / "kubelet", certificate, plane.kubelet_port)
        nodes = Nodes(plane.api, kubelet)
        yield Cluster(plane, kubelet, nodes, services)
        nodes.stop()
        kubelet.stop()
    finally:
        plane.stop()
        services.stop()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, gone with all that is in it."""
    name = f"test-{next(_numbers)}"
    cluster.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.end(name)
