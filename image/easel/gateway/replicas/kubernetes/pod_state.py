"""What a pod is to the fleet: a pure function of what the API server, its events, its node and its container
say.

observed(Seen(pod, events=[…]))    # PodState("starting", "waits for a GPU: no node has one free (0/3 …)")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from easel.gateway import replica_words
from easel.gateway.kubernetes import Object
from easel.gateway.replicas import ReplicaState, Report
from easel.gateway.replicas.kubernetes.scheduling import unscheduled
from easel.remark import remark

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
_PULLING = remark("pod_pulling", "pulling the image")
_STARTS = remark("pod_starts", "the container starts")
# Events of a pod that is being made, and what each means; of several the last counts.
_MAKING = {
    "Scheduled": remark("pod_scheduled", "its node has it"),
    "Pulling": _PULLING,
    "Pulled": remark("pod_pulled", "the image is there"),
    "Created": remark("pod_created", "the container is made"),
    "Started": _STARTS,
    "FailedMount": remark("pod_no_mount", "its volumes cannot be mounted yet"),
    "FailedAttachVolume": remark("pod_no_attach", "its volumes cannot be attached yet"),
    "FailedCreatePodSandBox": remark("pod_no_network", "its network cannot be set up yet"),
    "FailedPullImage": _PULLING,
}
_SAID_IN_FULL = ("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
# Letters of what others say.
_LONGEST = 440


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
    seconds there was none, `spoke` whether there ever was, `was` what it counted as then and `said` its
    words; `words` the last of a container that ended."""

    pod: Object
    events: Sequence[Object] = ()
    node: Object | None = None
    report: Report | None = None
    quiet: float = 0.0
    spoke: bool = False
    was: ReplicaState = "starting"
    said: str = ""
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
        return PodState("draining", replica_words.FINISHING)
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
    ended = remark("pod_ended_so", "it ended ({reason})", reason=reason) if reason else _ENDED
    return _saying(_ENDINGS.get(reason, ended), message)


_ENDED = remark("pod_ended", "it ended")
_SHUT_DOWN = remark("pod_node_shut_down", "its node was shut down")
_ENDINGS = {
    "Evicted": remark("pod_evicted", "its node put it out"),
    "NodeLost": remark("pod_node_lost", "its node is lost"),
    "Shutdown": _SHUT_DOWN,
    "Terminated": _SHUT_DOWN,
    "NodeShutdown": _SHUT_DOWN,
    "UnexpectedAdmissionError": remark("pod_not_admitted", "its node did not take it"),
    "Preempted": remark("pod_replaced", "another pod took its place"),
}


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
    node = _node_trouble(seen)
    if node and seen.report is None:
        return PodState("failed", node, "node")
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
            text = remark("pod_started_again", "{why}; it was started again", why=_end(seen, running))
            return PodState("failed", text, "crashed")
        return _answering(seen)
    return PodState("starting", _making(seen))


def _waiting(seen: Seen, status: Object, waiting: Object) -> PodState | None:
    """What a waiting container means; None where it is only not there yet."""
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if reason in _NO_IMAGE:
        said = (_pull_error(seen) or message or reason)[:_LONGEST]
        text = remark("no_image", "the image cannot be pulled: {said}", said=said)
        return PodState("failed", text, "no-image", given_up=reason != "ErrImagePull")
    if reason == "CrashLoopBackOff":
        return _crashed(seen, status)
    if reason in _NO_CONTAINER:
        said = (message or reason)[:_LONGEST]
        text = remark("no_container", "its container cannot be made: {said}", said=said)
        return PodState("failed", text, "crashed")
    return None


def _crashed(seen: Seen, status: Object) -> PodState:
    """A container that ended, and which the kubelet starts again, ever later."""
    words = _end(seen, status)
    # A container that ended and waits is not counted by restartCount yet.
    starts = int(status.get("restartCount") or 0) + 1
    if starts >= seen.backoff_limit:
        text = remark("pod_given_up", "gave up after {n} starts; the last one: {why}", n=starts, why=words)
        return PodState("failed", text, "gave-up", given_up=True)
    text = remark("pod_again", "{why}; Kubernetes starts it again", why=words)
    return PodState("failed", text, "crashed")


def _end(seen: Seen, status: Object) -> str:
    """How a container ended, and what it said last."""
    end = _last_end(status)
    if end.get("reason") == "OOMKilled":
        what = _out_of_memory(seen.pod)
    elif end.get("exitCode") == 137:
        what = remark("pod_killed", "was killed (exit code 137): out of memory, most likely")
    else:
        what = remark("pod_exit", "exit code {code}", code=end.get("exitCode", "?"))
    return _saying(what, seen.words)


def _answering(seen: Seen) -> PodState:
    """A container that runs: it has the word itself."""
    report = seen.report
    if report is None:
        if seen.spoke and seen.quiet > seen.unresponsive:
            return PodState("failed", replica_words.hangs(seen.quiet), "hangs")
        if seen.spoke:
            # Who imports torch misses looks too: taken for ready, it refused those who waited for it.
            state = "ready" if seen.was == "draining" else seen.was
            return PodState(state, replica_words.silent(seen.quiet, seen.said))
        return PodState("starting", _on(seen, _STARTS))
    if report.phase == "ready":
        return PodState("ready", report.detail or replica_words.READY)
    if report.phase == "failed":
        return PodState("failed", report.detail or replica_words.FAILED)
    if report.phase == "loading":
        return PodState("loading", report.detail or replica_words.LOADING)
    return PodState("starting", report.detail or replica_words.IMPORTING)


def _making(seen: Seen) -> str:
    """How far a pod has come that its node has, by its last event."""
    event = next((one for one in reversed(seen.events) if one.get("reason") in _MAKING), None)
    if event is None:
        return _on(seen, remark("pod_made", "its container is being made"))
    reason, said = str(event["reason"]), str(event.get("message") or "")
    words = _on(seen, _MAKING[reason])
    return _saying(words, said) if reason in _SAID_IN_FULL else words


def _ending(seen: Seen) -> str:
    found = _condition(seen.pod, "DisruptionTarget")
    if found is not None:
        words = _DISRUPTED.get(str(found.get("reason")), _TAKEN_AWAY)
        return _saying(words, str(found.get("message") or ""))
    taints = [one.get("key") for one in ((seen.node or {}).get("spec") or {}).get("taints") or []]
    if "karpenter.sh/disrupted" in taints:
        return remark("pod_node_goes", "its node is taken away; it finishes its pictures")
    return replica_words.FINISHING if seen.report and seen.report.work.demand else replica_words.STOPPING


_TAKEN_AWAY = remark("pod_taken_away", "it is taken away")
_DISRUPTED = {
    "PreemptionByScheduler": remark("pod_preempted", "a more important pod takes its place"),
    "DeletionByTaintManager": remark("pod_node_taken", "its node is taken away"),
    "EvictionByEvictionAPI": remark("pod_node_emptied", "its node is being emptied"),
    "DeletionByPodGC": remark("pod_node_gone", "its node is gone"),
    "TerminationByKubelet": remark("pod_node_ends", "its node ends it"),
}


def _saying(words: str, said: str) -> str:
    """`words`, and what others said of it."""
    return remark("pod_saying", "{words}: {said}", words=words, said=said[:_LONGEST]) if said else words


def _node_trouble(seen: Seen) -> str:
    for one in ((seen.node or {}).get("status") or {}).get("conditions") or []:
        if one.get("type") == "Ready" and one.get("status") != "True":
            said = str(one.get("message") or one.get("reason") or "not ready")[:_LONGEST]
            words = "its node {place} does not answer ({said})"
            return remark("pod_node_silent", words, place=_place(seen), said=said)
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


def _out_of_memory(pod: Object) -> str:
    if limit := _limit(pod):
        words = "out of memory: its container took more than its limit of {limit}"
        return remark("pod_memory_limit", words, limit=limit)
    return remark("pod_memory", "out of memory: its container took more than its limit")


def _limit(pod: Object) -> str:
    for one in pod.get("spec", {}).get("containers") or []:
        limits = (one.get("resources") or {}).get("limits") or {}
        if one.get("name") == CONTAINER and limits.get("memory"):
            return str(limits["memory"])
    return ""


def _place(seen: Seen) -> str:
    """A node by its type and zone, else by its name."""
    labels = ((seen.node or {}).get("metadata") or {}).get("labels") or {}
    kind, zone = labels.get("node.kubernetes.io/instance-type"), labels.get("topology.kubernetes.io/zone")
    if kind and zone:
        return remark("place_in", "{kind} in {zone}", kind=kind, zone=zone)
    return str(kind or seen.pod["spec"]["nodeName"])


def _on(seen: Seen, what: str) -> str:
    return remark("pod_on", "{what} on {place}", what=what, place=_place(seen))
