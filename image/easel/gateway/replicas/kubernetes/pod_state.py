"""What a pod is to the fleet: a pure function of what the API server, its events, its node and its container
say.

observed(Seen(pod, events=[…]))    # PodState("starting", "waits for a GPU: no node has one free (0/3 …)")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easel.gateway.kubernetes import Object
from easel.gateway.replicas import ReplicaState, Report
from easel.gateway.replicas.kubernetes.scheduling import unscheduled

CONTAINER = "studio"
DRAINING = "easel/draining"
_NO_IMAGE = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable",
    "ImageInspectError", "SignatureValidationFailed",
)  # fmt: skip
_NO_CONTAINER = (
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
    "PreStartHookError", "PostStartHookError", "ContainerCannotRun", "StartError",
)  # fmt: skip
# Events of a pod that is being made, and what each means; of several the last counts.
_MAKING = {
    "Scheduled": "its node has it",
    "Pulling": "pulling the image",
    "Pulled": "the image is there",
    "Created": "the container is made",
    "Started": "the container starts",
    "FailedMount": "its volumes cannot be mounted yet",
    "FailedAttachVolume": "its volumes cannot be attached yet",
    "FailedCreatePodSandBox": "its network cannot be set up yet",
    "FailedPullImage": "pulling the image",
}
_SAID_IN_FULL = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
_LONGEST = 500


@dataclass(frozen=True)
class PodState:
    """A state and a sentence. `kind` is the event's, where that is more than the state; `given_up`: it comes
    to nothing by waiting."""

    state: ReplicaState
    detail: str
    kind: str = ""
    given_up: bool = False


@dataclass(frozen=True)
class Seen:
    """A pod with all that is known of it. `report` is its container's own answer, `quiet` for how many
    seconds there was none, `spoke` whether there ever was; `words` the last of a container that ended."""

    pod: Object
    events: Sequence[Object] = ()
    node: Object | None = None
    report: Report | None = None
    quiet: float = 0.0
    spoke: bool = False
    words: str = ""
    # It ended since the last look and was started again already: the next look sees it as it is.
    mended: bool = False
    # After so many starts that came to nothing it counts as given up; after so many seconds of silence as
    # hanging.
    backoff_limit: int = 5
    unresponsive: float = 120.0

    @property
    def status(self) -> Object:
        """The pod's."""
        return self.pod.get("status") or {}


def observed(seen: Seen) -> PodState | None:
    """What a pod is now; None for what is no replica: its pod has ended, and another takes its place."""
    if seen.status.get("phase") in ("Succeeded", "Failed"):
        return None
    if seen.pod["metadata"].get("deletionTimestamp"):
        return PodState("draining", _ending(seen))
    if draining(seen.pod):
        return PodState("draining", "finishing its pictures")
    if not seen.pod.get("spec", {}).get("nodeName"):
        detail, kind = unscheduled(seen.pod, seen.events)
        return PodState("starting", detail, kind)
    return _on_its_node(seen)


def draining(pod: Object) -> bool:
    """Whether a gateway marked it as one that goes."""
    return bool((pod["metadata"].get("annotations") or {}).get(DRAINING))


def ended(pod: Object) -> str:
    """Why a pod has ended for good, in words; "" for one that has not."""
    status = pod.get("status") or {}
    if status.get("phase") not in ("Succeeded", "Failed"):
        return ""
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    words = {
        "Evicted": "its node put it out",
        "NodeLost": "its node is lost",
        "Shutdown": "its node was shut down",
        "Terminated": "its node was shut down",
        "NodeShutdown": "its node was shut down",
        "UnexpectedAdmissionError": "its node did not take it",
        "Preempted": "another pod took its place",
    }.get(reason, f"it ended ({reason})" if reason else "it ended")  # fmt: skip
    return f"{words}: {message}"[:_LONGEST] if message else words


def restarts(pod: Object) -> tuple[int, str]:
    """How often its containers were started again, and the end of the last one (RFC 3339), "" if none
    ended."""
    found = _statuses(pod)
    times = [_last_end(one).get("finishedAt") or "" for one in found]
    return sum(int(one.get("restartCount") or 0) for one in found), max(times, default="")


def said_at_the_end(pod: Object) -> str:
    """What its last container that ended said, where the kubelet keeps it (`FallbackToLogsOnError`)."""
    return next((str(end["message"]) for one in _statuses(pod) if (end := _last_end(one)).get("message")), "")


def _on_its_node(seen: Seen) -> PodState:
    node = _node_trouble(seen.node)
    if node and seen.report is None:
        return PodState("failed", f"its node {_place(seen)} {node}", "node")
    for status in _statuses(seen.pod):
        state = status.get("state") or {}
        if waiting := state.get("waiting"):
            if found := _waiting(seen, status, waiting):
                return found
        elif (end := state.get("terminated")) and (status["name"] == CONTAINER or end.get("exitCode")):
            return _crashed(seen, status)
    running: Object = next((one for one in _statuses(seen.pod) if one["name"] == CONTAINER), {})
    if "running" in (running.get("state") or {}):
        if seen.mended:
            return PodState("failed", f"{_end(seen, running)}; it was started again"[:_LONGEST], "crashed")
        return _answering(seen)
    return PodState("starting", _making(seen))


def _waiting(seen: Seen, status: Object, waiting: Object) -> PodState | None:
    """What a waiting container means; None where it is only not there yet."""
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _NO_IMAGE:
        text = f"the image cannot be pulled: {_pull_error(seen) or message or reason}"
        return PodState("failed", text[:_LONGEST], "no-image", given_up=reason != "ErrImagePull")
    if reason == "CrashLoopBackOff":
        return _crashed(seen, status)
    if reason in _NO_CONTAINER:
        return PodState("failed", f"its container cannot be made: {message or reason}"[:_LONGEST], "crashed")
    return None


def _crashed(seen: Seen, status: Object) -> PodState:
    """A container that ended, and which the kubelet starts again, ever later."""
    words = _end(seen, status)
    # A container that ended and waits is not counted by restartCount yet.
    starts = int(status.get("restartCount") or 0) + 1
    if starts >= seen.backoff_limit:
        text = f"gave up after {starts} starts; the last one: {words}"
        return PodState("failed", text[:_LONGEST], "gave-up", given_up=True)
    return PodState("failed", f"{words}; Kubernetes starts it again"[:_LONGEST], "crashed")


def _end(seen: Seen, status: Object) -> str:
    """How a container ended, and what it said last."""
    end = _last_end(status)
    if end.get("reason") == "OOMKilled":
        what = f"out of memory: its container took more than its limit{_limit(seen.pod)}"
    elif end.get("exitCode") == 137:
        what = "was killed (exit code 137): out of memory, most likely"
    else:
        what = f"exit code {end.get('exitCode', '?')}"
    return f"{what}: {seen.words}" if seen.words else what


def _answering(seen: Seen) -> PodState:
    """A container that runs: it has the word itself."""
    report = seen.report
    if report is None:
        if seen.spoke and seen.quiet > seen.unresponsive:
            return PodState(
                "failed", f"hangs: its container has not answered for {seen.quiet:.0f} s", "hangs"
            )
        if seen.spoke:
            return PodState("ready", f"has not answered for {seen.quiet:.0f} s")
        return PodState("starting", f"the container starts{_on(seen)}")
    if report.phase == "ready":
        return PodState("ready", report.detail or "ready")
    if report.phase == "failed":
        return PodState("failed", report.detail or "the container says it failed, and not why: read its log")
    if report.phase == "loading":
        return PodState("loading", report.detail or "loading the checkpoint")
    return PodState("starting", report.detail or "importing")


def _making(seen: Seen) -> str:
    """How far a pod has come that its node has, by its last event."""
    event = next((one for one in reversed(seen.events) if one.get("reason") in _MAKING), None)
    if event is None:
        return f"its container is being made{_on(seen)}"
    reason, said = str(event["reason"]), str(event.get("message") or "")
    words = _MAKING[reason]
    return f"{words}{_on(seen)}: {said}"[:_LONGEST] if reason in _SAID_IN_FULL else f"{words}{_on(seen)}"


def _ending(seen: Seen) -> str:
    found = _condition(seen.pod, "DisruptionTarget")
    if found is not None:
        words, said = _DISRUPTED.get(str(found.get("reason")), "it is taken away"), found.get("message")
        return f"{words}: {said}"[:_LONGEST] if said else words
    taints = [one.get("key") for one in ((seen.node or {}).get("spec") or {}).get("taints") or []]
    if "karpenter.sh/disrupted" in taints:
        return "its node is taken away; it finishes its pictures"
    return "finishing its pictures" if seen.report and seen.report.work.demand else "stopping"


_DISRUPTED = {
    "PreemptionByScheduler": "a more important pod takes its place",
    "DeletionByTaintManager": "its node is taken away",
    "EvictionByEvictionAPI": "its node is being emptied",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node ends it",
}


def _node_trouble(node: Object | None) -> str:
    for one in ((node or {}).get("status") or {}).get("conditions") or []:
        if one.get("type") == "Ready" and one.get("status") != "True":
            return f"does not answer ({one.get('message') or one.get('reason') or 'not ready'})"
    return ""


def _pull_error(seen: Seen) -> str:
    """The registry's own words, which the kubelet's state has at first only."""
    said = [str(one.get("message")) for one in seen.events
            if one.get("reason") == "Failed" and "pull" in str(one.get("message"))]  # fmt: skip
    return said[-1] if said else ""


def _statuses(pod: Object) -> list[Object]:
    """Of its containers, those that run before the studio first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _last_end(status: Object) -> Object:
    for which in ("state", "lastState"):
        if end := (status.get(which) or {}).get("terminated"):
            return dict(end)
    return {}


def _condition(pod: Object, kind: str) -> Object | None:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind and one.get("status") == "True"), None)


def _limit(pod: Object) -> str:
    for one in pod.get("spec", {}).get("containers") or []:
        limits = (one.get("resources") or {}).get("limits") or {}
        if one.get("name") == CONTAINER and limits.get("memory"):
            return f" of {limits['memory']}"
    return ""


def _place(seen: Seen) -> str:
    """A node by its type and zone, else by its name."""
    labels = ((seen.node or {}).get("metadata") or {}).get("labels") or {}
    kind, zone = labels.get("node.kubernetes.io/instance-type"), labels.get("topology.kubernetes.io/zone")
    return f"{kind} in {zone}" if kind and zone else str(kind or seen.pod["spec"]["nodeName"])


def _on(seen: Seen) -> str:
    return f" on {_place(seen)}"
