"""One pod on a kubelet: from being bound to a node to being gone, told in the kubelet's own words.

The words (reasons of states, of conditions and of events) are those of Kubernetes 1.36's `pkg/kubelet`. A
pod's first container is run; those that initialise it count as done.
"""

from __future__ import annotations

import datetime
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.api import ApiRefusalError, Object
from tests.cluster.containers import ConfigError, ContainerProcess, Probe, before_stop, environment
from tests.cluster.events import reference, tell

if TYPE_CHECKING:
    from tests.cluster.kubelet import Kubelet

# Seconds between two looks at probes and at the process.
LOOK = 0.1
# The first pause before what failed is tried again, and the longest, in seconds of a real kubelet.
FIRST_PAUSE, LONGEST_PAUSE = 10, 300


class PodLife:
    """A thread that plays the kubelet for one pod."""

    def __init__(self, kubelet: Kubelet, pod: Object, ip: str) -> None:
        self.kubelet, self.pod, self.ip = kubelet, pod, ip
        meta = pod["metadata"]
        self.namespace, self.name, self.uid = meta["namespace"], meta["name"], meta["uid"]
        self.container: Object = pod["spec"]["containers"][0]
        self.process: ContainerProcess | None = None
        # The node is gone: nothing is written any more, and nothing runs.
        self.lost = threading.Event()
        # Somebody deleted the pod.
        self.deleted = threading.Event()
        self._state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self._last: Object = {}
        self._restarts, self._ready, self._started = 0, False, False
        self._phase = "Pending"
        self._since = _now()
        self.thread = threading.Thread(target=self._live, name=f"pod {self.name}", daemon=True)
        self.thread.start()

    @property
    def label(self) -> str:
        return f"{self.name}_{self.namespace}({self.uid})"

    def log(self, previous: bool = False) -> Path:
        """Where the container's present or previous process writes."""
        number = self._restarts - 1 if previous else self._restarts
        return self.kubelet.logs / f"{self.namespace}_{self.name}_{self.uid}_{number}.log"

    def event(self, kind: str, reason: str, message: str) -> None:
        """An event of the pod in its namespace."""
        about = reference(self.pod, "Pod", field=f"spec.containers{{{self.container['name']}}}")
        tell(self.kubelet.api, about, kind, reason, message, "kubelet", self.pod["spec"]["nodeName"])

    def _live(self) -> None:
        try:
            self._tell()
            failures = 0
            while not self._over():
                if not self._pull() or (environment := self._configured()) is None:
                    continue
                began = time.monotonic()
                self._run(environment)
                if self._over():
                    break
                # A container that ran for ten minutes starts again with the first pause.
                failures = 0 if time.monotonic() - began > 600 else failures + 1
                self._back_off(failures)
            self._end()
        except ApiRefusalError as refusal:
            # The pod or its namespace went while something was told of it, or another has its name.
            if refusal.code not in (403, 404, 409):
                raise
            self._kill()
        finally:
            self.kubelet.forget(self)

    def _over(self) -> bool:
        return self.deleted.is_set() or self.lost.is_set()

    def _pause(self, seconds: float) -> None:
        """Waits for so many of a real kubelet's seconds, or for the end of the pod."""
        until = time.monotonic() + seconds * self.kubelet.pace
        while not self._over() and time.monotonic() < until:
            self.deleted.wait(LOOK)

    def _pull(self) -> bool:
        image = self.container["image"]
        if self.kubelet.has_image(image):
            self.event(
                "Normal",
                "Pulled",
                f'Container image "{image}" already present on machine and can be accessed by the pod',
            )
            return True
        self.event("Normal", "Pulling", f'Pulling image "{image}"')
        pause = FIRST_PAUSE
        while not self._over():
            fault = self.kubelet.pull(image)
            if not fault:
                self.event(
                    "Normal",
                    "Pulled",
                    f'Successfully pulled image "{image}" in 1s (1s including waiting). Image size: 1 bytes.',
                )
                return True
            self.event("Warning", "Failed", f'Failed to pull image "{image}": {fault}')
            self.event("Warning", "Failed", "Error: ErrImagePull")
            self._wait_for("ErrImagePull", fault)
            self._pause(2)
            self.event("Normal", "BackOff", f'Back-off pulling image "{image}"')
            self.event("Warning", "Failed", "Error: ImagePullBackOff")
            self._wait_for("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {fault}')
            self._pause(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return False

    def _configured(self) -> dict[str, str] | None:
        try:
            return environment(self.kubelet.api, self.pod | {"status": {"podIP": self.ip}}, self.container)
        except ConfigError as error:
            self.event("Warning", "Failed", f"Error: {error}")
            self._wait_for("CreateContainerConfigError", str(error))
            self._pause(FIRST_PAUSE)
            return None

    def _run(self, environment: dict[str, str]) -> None:
        """One process from its start to its end, or to the pod's."""
        command = self.kubelet.command(self)
        self.process = ContainerProcess(command, self.log(), environment | self.kubelet.environment(self))
        self.event("Normal", "Created", "Container created")
        self.event("Normal", "Started", "Container started")
        self._phase, self._state = "Running", {"running": {"startedAt": _now()}}
        probes = {
            kind: Probe(self.pod, self.container, kind, self.ip)
            for kind in ("startup", "readiness", "liveness")
        }
        self._started, self._ready = not probes["startup"].exists, False
        if self._started and not probes["readiness"].exists:
            self._ready = True
        self._tell()
        while self.process.running and not self._over():
            for probe in probes.values():
                if (probe.kind == "startup") != self._started and probe.due():
                    self._probe(probe)
            self.deleted.wait(LOOK)
        if not self._over():
            self._ended()

    def _probe(self, probe: Probe) -> None:
        assert self.process
        before = self._started, self._ready
        fault = probe.ask()
        if not self.process.running:
            return
        if fault:
            self.event("Warning", "Unhealthy", f"{probe.kind.capitalize()} probe failed: {fault}")
        if probe.failures >= probe.most_failures and probe.kind != "readiness":
            self.event(
                "Normal",
                "Killing",
                f"Container {self.container['name']} failed {probe.kind} probe, will be restarted",
            )
            self._terminate(self._grace())
            return
        if probe.kind == "startup" and not fault:
            self._started = True
            self._ready = not self.container.get("readinessProbe")
        elif probe.kind == "readiness" and (not fault or probe.failures >= probe.most_failures):
            self._ready = not fault
        if (self._started, self._ready) != before:
            self._tell()

    def _ended(self) -> None:
        assert self.process
        code, reason = self.process.ended()
        began = self._state["running"]["startedAt"]
        ended = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": _now()}
        if code and self.container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            ended["message"] = self.log().read_text(errors="replace")[-2048:]
        self._state = {"terminated": ended}
        self._started = self._ready = False
        self._tell()
        self._last = {"terminated": ended}
        self._restarts += 1

    def _back_off(self, failures: int) -> None:
        """The first restart is at once; the next ones wait."""
        if failures < 2:
            return
        pause = min(FIRST_PAUSE * 2 ** (failures - 2), LONGEST_PAUSE)
        name = self.container["name"]
        self.event("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {self.label}")
        text = f"back-off {_duration(pause)} restarting failed container={name} pod={self.label}"
        self._wait_for("CrashLoopBackOff", text)
        self._pause(pause)

    def _end(self) -> None:
        """Stops the process and lets go of the pod."""
        if self.lost.is_set():
            self._kill()
            return
        if self.process and self.process.running:
            self.event("Normal", "Killing", f"Stopping container {self.container['name']}")
            grace = self._grace()
            began = time.monotonic()
            process = self.process
            # It gets no new work while it finishes: that it is deleted has it out of every Service already.
            before_stop(self.container, self.ip, grace, lambda: not process.running)
            self._terminate(max(grace - (time.monotonic() - began), 0.0))
            if self.lost.is_set():
                return
            self._ended()
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        self.kubelet.api.delete("v1", "Pod", self.name, self.namespace, **options)

    def _terminate(self, grace: float) -> None:
        assert self.process
        self.process.signal(signal.SIGTERM)
        until = time.monotonic() + grace
        while not self.process.wait(LOOK) and time.monotonic() < until and not self.lost.is_set():
            pass
        self._kill()

    def _kill(self) -> None:
        if self.process:
            self.process.signal(signal.SIGKILL)

    def _grace(self) -> float:
        # A deletion may have shortened it.
        found = self.kubelet.api.find("v1", "Pod", self.name, self.namespace) or self.pod
        default = found["spec"].get("terminationGracePeriodSeconds", 30)
        return float(found["metadata"].get("deletionGracePeriodSeconds", default))

    def _wait_for(self, reason: str, message: str) -> None:
        self._state = {"waiting": {"reason": reason, "message": message}}
        self._tell()

    def _tell(self) -> None:
        """Writes the pod's status."""
        if self.lost.is_set():
            return
        name = self.container["name"]
        container = {
            "name": name,
            "image": self.container["image"],
            "imageID": "",
            "ready": self._ready,
            "started": self._started,
            "restartCount": self._restarts,
            "state": self._state,
            "lastState": self._last,
        }
        unready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{name}]"}
        # None takes away what an earlier patch said.
        ready = {"status": str(self._ready)} | (dict.fromkeys(unready) if self._ready else unready)
        status: dict[str, Any] = {
            "phase": self._phase,
            "hostIP": "127.0.0.1",
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "startTime": self._since,
            "containerStatuses": [container],
            "conditions": [
                {"type": "Initialized", "status": "True", "lastTransitionTime": self._since},
                {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": self._since},
                *(
                    {"type": kind, "lastTransitionTime": _now(), **ready}
                    for kind in ("ContainersReady", "Ready")
                ),
            ],
        }
        try:
            self.kubelet.api.patch(self.pod, {"status": status}, "status", "strategic")
        except ApiRefusalError as refusal:
            if refusal.code != 409:
                raise
            # Others wrote to it at the same moment, again and again: once more, as a kubelet does.
            self.kubelet.api.patch(self.pod, {"status": status}, "status", "strategic")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _duration(seconds: int) -> str:
    """As Go writes it: 10s, 1m20s."""
    return f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
