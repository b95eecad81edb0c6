"""A stand-in for what provisions nodes (Karpenter, which EKS Auto Mode runs): pods that wait get a node.

A node of the first pool whose labels, taints and size suit a waiting pod comes after a delay and is taken
away when nothing is on it; a pool may have no capacity. Nodes carry what the shape's instances do; kwok keeps
their leases. Words of events are Karpenter's (v1.13, `pkg/controllers`).
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from tests.cluster.api import Api, ApiRefusalError, Object
from tests.cluster.control_plane import ALIVE
from tests.cluster.events import reference, tell
from tests.cluster.kubelet import Kubelet
from tests.cluster.quantities import fits, sum_of_requests

# Seconds after its node is ready that a pod still waits: another one took it.
TAKEN = 3.0
# Seconds between two looks at what waits.
LOOK = 0.3
# Seconds that the scheduler may take until it knows that nobody may come to a node any more.
SETTLES = 1.0
_POOL = "karpenter.sh/nodepool"
_CAPACITY = "karpenter.sh/capacity-type"
_DISRUPTED = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}


@dataclasses.dataclass(frozen=True)
class NodePool:
    """Where nodes of one kind come from; the first pool of those that suit a pod is taken."""

    name: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    # What pods may have of it, as `status.allocatable` says it.
    allocatable: Mapping[str, str] = dataclasses.field(default_factory=dict)
    capacity_type: str = "on-demand"
    most_nodes: int = 1000


@dataclasses.dataclass
class _NodeClaim:
    """A node that was bought for a pod."""

    name: str
    pool: NodePool
    due: float
    ready_since: float | None = None


class Nodes:
    """Makes and takes nodes as pods come and go."""

    def __init__(self, api: Api, kubelet: Kubelet, pools: Sequence[NodePool] = ()) -> None:
        self.api, self.kubelet = api, kubelet
        self.pools = list(pools)
        # Pools that have no capacity now, with the cloud's word for it.
        self.exhausted: dict[str, str] = {}
        # While it is set no node comes that was bought, however long that takes.
        self.held = threading.Event()
        # Seconds from a pod that waits to its node; seconds that a node may be empty.
        self.come_after, self.go_after = 0.5, 3.0
        # Seconds from the warning of a spot interruption to the end of the node; 120 in the cloud.
        self.warning = 20.0
        # By the pod that each was bought for.
        self._coming: dict[str, _NodeClaim] = {}
        # Nodes that nobody takes away.
        self._static: set[str] = set()
        self._empty_since: dict[str, float] = {}
        # What nobody new may come to, and is looked at once more before it ends: its taints before.
        self._closed: dict[str, Any] = {}
        self._interrupted: list[threading.Timer] = []
        self._told: dict[tuple[str, str], float] = {}
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nodes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for timer in self._interrupted:
            timer.cancel()
        self._thread.join(10)

    def add(self, pool: NodePool) -> str:
        """A node that is there at once, as `static` capacity is; its name."""
        name = f"{pool.name}-{next(self._numbers)}"
        self._static.add(name)
        self.api.create(_node(name, pool, self.kubelet.port))
        return name

    def here(self, pool: str = "") -> list[str]:
        """The names of nodes, of one pool or of all."""
        query = {"labelSelector": f"{_POOL}={pool}"} if pool else {}
        return [node["metadata"]["name"] for node in self.api.list("v1", "Node", **query)]

    def lose(self, node: str) -> None:
        """The machine is gone without a word: no lease, no kubelet; a minute later the cloud says so too."""
        self.kubelet.lose(node)
        found = self.api.get("v1", "Node", node)
        self.api.patch(found, {"metadata": {"labels": dict.fromkeys(ALIVE)}})

    def interrupt(self, node: str) -> None:
        """The cloud wants a spot instance back: no new pods, those there are evicted, then it goes."""
        found = self.api.get("v1", "Node", node)
        taints = [*found["spec"].get("taints", []), _DISRUPTED]
        self.api.patch(found, {"spec": {"taints": taints}})
        about = reference(found, "Node")
        tell(
            self.api,
            about,
            "Warning",
            "SpotInterrupted",
            "Spot interruption warning was triggered",
            "karpenter",
        )
        for pod in self.api.list("v1", "Pod", fieldSelector=f"spec.nodeName={node}"):
            self._evict(pod)
        timer = threading.Timer(self.warning, self.remove, [node])
        self._interrupted.append(timer)
        timer.start()

    def remove(self, node: str) -> None:
        """The machine ends, and what ran on it with it."""
        self.kubelet.lose(node)
        self.api.delete("v1", "Node", node)
        for pod in self.api.list("v1", "Pod", fieldSelector=f"spec.nodeName={node}"):
            # The control plane's own garbage collector does so a minute later.
            meta = pod["metadata"]
            self.api.delete("v1", "Pod", meta["name"], meta["namespace"], gracePeriodSeconds=0)

    def _evict(self, pod: Object) -> None:
        meta = pod["metadata"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": meta["name"]}}
        path = self.api.path("v1", "Pod", meta["namespace"], meta["name"])
        try:
            self.api.request("POST", f"{path}/eviction", body)
        except ApiRefusalError as refusal:
            # A disruption budget forbids it for now; the node's end will not ask.
            if refusal.code not in (404, 429):
                raise
        else:
            tell(
                self.api,
                reference(pod, "Pod"),
                "Normal",
                "Evicted",
                "Evicted pod: Spot Interruption",
                "karpenter",
            )

    def _run(self) -> None:
        while not self._stopping.wait(LOOK):
            try:
                self._provision()
                self._consolidate()
            except (httpx.TransportError, ApiRefusalError):
                # Something went between being listed and being changed: the next look sees it as it is.
                continue

    def _provision(self) -> None:
        waiting = [pod for pod in self.api.list("v1", "Pod", fieldSelector="spec.nodeName=") if _waits(pod)]
        present = {pod["metadata"]["uid"] for pod in waiting}
        for pod in waiting:
            if pod["metadata"]["uid"] not in self._coming:
                self._choose(pod)
        # What is bought comes, also where its pod found another node meanwhile; and whose node another pod
        # took is bought another.
        now = time.monotonic()
        for uid, claim in list(self._coming.items()):
            node = self.api.find("v1", "Node", claim.name)
            if now >= claim.due and node is None and not self.held.is_set():
                self.api.create(_node(claim.name, claim.pool, self.kubelet.port))
            if node is not None and claim.ready_since is None and _is_ready(node):
                claim.ready_since = now
            taken = claim.ready_since is not None and now - claim.ready_since > TAKEN
            if node is not None and (uid not in present or taken):
                del self._coming[uid]

    def _choose(self, pod: Object) -> None:
        faults = []
        for pool in self.pools:
            fault = _unsuitable(pod, pool)
            if not fault and len(self.here(pool.name)) >= pool.most_nodes:
                fault = f'all available instance types exceed limits for nodepool: "{pool.name}"'
            if not fault and pool.name in self.exhausted:
                fault = (
                    f'incompatible with nodepool "{pool.name}", no instance type has the required offering, '
                    f"requirements={_CAPACITY} In [{pool.capacity_type}] ({self.exhausted[pool.name]})"
                )
            if not fault:
                name = f"{pool.name}-{next(self._numbers)}"
                self._coming[pod["metadata"]["uid"]] = _NodeClaim(
                    name, pool, time.monotonic() + self.come_after
                )
                self._say(pod, "Normal", "Nominated", f"Pod should schedule on: nodeclaim/{name}")
                return
            faults.append(fault)
        text = "; ".join(faults) or "no nodepools found"
        self._say(pod, "Warning", "FailedScheduling", f"Failed to schedule pod, {text}")

    def _say(self, pod: Object, kind: str, reason: str, message: str) -> None:
        # Karpenter says the same of a pod once in five minutes.
        key = pod["metadata"]["uid"], message
        if time.monotonic() - self._told.get(key, -300.0) >= 300:
            self._told[key] = time.monotonic()
            tell(self.api, reference(pod, "Pod"), kind, reason, message, "karpenter")

    def _consolidate(self) -> None:
        """Takes away nodes that were empty for long enough."""
        nodes = {node["metadata"]["name"]: node for node in self.api.list("v1", "Node", labelSelector=_POOL)}
        busy = {pod["spec"].get("nodeName") for pod in self.api.list("v1", "Pod")}
        keep = busy | self._static | {claim.name for claim in self._coming.values()}
        for name, node in nodes.items():
            now = time.monotonic()
            if name in keep:
                self._empty_since.pop(name, None)
                if name in self._closed:
                    self.api.patch(node, {"spec": {"taints": self._closed.pop(name)}})
            elif now - self._empty_since.setdefault(name, now) >= self.go_after:
                self._take_away(node, now)

    def _take_away(self, node: Object, now: float) -> None:
        # The scheduler may be giving it a pod at this moment: first nobody new, and at a later look the end.
        name = node["metadata"]["name"]
        if name not in self._closed:
            before = self._closed[name] = node["spec"].get("taints", [])
            self.api.patch(node, {"spec": {"taints": [*before, _DISRUPTED]}})
            self._empty_since[name] = now - self.go_after + SETTLES
            return
        about = reference(node, "Node")
        tell(self.api, about, "Normal", "DisruptionTerminating", "Disrupting Node: Empty", "karpenter")
        self.api.delete("v1", "Node", name)
        del self._closed[name], self._empty_since[name]


def _is_ready(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _waits(pod: Object) -> bool:
    """The scheduler has looked at it and found no node."""
    conditions = pod["status"].get("conditions", [])
    return any(
        each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable" for each in conditions
    )


def _unsuitable(pod: Object, pool: NodePool) -> str:
    """Why a pod cannot be on a node of a pool, in Karpenter's words; empty if it can."""
    spec = pod["spec"]
    labels = _labels("", pool)
    fault = "" if fits(sum_of_requests(spec), pool.allocatable) else "no instance type has enough resources"
    for taint in pool.taints:
        if not any(_tolerates(each, taint) for each in spec.get("tolerations") or []):
            written = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
            fault = f"did not tolerate taint (taint={written})"
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels.get(key) != value:
            has = f"{key} In [{labels[key]}]" if key in labels else f"{key} DoesNotExist"
            fault = f"incompatible requirements, key {key}, {key} In [{value}] not in {has}"
    return f'incompatible with nodepool "{pool.name}", {fault}' if fault else ""


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))


def _labels(name: str, pool: NodePool) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        _POOL: pool.name,
        _CAPACITY: pool.capacity_type,
        **ALIVE,
        **pool.labels,
    }


def _node(name: str, pool: NodePool, port: int) -> Object:
    # What a node of a given instance type has besides: room for pods.
    resources = {"pods": "110", **pool.allocatable}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": _labels(name, pool)},
        "spec": {"providerID": f"tests:///{name}", "taints": list(pool.taints)},
        "status": {
            "capacity": resources,
            "allocatable": resources,
            # Both: kwok takes all away where one is missing.
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }
