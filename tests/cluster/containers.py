"""What a kubelet does for one container: its environment, its process, its probes."""

from __future__ import annotations

import base64
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from easel.studio.drain import wait_until_idle
from tests.cluster.api import Api, Object
from tests.cluster.daemon import Daemon
from tests.cluster.services import target_port

ROOT = Path(__file__).resolve().parents[2]
# What stands for an image by the label `app.kubernetes.io/component` of its pod; {ip}, {port}, {namespace},
# {name} and {folder}, an empty directory, are the pod's.
REPLICA = [sys.executable, "-S", str(ROOT / "tests/gateway/replica.py"), "--host", "{ip}", "--port", "{port}"]
STUDIO = [sys.executable, "-m", "easel.studio", "--host", "{ip}", "--port", "{port}", "--endpoint", "studio"]
STARTER = ROOT / "image/starter/easel-starter.safetensors"

GATEWAY = [sys.executable, "-m", "easel.gateway", "--home", "{folder}/home", "--namespace", "{namespace}"]
# What a pod's network and token would do.
GATEWAYS_OWN = {
    "KUBECONFIG": "{kubeconfig}",
    "EASEL_INNER": "{ip}:7861",
    "EASEL_BIND": "{ip}",
    "HOME": "{folder}",
    "EASEL_HOME": "{folder}/home",
}


class ConfigError(Exception):
    """A container's environment names what is not there; the kubelet's own words."""


def environment(api: Api, pod: Object, container: Object) -> dict[str, str]:
    """What a container finds in its environment.

    Raises:
        ConfigError: a ConfigMap, a Secret or a key is missing.
    """
    namespace, found = pod["metadata"]["namespace"], {}
    for each in container.get("envFrom", []):
        kind, reference = (
            ("Secret", each["secretRef"]) if "secretRef" in each else ("ConfigMap", each["configMapRef"])
        )
        content = _content(api, kind, reference, namespace)
        found |= {each.get("prefix", "") + key: value for key, value in content.items()}
    for each in container.get("env", []):
        source = each.get("valueFrom")
        value = _from(api, pod, source) if source else each.get("value", "")
        if value is not None:
            found[each["name"]] = value
    return found


def _from(api: Api, pod: Object, source: Object) -> str | None:
    if field := source.get("fieldRef"):
        value: Any = pod
        for part in field["fieldPath"].split("."):
            value = value.get(part, {})
        return str(value)
    if "secretKeyRef" not in source and "configMapKeyRef" not in source:
        return None
    kind, reference = (
        ("Secret", source["secretKeyRef"])
        if "secretKeyRef" in source
        else ("ConfigMap", source["configMapKeyRef"])
    )
    content = _content(api, kind, reference, pod["metadata"]["namespace"])
    if reference["key"] in content or reference.get("optional"):
        return content.get(reference["key"])
    raise ConfigError(
        f"couldn't find key {reference['key']} in {kind} {pod['metadata']['namespace']}/{reference['name']}"
    )


def _content(api: Api, kind: str, reference: Object, namespace: str) -> dict[str, str]:
    item = api.find("v1", kind, reference["name"], namespace)
    if item is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    data: dict[str, str] = item.get("data") or {}
    if kind == "Secret":
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    return data


class ContainerProcess:
    """A container's process; how it ended is told as a container runtime tells it."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log = log
        self._daemon = Daemon(command, log, environment)
        self._out_of_memory = False
        self.told_to_end = False

    @property
    def running(self) -> bool:
        return self._daemon.running

    @property
    def pid(self) -> int:
        return self._daemon.process.pid

    def signal(self, number: int) -> None:
        self.told_to_end |= number == signal.SIGTERM
        if self.running:
            self._daemon.process.send_signal(number)

    def run_out_of_memory(self) -> None:
        """As the kernel ends what passes its limit."""
        self._out_of_memory = True
        self.signal(signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so long."""
        try:
            self._daemon.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ended(self) -> tuple[int, str]:
        """Exit code and reason."""
        status = self._daemon.process.wait()
        code = 128 - status if status < 0 else status
        if self._out_of_memory:
            return code, "OOMKilled"
        return code, "Error" if code else "Completed"


class Probe:
    """One probe of a container, at its own rhythm; only what asks by HTTP or TCP."""

    def __init__(self, pod: Object, container: Object, kind: str, ip: str) -> None:
        self.kind = kind
        spec: Object = container.get(f"{kind}Probe") or {}
        self.exists = bool(spec)
        self.period = float(spec.get("periodSeconds", 10))
        self.delay = float(spec.get("initialDelaySeconds", 0))
        self.most_failures = int(spec.get("failureThreshold", 3))
        self._timeout = float(spec.get("timeoutSeconds", 1))
        asked: Object = spec.get("httpGet") or spec.get("tcpSocket") or {}
        only = {"spec": {"containers": [container]}}
        self._url = f"http://{ip}:{target_port(only, asked['port'])}{asked.get('path', '/')}" if asked else ""
        self._headers = {each["name"]: each["value"] for each in asked.get("httpHeaders", [])}
        self.failures = 0
        self._next = time.monotonic() + self.delay

    def due(self) -> bool:
        return self.exists and time.monotonic() >= self._next

    def ask(self) -> str:
        """The fault, in the kubelet's words; empty if there is none."""
        self._next = time.monotonic() + self.period
        try:
            answer = httpx.get(self._url, headers=self._headers, timeout=self._timeout, trust_env=False)
        except httpx.TransportError as error:
            fault = f'Get "{self._url}": {error}'
        else:
            bad = not 200 <= answer.status_code < 400
            fault = f"HTTP probe failed with statuscode: {answer.status_code}" if bad else ""
        self.failures = self.failures + 1 if fault else 0
        return fault


def before_stop(container: Object, ip: str, seconds: float, ended: Callable[[], bool]) -> None:
    """A container's preStop hook, for at most so long: by HTTP, a sleep, or the studio's own program."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    if asked := hook.get("httpGet"):
        port = target_port({"spec": {"containers": [container]}}, asked["port"])
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://{ip}:{port}{asked.get('path', '/')}", timeout=seconds, trust_env=False)
    elif command := hook.get("exec", {}).get("command"):
        assert "easel.studio.drain" in command, command
        port, at_most = (command[command.index(option) + 1] for option in ("--port", "--at-most"))
        # What it does, at the pod's address.
        wait_until_idle(f"http://{ip}:{port}/easel/load", min(seconds, float(at_most)))
    elif pause := hook.get("sleep"):
        waiting = threading.Event()
        until = time.monotonic() + min(seconds, float(pause["seconds"]))
        while not ended() and time.monotonic() < until:
            waiting.wait(0.1)
