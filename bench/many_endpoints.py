"""One team with very many endpoints in a cluster of very many nodes: what a gateway takes, and how late its
signal is. `python -m bench.many_endpoints [ENDPOINTS [NODES]]`; needs what `make cluster` builds.

The control plane is real (tests/cluster), the nodes are objects behind which no machine stands. Requests are
counted by the API server itself, those of a minute without the gateway taken off those of a minute with it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.running import ROOT
from bench.table import machine, markdown

ENDPOINTS, NODES = 1000, 5000
NAMESPACE, DOMAIN = "easel-art", "art.example.com"
_MINUTE = 60.0
_LOOKS = 5


def rows(endpoints: int = ENDPOINTS, nodes: int = NODES) -> list[list[str]]:
    """The measured rows of the table."""
    from tests.cluster.control_plane import ControlPlane
    from tests.cluster.services import ServiceProxy

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        services = ServiceProxy()
        plane = ControlPlane(root / "plane", services.url)
        gateway: subprocess.Popen[bytes] | None = None
        try:
            plane.start()
            services.api = plane.api
            plane.stop_keda()
            names = [f"e{number:04d}" for number in range(endpoints)]
            _make(plane.api, names, nodes)
            before = _requests(plane.api)
            time.sleep(_MINUTE)
            alone = _requests(plane.api) - before
            began = time.monotonic()
            gateway, home, inner = _gateway(plane, root)
            services.instead[(NAMESPACE, "gateway-inner")] = inner
            _until(lambda: httpx.get(f"http://{inner}/healthz", trust_env=False).is_success, 300)
            opened = time.monotonic() - began
            time.sleep(10)
            before = _requests(plane.api)
            spent = psutil.Process(gateway.pid).cpu_times()
            time.sleep(_MINUTE)
            asked = _requests(plane.api) - before - alone
            now = psutil.Process(gateway.pid).cpu_times()
            busy = (now.user + now.system - spent.user - spent.system) / _MINUTE
            memory = psutil.Process(gateway.pid).memory_info().rss
            pages = [_console(home) for _ in range(_LOOKS)]
            plane.start_keda()
            _until(lambda: _watched(plane.api) >= endpoints, 900)
            delays = [_wake(plane.api, inner, home, name) for name in names[:_LOOKS]]
        finally:
            if gateway is not None:
                gateway.terminate()
                gateway.wait(60)
            plane.stop()
            services.stop()
    what = f"{endpoints:,} endpoints asleep, {nodes:,} nodes"
    return [
        [what, "gateway open", f"{opened:.1f} s"],
        [what, "memory of a gateway", f"{memory / 2**20:.0f} MiB"],
        [what, "processor of a gateway", f"{busy:.0%} of a core"],
        [what, "requests to the API", f"{max(0, asked):,} a minute"],
        [what, "the console's list", _spread(pages)],
        [what, "woken by hand until KEDA has asked for a pod", _spread(delays)],
    ]


def _make(api: Any, names: list[str], nodes: int) -> None:
    from infra.namespace import manifests
    from infra.on_kubernetes import target_of
    from tests.infra.namespace.teams import Team

    studio = {"shape": "gpu.a10", "replicas": {"min": 0, "max": 1}, "idle": "1h"}
    spec = Team(dict.fromkeys(names, studio), {}, {}).spec
    links = dict.fromkeys([*names, "console"], "0" * 64)
    made = manifests(spec, target_of(spec), links)
    for item in made:
        if item["kind"] == "Deployment" and item["metadata"]["name"].startswith("studio-"):
            item["spec"]["replicas"] = 0
    with ThreadPoolExecutor(8) as pool:
        first = [item for item in made if item["kind"] in ("Namespace", "ServiceAccount", "Role")]
        for item in first:
            api.apply(item)
        list(pool.map(api.apply, [item for item in made if item not in first]))
        list(pool.map(api.create, map(_node, range(nodes))))


def _node(number: int) -> dict[str, Any]:
    room = {"cpu": "8", "memory": "30Gi", "pods": "110", "nvidia.com/gpu": "1"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"gpu-{number}", "labels": {"easel.test/gpu": "a10"}},
        "spec": {"taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]},
        "status": {"capacity": room, "allocatable": room},
    }


def _gateway(plane: Any, root: Path) -> tuple[subprocess.Popen[bytes], Path, str]:
    from tests.ports import free_port

    home, inner = root / "home", f"127.0.0.1:{free_port()}"
    account = plane.api.service_account("gateway", NAMESPACE)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "image"),
        "KUBECONFIG": str(account.kubeconfig(root / "kubeconfig", NAMESPACE)),
        "EASEL_INNER": inner,
        "EASEL_BIND": "127.0.0.1",
        "POD_NAME": "gateway-0",
    }
    command = [sys.executable, "-m", "easel.gateway", "--home", str(home), "--namespace", NAMESPACE]
    with (root / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    return process, home, inner


def _operator(home: Path) -> httpx.Client:
    known = json.loads((home / "run" / "gateway.json").read_text())
    return httpx.Client(
        base_url=known["url"],
        headers={"Authorization": f"Bearer {known['token']}"},
        timeout=60,
        trust_env=False,
    )


def _console(home: Path) -> float:
    """Seconds that the console's list of all endpoints takes."""
    with _operator(home) as operator:
        began = time.perf_counter()
        operator.get("/api/status").raise_for_status()
        return time.perf_counter() - began


def _wake(api: Any, inner: str, home: Path, name: str) -> float:
    """Seconds from waking an endpoint by hand until its Deployment is to have a pod."""
    with _operator(home) as operator:
        began = time.monotonic()
        operator.post(f"/api/endpoints/{name}/wake").raise_for_status()

    def asked() -> bool:
        found = api.get("apps/v1", "Deployment", f"studio-{name}", NAMESPACE)
        return bool(found["spec"]["replicas"])

    _until(asked, 300)
    return time.monotonic() - began


def _requests(api: Any) -> int:
    """What the API server has answered so far, long watches but for their beginnings left out."""
    text = api.request("GET", "/metrics")["text"]
    counted: Iterable[str] = (
        line for line in text.splitlines() if line.startswith("apiserver_request_total{")
    )
    return int(sum(float(line.rpartition(" ")[2]) for line in counted))


def _watched(api: Any) -> int:
    """ScaledObjects that KEDA has taken up."""
    found = api.list("keda.sh/v1alpha1", "ScaledObject", NAMESPACE)
    return sum(_ready(each) for each in found)


def _ready(scaled: dict[str, Any]) -> bool:
    conditions = scaled.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _until(true: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.2)


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    sys.stdout.write(f"{machine()}\n\n{markdown(('what', 'of', 'seen'), rows(*numbers))}\n")
