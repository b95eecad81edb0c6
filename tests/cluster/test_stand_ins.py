"""The stand-ins for kubelets and nodes tell what real ones tell, so that what reads it is tried truly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.cluster.api import Object
from tests.cluster.conftest import Cluster, until
from tests.cluster.nodes import NodePool
from tests.cluster.objects import GPU, deployment

pytestmark = pytest.mark.cluster


def start(cluster: Cluster, namespace: str, replicas: int = 1, **container: object) -> Object:
    cluster.nodes.pools = [GPU]
    item = cluster.api.apply(deployment(namespace, **container))
    return cluster.api.patch(item, {"spec": {"replicas": replicas}})


def reasons(cluster: Cluster, namespace: str) -> set[str]:
    return {reason for _, reason, _ in cluster.events(namespace)}


def test_an_image_that_cannot_be_pulled(cluster: Cluster, namespace: str) -> None:
    """ErrImagePull, then ImagePullBackOff with the registry's words; the pod starts once it can."""
    image = "example.com/studio:gone"
    cluster.kubelet.refused_images[image] = fault = f"{image}: not found"
    start(cluster, namespace, image=image)
    until(lambda: "ImagePullBackOff" in cluster.waits(namespace))
    said = {message for _, _, message in cluster.events(namespace)}
    assert {f'Failed to pull image "{image}": {fault}', "Error: ErrImagePull"} <= said
    del cluster.kubelet.refused_images[image]
    until(lambda: cluster.ready(namespace))


def test_a_crash_loop(cluster: Cluster, namespace: str) -> None:
    """The second crash is waited after, the exit code told, its last words to be read."""
    start(cluster, namespace, env=[{"name": "EASEL_TEST_CRASH", "value": "no paint left"}])
    until(lambda: "CrashLoopBackOff" in cluster.waits(namespace))
    (pod,) = cluster.pods(namespace)
    (status,) = pod["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert status["restartCount"] >= 2
    assert status["state"]["waiting"]["message"].startswith(
        "back-off 10s restarting failed container=studio pod="
    )
    path = cluster.api.path("v1", "Pod", namespace, pod["metadata"]["name"])
    assert "no paint left" in cluster.api.request("GET", f"{path}/log", previous="true")["text"]


def test_out_of_memory(cluster: Cluster, namespace: str) -> None:
    """Told as OOMKilled, 137; the container starts again at once."""
    start(cluster, namespace)
    (pod,) = until(lambda: cluster.ready(namespace))
    cluster.kubelet.run_out_of_memory(namespace, pod["metadata"]["name"])

    def restarted() -> Object | None:
        (found,) = cluster.pods(namespace)
        (status,) = found["status"]["containerStatuses"]
        return status if status["restartCount"] and status["ready"] else None

    ended = until(restarted)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_a_secret_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    """A container whose environment names it waits with the kubelet's words, and starts once it is made."""
    reference = {"secretKeyRef": {"name": "env-studio", "key": "TOKEN"}}
    start(cluster, namespace, env=[{"name": "TOKEN", "valueFrom": reference}])
    until(lambda: "CreateContainerConfigError" in cluster.waits(namespace))
    assert 'Error: secret "env-studio" not found' in {message for _, _, message in cluster.events(namespace)}
    meta = {"name": "env-studio", "namespace": namespace}
    cluster.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"TOKEN": "x"}})
    until(lambda: cluster.ready(namespace))


def test_what_draws_is_finished_before_a_pod_goes(cluster: Cluster, namespace: str) -> None:
    """SIGTERM and the grace period: a request of two seconds is answered by a pod that was deleted."""
    item = start(cluster, namespace)
    (pod,) = until(lambda: cluster.ready(namespace))
    address = f"http://{pod['status']['podIP']}:7860/sdapi/v1/txt2img?seconds=2"
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(httpx.post, address, timeout=10, trust_env=False)
        until(lambda: httpx.get(f"http://{pod['status']['podIP']}:7860/easel/load").json()["running"])
        cluster.api.patch(item, {"spec": {"replicas": 0}})
        assert asked.result().status_code == 200
    until(lambda: not cluster.pods(namespace))


def test_no_capacity_then_another_pool(cluster: Cluster, namespace: str) -> None:
    """A pool without capacity is told in Karpenter's words; a pool that has some gives the node."""
    cluster.without_nodes("gpu")
    cluster.nodes.exhausted["gpu"] = "InsufficientInstanceCapacity"
    try:
        start(cluster, namespace)
        until(
            lambda: any(
                "no instance type has the required offering" in each[2] for each in cluster.events(namespace)
            )
        )
        cluster.nodes.pools.append(NodePool("other", GPU.labels, GPU.taints, GPU.allocatable))
        (pod,) = until(lambda: cluster.ready(namespace))
    finally:
        cluster.nodes.exhausted.clear()
    assert pod["spec"]["nodeName"].startswith("other-")


def test_a_spot_interruption(cluster: Cluster, namespace: str) -> None:
    """The pod is evicted, with the condition that says so; another comes up on another node."""
    start(cluster, namespace)
    (pod,) = until(lambda: cluster.ready(namespace))
    node = pod["spec"]["nodeName"]
    cluster.nodes.interrupt(node)
    until(lambda: [each for each in cluster.ready(namespace) if each["spec"]["nodeName"] != node])
    until(lambda: node not in cluster.nodes.here())
    assert "Evicted" in reasons(cluster, namespace)


@pytest.mark.timeout(240)
def test_a_lost_node(cluster: Cluster, namespace: str) -> None:
    """The control plane finds out by itself: NotReady, the pod is given up and another comes up elsewhere."""
    cluster.nodes.go_after = 600
    other = cluster.nodes.add(NodePool("spare", {"easel.test/shape": "none"}, (), GPU.allocatable))
    try:
        start(cluster, namespace)
        (pod,) = until(lambda: cluster.ready(namespace))
        node = pod["spec"]["nodeName"]
        cluster.nodes.lose(node)
        until(lambda: [each for each in cluster.ready(namespace) if each["spec"]["nodeName"] != node], 90)
        lost = cluster.api.get("v1", "Node", node)
        assert "node.kubernetes.io/unreachable" in {taint["key"] for taint in lost["spec"]["taints"]}
        cluster.nodes.remove(node)
    finally:
        cluster.nodes.go_after = 3.0
        cluster.nodes.remove(other)
