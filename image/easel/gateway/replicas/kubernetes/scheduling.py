"""Why a pod has no node yet, and why there is no pod, in words: what scheduler, autoscalers and quota say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from easel.gateway.kubernetes import Object
from easel.remark import figure, remark

PAUSED = "autoscaling.keda.sh/paused-replicas"
# Beside it where the fuse did it, with the month and the budget that is spent: that goes when either is
# another; what somebody put to sleep stays so.
FUSE = "easel/fuse"
# Conditions: of a Deployment that gets no pods, of a ScaledObject that KEDA follows.
REPLICA_FAILURE, READY = "ReplicaFailure", "Ready"
# Letters of what others say.
_LONGEST = 440
WAITS_FOR_SCHEDULER = remark("pod_unscheduled", "waits for the scheduler")
_WAITS_FOR_GPU = remark("pod_waits_gpu", "waits for a GPU: no node has one free")
_WAITS_FOR_NODE = remark("pod_waits_node", "waits for a node")
# Seconds after which KEDA, which looks every two, is not there.
_KEDA_SILENT = 30.0
# Seconds that a new ScaledObject is not Ready: until KEDA has asked for its signal once.
_KEDA_SETTLES = 5.0
# Words of those who buy nodes (Karpenter, EKS Auto Mode, Cluster Autoscaler, GKE) for "there is none to buy".
_NO_CAPACITY = re.compile(
    r"insufficient ?capacity|exceed(s|ed)? limits? for nodepool|all available instance types exceed|"
    r"no instance type|max node group size reached|max cluster .* limit reached|in backoff|out of resources|"
    r"MaxSpotInstanceCountExceeded|VcpuLimitExceeded|quota",
    re.IGNORECASE,
)
_BUYS = ("TriggeredScaleUp", "Nominated")
_BUYS_NOT = ("NotTriggerScaleUp", "FailedScaleUp")
_LACKS = re.compile(r"Insufficient ([a-z0-9./-]+/[a-z0-9.-]+)")


def unscheduled(pod: Object, events: Sequence[Object]) -> tuple[str, str]:
    """Why a pod has no node, and the kind of event that it is worth."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    found = next((one for one in conditions if one.get("type") == "PodScheduled"), None)
    if found is None:
        return WAITS_FOR_SCHEDULER, ""
    message = str(found.get("message") or "")
    if found.get("reason") == "SchedulingGated":
        return remark("pod_gated", "waits at a scheduling gate: {said}", said=message[:_LONGEST]), ""
    buyer = _last(events, (*_BUYS, *_BUYS_NOT), message)
    if buyer is not None:
        said = str(buyer.get("message") or "")
        if buyer["reason"] in _BUYS:
            return remark("pod_node_comes", "a node comes for it: {said}", said=said[:_LONGEST]), ""
        return _no_capacity(said), "no-capacity"
    if _NO_CAPACITY.search(message):
        return _no_capacity(message), "no-capacity"
    what = _WAITS_FOR_GPU if _LACKS.search(message) else _WAITS_FOR_NODE
    said = message[:_LONGEST]
    return remark("pod_waits_said", "{what} ({said})", what=what, said=said) if said else what, ""


def _no_capacity(said: str) -> str:
    return remark("no_capacity", "no capacity: {said}", said=said[:_LONGEST])


def _last(events: Sequence[Object], reasons: Sequence[str], scheduler: str) -> Object | None:
    """The last word of who buys nodes. Karpenter says `FailedScheduling` as the scheduler does."""
    for one in reversed(events):
        reason, said = one.get("reason"), str(one.get("message") or "")
        if reason in reasons:
            return one
        if reason == "FailedScheduling" and said != scheduler and _NO_CAPACITY.search(said):
            return one | {"reason": "FailedScaleUp"}
    return None


def refused(deployment: Object | None) -> tuple[str, str] | None:
    """Why the Deployment gets no pods, and the kind of event, if its ReplicaSet may not make any."""
    for one in ((deployment or {}).get("status") or {}).get("conditions") or []:
        if one.get("type") == REPLICA_FAILURE and one.get("status") == "True":
            message = str(one.get("message") or one.get("reason") or "")
            if "exceeded quota" in message:
                words = "the team's quota is used up: {said}"
                return remark("team_quota", words, said=message[:_LONGEST]), "quota"
            words = "Kubernetes makes no pod: {said}"
            return remark("no_pod", words, said=message[:_LONGEST]), "refused"
    return None


def absent(name: str, deployment: Object | None, scaled: Object | None, waited: float) -> tuple[bool, str]:
    """Why a replica that is waited for, since `waited` seconds, has no pod: whether that is a failure, and
    words."""
    if deployment is None:
        words = "there is no Deployment {name}: `pulumi up` makes it"
        return True, remark("no_deployment", words, name=name)
    if scaled is None:
        words = "there is no ScaledObject {name}: `pulumi up` makes it, where KEDA is installed"
        return True, remark("no_scaled_object", words, name=name)
    if desired(deployment) > 0:
        return False, remark("pod_is_made", "Kubernetes makes its pod")
    for one in (scaled.get("status") or {}).get("conditions") or []:
        if one.get("type") == READY and one.get("status") == "False" and waited > _KEDA_SETTLES:
            said = str(one.get("message") or one.get("reason"))[:_LONGEST]
            return True, remark("keda_cannot", "KEDA cannot scale it: {said}", said=said)
    if waited > _KEDA_SILENT:
        words = (
            "KEDA has not acted for {n} s: does its operator run, and may it reach the gateway's port 7861?"
        )
        return True, remark("keda_silent", words, n=figure(waited, ".0f"))
    return False, remark("keda_told", "KEDA is told that one is needed")


def desired(deployment: Object | None) -> int:
    """How many replicas a Deployment is to have."""
    return int(((deployment or {}).get("spec") or {}).get("replicas") or 0)


def paused(scaled: Object | None) -> bool:
    """Whether KEDA was told to have none: by hand, or by the fuse."""
    return str(_annotations(scaled).get(PAUSED, "")) == "0"


def fused(scaled: Object | None) -> str:
    """Which month's budget told so; "" if none did."""
    return str(_annotations(scaled).get(FUSE, ""))


def _annotations(one: Object | None) -> Object:
    found: Object = ((one or {}).get("metadata") or {}).get("annotations") or {}
    return found
