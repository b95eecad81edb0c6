"""Why a pod has no node yet, and why there is no pod, in words: what scheduler, autoscalers and quota say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from easel.gateway.kubernetes import Object

PAUSED = "autoscaling.keda.sh/paused-replicas"
# Beside it where the fuse did it, with the month and the budget that is spent: that goes when either is
# another; what somebody put to sleep stays so.
FUSE = "easel/fuse"
# Conditions: of a Deployment that gets no pods, of a ScaledObject that KEDA follows.
REPLICA_FAILURE, READY = "ReplicaFailure", "Ready"
_LONGEST = 500
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
        return "waits for the scheduler", ""
    message = str(found.get("message") or "")
    if found.get("reason") == "SchedulingGated":
        return f"waits at a scheduling gate: {message}"[:_LONGEST], ""
    buyer = _last(events, (*_BUYS, *_BUYS_NOT), message)
    if buyer is not None:
        said = str(buyer.get("message") or "")
        if buyer["reason"] in _BUYS:
            return f"a node comes for it: {said}"[:_LONGEST], ""
        return f"no capacity: {said}"[:_LONGEST], "no-capacity"
    if _NO_CAPACITY.search(message):
        return f"no capacity: {message}"[:_LONGEST], "no-capacity"
    lacks = _LACKS.search(message)
    what = "waits for a GPU: no node has one free" if lacks else "waits for a node"
    return f"{what} ({message})"[:_LONGEST] if message else what, ""


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
                return f"the team's quota is used up: {message}"[:_LONGEST], "quota"
            return f"Kubernetes makes no pod: {message}"[:_LONGEST], "refused"
    return None


def absent(name: str, deployment: Object | None, scaled: Object | None, waited: float) -> tuple[bool, str]:
    """Why a replica that is waited for, since `waited` seconds, has no pod: whether that is a failure, and
    words."""
    if deployment is None:
        return True, f"there is no Deployment {name}: `pulumi up` makes it"
    if scaled is None:
        return True, f"there is no ScaledObject {name}: `pulumi up` makes it, where KEDA is installed"
    if desired(deployment) > 0:
        return False, "Kubernetes makes its pod"
    for one in (scaled.get("status") or {}).get("conditions") or []:
        if one.get("type") == READY and one.get("status") == "False" and waited > _KEDA_SETTLES:
            return True, f"KEDA cannot scale it: {one.get('message') or one.get('reason')}"[:_LONGEST]
    if waited > _KEDA_SILENT:
        return True, (
            f"KEDA has not acted for {waited:.0f} s: does its operator run, and may it reach the gateway's "
            "port 7861?"
        )
    return False, "KEDA is told that one is needed"


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
