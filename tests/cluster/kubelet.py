"""A stand-in for the kubelets of all nodes: a pod that is bound to a node becomes a process of this machine.

It listens on the pod's own address, 127.a.x.y: all of 127/8 is loopback. Readiness, waiting reasons,
restarts, grace and deletion are a real kubelet's; its pauses are shorter by `pace`. Volumes are not mounted
and no limit is enforced: a test says which image cannot be pulled, what runs out of memory, which node is
lost.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.cluster.api import Api, ApiRefusalError, Object
from tests.cluster.containers import GATEWAY, GATEWAYS_OWN, REPLICA, ROOT
from tests.cluster.kubelet_server import KubeletServer
from tests.cluster.pods import PodLife

_COMPONENT = "app.kubernetes.io/component"


class Kubelet:
    """Runs every pod that has a node."""

    def __init__(self, api: Api, root: Path, certificate: tuple[Path, Path], port: int) -> None:
        self.api, self.root, self.port = api, root, port
        self.logs = root / "pods"
        self.logs.mkdir(parents=True)
        # Commands by a pod's label `app.kubernetes.io/component`; `{ip}`, `{port}`, `{namespace}`, `{name}`,
        # `{folder}` (an empty folder) and `{kubeconfig}` (of the pod's service account) are filled in.
        self.commands: dict[str, Sequence[str]] = {"studio": REPLICA, "gateway": GATEWAY}
        # What processes find in their environment in the place of what the pod says, by component.
        self.environments: dict[str, dict[str, str]] = {"gateway": GATEWAYS_OWN}
        # Images that a registry refuses, and in which words.
        self.refused_images: dict[str, str] = {}
        # Seconds that a pull takes.
        self.pulls_for = 0.2
        # A real kubelet's seconds in ours: 10 s of back-off are 1 s.
        self.pace = 0.1
        self._present: set[str] = set()
        self._lives: dict[str, PodLife] = {}
        self._lost_nodes: set[str] = set()
        self._numbers = itertools.count(2)
        # Of several control planes on one machine each has its own: Caddy shares a port with whoever
        # listens there already.
        self._network = 64 + os.getpid() % 180
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = KubeletServer(self, certificate, port)
        self._thread = threading.Thread(target=self._follow, name="kubelet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends all processes."""
        self._stopping.set()
        for life in list(self._lives.values()):
            life.lost.set()
        for life in list(self._lives.values()):
            life.thread.join(10)
        self._server.stop()

    def life(self, namespace: str, pod: str) -> PodLife:
        """What runs for a pod; KeyError where nothing does."""
        with self._lock:
            lives = {(each.namespace, each.name): each for each in self._lives.values()}
        return lives[namespace, pod]

    def run_out_of_memory(self, namespace: str, pod: str) -> None:
        """The kernel ends the pod's process."""
        process = self.life(namespace, pod).process
        assert process
        process.run_out_of_memory()

    def lose(self, node: str) -> None:
        """A node is gone without a word: its processes end, and nothing more is told of its pods."""
        with self._lock:
            self._lost_nodes.add(node)
            lost = [life for life in self._lives.values() if life.pod["spec"]["nodeName"] == node]
        for life in lost:
            life.lost.set()

    def has_image(self, image: str) -> bool:
        """Whether it was pulled already and is not refused now."""
        return image in self._present and image not in self.refused_images

    def pull(self, image: str) -> str:
        """Pulls an image; the fault in a runtime's words, or nothing."""
        time.sleep(self.pulls_for)
        if fault := self.refused_images.get(image):
            return fault
        self._present.add(image)
        return ""

    def command(self, life: PodLife) -> list[str]:
        """What stands for the pod's image."""
        ports = [port["containerPort"] for port in life.container.get("ports", [])]
        folder = self.root / "volumes" / life.uid
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "ip": life.ip,
            "port": ports[0] if ports else 0,
            "namespace": life.namespace,
            "name": life.name,
        }
        template = self.commands[life.pod["metadata"].get("labels", {}).get(_COMPONENT, "studio")]
        kubeconfig = folder / "kubeconfig"
        if "{kubeconfig}" in " ".join((*template, *self._extra(life).values())):
            account = life.pod["spec"].get("serviceAccountName", "default")
            self.api.service_account(account, life.namespace).kubeconfig(kubeconfig, life.namespace)
        values |= {"folder": str(folder), "kubeconfig": str(kubeconfig)}
        return [part.format(**values) for part in template]

    def environment(self, life: PodLife) -> dict[str, str]:
        """What is set in the place of the pod's own: folders of its image are not there."""
        folder = self.root / "volumes" / life.uid
        values = {"ip": life.ip, "folder": str(folder), "kubeconfig": str(folder / "kubeconfig")}
        values |= {"namespace": life.namespace, "name": life.name}
        extra = {key: value.format(**values) for key, value in self._extra(life).items()}
        return {"PYTHONPATH": f"{ROOT / 'image'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"} | extra

    def _extra(self, life: PodLife) -> dict[str, str]:
        component = life.pod["metadata"].get("labels", {}).get(_COMPONENT, "studio")
        return self.environments.get(component, {})

    def forget(self, life: PodLife) -> None:
        """The pod's life is over."""
        with self._lock:
            self._lives.pop(life.uid, None)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                pods, since = self.api.listed("v1", "Pod")
                self._see(pods)
                for change, pod in self.api.watch("v1", "Pod", since):
                    if self._stopping.is_set():
                        return
                    if change == "ERROR":
                        break  # what happened since is forgotten: a new list
                    self._hear(change, pod)
            except (httpx.TransportError, ApiRefusalError):
                # The API restarts, or the tests end.
                self._stopping.wait(0.5)

    def _see(self, pods: list[Object]) -> None:
        """Take what is there; what went while nobody watched is gone."""
        there = {pod["metadata"]["uid"] for pod in pods}
        with self._lock:
            missed = [life.pod for uid, life in self._lives.items() if uid not in there]
        for pod in missed:
            self._hear("DELETED", pod)
        for pod in pods:
            self._hear("ADDED", pod)

    def _hear(self, change: str, pod: Object) -> None:
        node, uid = pod["spec"].get("nodeName"), pod["metadata"]["uid"]
        with self._lock:
            life = self._lives.get(uid)
            over = change == "DELETED" or pod["status"].get("phase") in ("Succeeded", "Failed")
            if life is None and node and not over and node not in self._lost_nodes:
                number = next(self._numbers)
                life = self._lives[uid] = PodLife(
                    self, pod, f"127.{self._network}.{number // 250}.{number % 250 + 2}"
                )
        if life is None:
            return
        if change == "DELETED":
            # By force, or with its node: nobody waits for the process.
            life.lost.set()
        if "deletionTimestamp" in pod["metadata"]:
            life.deleted.set()
