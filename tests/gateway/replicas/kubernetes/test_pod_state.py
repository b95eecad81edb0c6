"""Pods in the console's words: statuses, events and nodes as API server, kubelet, scheduler, Karpenter and
Cluster Autoscaler write them."""

from __future__ import annotations

from typing import Any

import pytest

from easel.gateway.replicas import Report, Work
from easel.gateway.replicas.kubernetes.pod_state import Seen, ended, observed, restarts, said_at_the_end

Object = dict[str, Any]
NODE = {
    "metadata": {
        "name": "ip-10-0-1-7.ec2.internal",
        "labels": {
            "node.kubernetes.io/instance-type": "g6.xlarge",
            "topology.kubernetes.io/zone": "us-east-1a",
        },
    },
    "spec": {"taints": [{"key": "nvidia.com/gpu"}]},
    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
}
LOST = NODE | {
    "status": {
        "conditions": [
            {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
        ]
    }
}
UNSCHEDULABLE = (
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient nvidia.com/gpu. "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)


def pod(status: Object, *, node: str = "ip-10-0-1-7.ec2.internal", **metadata: Any) -> Object:
    limits = {"memory": "12Gi", "nvidia.com/gpu": "1"}
    spec: Object = {"containers": [{"name": "studio", "resources": {"limits": limits}}]}
    if node:
        spec["nodeName"] = node
    return {"metadata": {"name": "studio-art-6d9f8-x2x4z", **metadata}, "spec": spec, "status": status}


def waits(reason: str, message: str = "", *, restarts: int = 0, last: Object | None = None) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return container(state, restarts=restarts, last=last)


def container(state: Object, *, restarts: int = 0, last: Object | None = None) -> Object:
    status = {"name": "studio", "state": state, "restartCount": restarts, "ready": False}
    if last:
        status["lastState"] = {"terminated": last}
    return {"phase": "Pending", "containerStatuses": [status]}


RUNS = container({"running": {"startedAt": "2026-11-29T21:00:00Z"}}) | {"phase": "Running"}
CRASHED = {"exitCode": 3, "reason": "Error", "finishedAt": "2026-11-29T21:00:05Z"}
OOM = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-29T21:00:05Z"}


def unscheduled(message: str, reason: str = "Unschedulable") -> Object:
    condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
    return pod({"phase": "Pending", "conditions": [condition]}, node="")


def event(reason: str, message: str) -> Object:
    return {"reason": reason, "message": message}


def says(phase: Any, detail: str = "", *, running: int = 0) -> Report:
    return Report(phase, detail, Work(running=running))


NO_SUCH_IMAGE = (
    'Failed to pull image "registry.example.com/studio@sha256:9f": rpc error: code = NotFound desc = failed '
    "to pull and unpack image: not found"
)
NOMINATED = event("Nominated", "Pod should schedule on: nodeclaim/gpu-l4-x7k2p")
LIMITS = event(
    "FailedScheduling",
    'Failed to schedule pod, all available instance types exceed limits for nodepool: "gpu-l4"',
)
SITUATIONS: dict[str, tuple[Seen, str, str, str]] = {
    # name: (what is seen, state, how its words begin, the event's kind)
    "just made": (
        Seen(pod({"phase": "Pending"}, node="")), "starting", "waits for the scheduler", "",
    ),
    "no GPU free": (
        Seen(unscheduled(UNSCHEDULABLE)), "starting",
        "waits for a GPU: no node has one free (0/3 nodes are available: 1 node(s) had untolerated", "",
    ),
    "no node at all": (
        Seen(unscheduled("no nodes available to schedule pods")), "starting",
        "waits for a node (no nodes available to schedule pods)", "",
    ),
    "Karpenter buys one": (
        Seen(unscheduled(UNSCHEDULABLE), [event("FailedScheduling", UNSCHEDULABLE), NOMINATED]), "starting",
        "a node comes for it: Pod should schedule on: nodeclaim/gpu-l4-x7k2p", "",
    ),
    "Karpenter's pool is full": (
        Seen(unscheduled(UNSCHEDULABLE), [event("FailedScheduling", UNSCHEDULABLE), LIMITS]), "starting",
        "no capacity: Failed to schedule pod, all available instance types exceed limits", "no-capacity",
    ),
    "then another pool has one": (
        Seen(unscheduled(UNSCHEDULABLE), [LIMITS, NOMINATED]), "starting", "a node comes for it", "",
    ),
    "Cluster Autoscaler buys one": (
        Seen(unscheduled(UNSCHEDULABLE),
             [event("TriggeredScaleUp", "pod triggered scale-up: [{gpu-pool 0->1 (max: 4)}]")]),
        "starting", "a node comes for it: pod triggered scale-up: [{gpu-pool 0->1 (max: 4)}]", "",
    ),
    "Cluster Autoscaler may not": (
        Seen(unscheduled(UNSCHEDULABLE),
             [event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")]),
        "starting", "no capacity: pod didn't trigger scale-up: 1 max node group size reached", "no-capacity",
    ),
    "behind a gate": (
        Seen(unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")),
        "starting", "waits at a scheduling gate", "",
    ),
    "on its node": (
        Seen(pod(waits("ContainerCreating")), node=NODE), "starting",
        "its container is being made on g6.xlarge in us-east-1a", "",
    ),
    "on a node that may not be seen": (
        Seen(pod(waits("ContainerCreating"))), "starting",
        "its container is being made on ip-10-0-1-7.ec2.internal", "",
    ),
    "pulls": (
        Seen(pod(waits("ContainerCreating")),
             [event("Scheduled", "Successfully assigned"), event("Pulling", 'Pulling image "studio"')], NODE),
        "starting", "pulling the image on g6.xlarge in us-east-1a", "",
    ),
    "has pulled": (
        Seen(pod(waits("PodInitializing")),
             [event("Pulling", "…"), event("Pulled", 'Successfully pulled image "studio" in 34.6s')], NODE),
        "starting", "the image is there on g6.xlarge", "",
    ),
    "no volume": (
        Seen(pod(waits("ContainerCreating")),
             [event("FailedMount", 'MountVolume.SetUp failed for volume "models": timed out')]),
        "starting", "its volumes cannot be mounted yet on ip-10-0-1-7.ec2.internal: MountVolume.SetUp", "",
    ),
    "no image": (
        Seen(pod(waits("ErrImagePull", "rpc error")), [event("Failed", NO_SUCH_IMAGE)]), "failed",
        f"the image cannot be pulled: {NO_SUCH_IMAGE}", "no-image",
    ),
    "no image again": (
        Seen(pod(waits("ImagePullBackOff", 'Back-off pulling image "registry.example.com/studio"'))),
        "failed", 'the image cannot be pulled: Back-off pulling image "registry', "no-image",
    ),
    "its secret is missing": (
        Seen(pod(waits("CreateContainerConfigError", 'secret "env-art" not found'))), "failed",
        'its container cannot be made: secret "env-art" not found', "crashed",
    ),
    "an init container fails": (
        Seen(pod({"phase": "Pending", "initContainerStatuses": [
            {"name": "starter", "state": {"terminated": CRASHED}, "restartCount": 0}]}), words="no space"),
        "failed", "exit code 3: no space; Kubernetes starts it again", "crashed",
    ),
    "an init container works": (
        Seen(pod({"phase": "Pending",
                  "initContainerStatuses": [{"name": "starter", "state": {"running": {}}, "restartCount": 0}],
                  "containerStatuses": [{"name": "studio", "restartCount": 0,
                                         "state": {"waiting": {"reason": "PodInitializing"}}}]})),
        "starting", "its container is being made", "",
    ),
    "starts": (Seen(pod(RUNS), node=NODE), "starting", "the container starts on g6.xlarge", ""),
    "imports": (Seen(pod(RUNS), report=says("importing")), "starting", "importing", ""),
    "loads": (
        Seen(pod(RUNS), report=says("loading", "reading sd_xl_base_1.0")), "loading",
        "reading sd_xl_base_1.0", "",
    ),
    "is ready": (Seen(pod(RUNS), report=says("ready", "easel")), "ready", "easel", ""),
    "says that it failed": (
        Seen(pod(RUNS), report=says("failed", "the checkpoint is cut short")), "failed",
        "the checkpoint is cut short", "",
    ),
    "misses a poll": (
        Seen(pod(RUNS), spoke=True, was="ready", said="easel", quiet=3.0), "ready", "easel", "",
    ),
    "misses some": (
        Seen(pod(RUNS), spoke=True, was="ready", said="easel", quiet=12.0), "ready",
        "has not answered for 12 s", "",
    ),
    "misses a poll while it imports": (
        Seen(pod(RUNS), spoke=True, was="starting", said="importing", quiet=3.0), "starting", "importing", "",
    ),
    "misses some while it loads": (
        Seen(pod(RUNS), spoke=True, was="loading", said="50 %", quiet=12.0), "loading",
        "has not answered for 12 s", "",
    ),
    "is taken back, and misses a poll": (
        Seen(pod(RUNS), spoke=True, was="draining", said="easel", quiet=3.0), "ready", "easel", "",
    ),
    "hangs": (
        Seen(pod(RUNS), spoke=True, quiet=130.0), "failed",
        "hangs: its container has not answered for 130 s", "hangs",
    ),
    "crashed once": (
        Seen(pod(container({"terminated": CRASHED})), words="out of colours"), "failed",
        "exit code 3: out of colours; Kubernetes starts it again", "crashed",
    ),
    "crashes again and again": (
        Seen(pod(waits("CrashLoopBackOff", "back-off 5m0s", restarts=7, last=CRASHED)), words="no paint"),
        "failed", "gave up after 8 starts; the last one: exit code 3: no paint", "gave-up",
    ),
    "out of memory": (
        Seen(pod(waits("CrashLoopBackOff", "back-off 20s", restarts=1, last=OOM))), "failed",
        "out of memory: its container took more than its limit of 12Gi; Kubernetes", "crashed",
    ),
    "was started again before anybody looked": (
        Seen(pod(container({"running": {}}, restarts=1, last=OOM)), report=says("ready"), mended=True),
        "failed", "out of memory: its container took more than its limit of 12Gi; it was started again",
        "crashed",
    ),
    "starts once more after a crash": (
        Seen(pod(container({"running": {}}, restarts=1, last=CRASHED))), "starting",
        "the container starts", "",
    ),
    "its node is lost": (
        Seen(pod(RUNS), node=LOST), "failed",
        "its node g6.xlarge in us-east-1a does not answer (Kubelet stopped posting node status.)", "node",
    ),
    "its node's kubelet is lost, and it draws": (
        Seen(pod(RUNS), node=LOST, report=says("ready", running=1)), "ready", "ready", "",
    ),
    "marked": (
        Seen(pod(RUNS, annotations={"easel/draining": "true"}), report=says("ready")), "draining",
        "finishing its pictures", "",
    ),
    "ends": (
        Seen(pod(RUNS, deletionTimestamp="2026-11-29T22:00:00Z"), report=says("ready", running=2)),
        "draining", "finishing its pictures", "",
    ),
    "ends with nothing to do": (
        Seen(pod(RUNS, deletionTimestamp="2026-11-29T22:00:00Z")), "draining", "stopping", "",
    ),
    "spot is taken back": (
        Seen(pod(RUNS, deletionTimestamp="2026-11-29T22:00:00Z"),
             node=NODE | {"spec": {"taints": [{"key": "karpenter.sh/disrupted"}]}}),
        "draining", "its node is taken away; it finishes its pictures", "",
    ),
    "is evicted": (
        Seen(pod(RUNS | {"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
             "message": "Eviction API: evicting"}]}, deletionTimestamp="2026-11-29T22:00:00Z")),
        "draining", "its node is being emptied: Eviction API: evicting", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "state", "words", "kind"), SITUATIONS.values(), ids=SITUATIONS)
def test_a_pod_in_words(seen: Seen, state: str, words: str, kind: str) -> None:
    """Each situation has one state, and a sentence with the words of who knows why."""
    found = observed(seen)
    assert found is not None
    assert (found.state, found.kind) == (state, kind)
    assert found.detail.startswith(words), found.detail
    assert len(found.detail) <= 500


def test_who_waits_learns_when_waiting_is_in_vain() -> None:
    """A first failed pull may pass; one that is put off, or a loop of crashes, is given up."""
    given_up = {
        name for name, (seen, *_) in SITUATIONS.items() if (found := observed(seen)) and found.given_up
    }
    assert given_up == {"no image again", "crashes again and again"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
         "its node put it out: The node was low on resource: memory."),
        ({"phase": "Failed", "reason": "Terminated"}, "its node was shut down"),
        ({"phase": "Failed"}, "it ended"),
        ({"phase": "Running"}, ""),
    ],
)  # fmt: skip
def test_a_pod_that_ended_is_no_replica(status: Object, words: str) -> None:
    """Another takes its place; why it ended is an event."""
    assert ended(pod(status)) == words
    assert (observed(Seen(pod(status))) is None) == bool(words)


def test_the_last_words_of_a_container() -> None:
    """Where the kubelet keeps them, they are in the pod's status; each end is told from the one before."""
    end = CRASHED | {"message": '{"event": "the checkpoint is cut short"}\n'}
    crashed = pod(waits("CrashLoopBackOff", restarts=2, last=end))
    assert restarts(crashed) == (2, "2026-11-29T21:00:05Z")
    assert said_at_the_end(crashed) == end["message"]
    assert restarts(pod(RUNS)) == (0, "")
    assert said_at_the_end(pod(RUNS)) == ""
