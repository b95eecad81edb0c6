"""What is followed of the team's namespace: Deployments, Pods, Events, ScaledObjects; Nodes where allowed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping

from easel.gateway.kubernetes import KubernetesApi, Object, Reflector
from easel.gateway.replicas.kubernetes.scheduling import FUSE, PAUSED, READY, REPLICA_FAILURE

_PART = "app.kubernetes.io/part-of=easel"
COMPONENT = "app.kubernetes.io/component"
INSTANCE = "app.kubernetes.io/instance"
KEDA = "keda.sh/v1alpha1"
# Labels of nodes: what the program gives them, and what every cloud does.
NODE_TEAM, NODE_POOL = "easel/team", "easel/pool"
NODE_TYPE = "node.kubernetes.io/instance-type"
_NODE_LABELS = (NODE_TEAM, NODE_POOL, NODE_TYPE, "topology.kubernetes.io/zone")


class Namespace:
    """The objects as they are now, found by name and by label. Nodes are nobody's namespace: without the
    right to see them the words are poorer, and that is all."""

    def __init__(self, api: KubernetesApi) -> None:
        self.api = api
        # Pods by endpoint and name, and events of pods by the pod's name and their own.
        self._pods: dict[str, dict[str, Object]] = defaultdict(dict)
        self._gateways: dict[str, Object] = {}
        self._events: dict[str, dict[str, Object]] = defaultdict(dict)
        ours = {"labelSelector": _PART}
        self._reflectors = {
            "deployments": Reflector(
                api, api.path("deployments", group="apps/v1"), selected=ours, taken=_short_scaling
            ),
            "pods": Reflector(api, api.path("pods"), selected=ours, changed=self._pod_changed),
            "scaledobjects": Reflector(
                api, api.path("scaledobjects", group=KEDA), taken=_short_scaling
            ),
            "events": Reflector(
                api, api.path("events"), selected={"fieldSelector": "involvedObject.kind=Pod"},
                changed=self._event_changed, taken=_short_event,
            ),
            "nodes": Reflector(api, "/api/v1/nodes", taken=_short_node),
        }  # fmt: skip
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow from now on."""
        self._tasks = [
            asyncio.create_task(reflector.run(), name=f"watch {name}")
            for name, reflector in self._reflectors.items()
        ]

    async def listed(self) -> None:
        """Returns once pods, Deployments and ScaledObjects are known."""
        await asyncio.gather(
            *(self._reflectors[name].listed.wait() for name in ("pods", "deployments", "scaledobjects"))
        )

    async def close(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def trouble(self) -> str:
        """Why what is known may be old; "" if it is fresh. Nodes and events are not missed."""
        return next(
            (one.trouble for name in ("pods", "deployments", "scaledobjects")
             if (one := self._reflectors[name]).trouble), "",
        )  # fmt: skip

    def pods(self, endpoint: str) -> list[Object]:
        """An endpoint's pods, the oldest first."""
        return sorted(
            self._pods.get(endpoint, {}).values(),
            key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]),
        )

    def gateways(self) -> Mapping[str, str]:
        """The addresses of the team's gateways that run, by the names of their pods. Those too that are being
        ended: the autoscaler asks the others, and is to hear of the requests that these still hold."""
        return {
            name: str(one["status"]["podIP"])
            for name, one in self._gateways.items()
            if (one.get("status") or {}).get("podIP")
        }

    def deployment(self, name: str) -> Object | None:
        """A Deployment."""
        return self._reflectors["deployments"].objects.get(name)

    def scaled(self, name: str) -> Object | None:
        """A ScaledObject."""
        return self._reflectors["scaledobjects"].objects.get(name)

    def node(self, name: str) -> Object | None:
        """A node, if it may be seen."""
        return self._reflectors["nodes"].objects.get(name)

    def nodes(self) -> list[Object]:
        """Every node of the cluster, if they may be seen: another team's too."""
        return list(self._reflectors["nodes"].objects.values())

    @property
    def nodes_trouble(self) -> str:
        """Why nodes are not seen; "" if they are."""
        return self._reflectors["nodes"].trouble

    def events(self, pod: str) -> list[Object]:
        """What was said of a pod, the last word last."""
        return sorted(self._events.get(pod, {}).values(), key=lambda one: str(one["at"]))

    def _pod_changed(self, before: Object | None, now: Object | None) -> None:
        one = now or before or {}
        name, labels = one["metadata"]["name"], one["metadata"].get("labels") or {}
        if labels.get(COMPONENT) == "gateway":
            place = self._gateways
        else:
            place = self._pods[str(labels.get(INSTANCE) or "")]
        if now is not None:
            place[name] = now
        else:
            place.pop(name, None)
            self._events.pop(name, None)

    def _event_changed(self, before: Object | None, now: Object | None) -> None:
        one = now or before or {}
        pod, name = str(one["pod"]), str(one["metadata"]["name"])
        if now is not None:
            self._events[pod][name] = now
        elif pod in self._events:
            self._events[pod].pop(name, None)
            if not self._events[pod]:
                del self._events[pod]


def _short_scaling(one: Object) -> Object:
    """Of a Deployment or a ScaledObject, what is read: how many there are to be, and why there are not."""
    metadata, conditions = one["metadata"], (one.get("status") or {}).get("conditions") or []
    annotations = metadata.get("annotations") or {}
    return {
        "metadata": {
            "name": metadata["name"], "resourceVersion": metadata["resourceVersion"],
            "annotations": {key: annotations[key] for key in (PAUSED, FUSE) if key in annotations},
        },
        "spec": {"replicas": one["spec"].get("replicas")},
        "status": {"conditions": [each for each in conditions if each["type"] in (REPLICA_FAILURE, READY)]},
    }  # fmt: skip


def _short_event(one: Object) -> Object:
    """Of an event, what is read: a thousand pods have ten thousand of them."""
    series = (one.get("series") or {}).get("lastObservedTime")
    metadata = one["metadata"]
    return {
        "metadata": {"name": metadata["name"], "resourceVersion": metadata["resourceVersion"]},
        "pod": (one.get("involvedObject") or {}).get("name") or "",
        "reason": one.get("reason"),
        "message": one.get("message"),
        "at": series or one.get("lastTimestamp") or one.get("eventTime") or metadata["creationTimestamp"],
    }


def _short_node(one: Object) -> Object:
    metadata = one["metadata"]
    ready = [each for each in (one.get("status") or {}).get("conditions") or [] if each["type"] == "Ready"]
    return {
        "metadata": {
            "name": metadata["name"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata.get("creationTimestamp"),
            "labels": {key: value for key, value in (metadata.get("labels") or {}).items()
                       if key in _NODE_LABELS},
        },
        "spec": {"taints": [{"key": each["key"]} for each in one["spec"].get("taints") or []]},
        "status": {"conditions": ready},
    }  # fmt: skip
