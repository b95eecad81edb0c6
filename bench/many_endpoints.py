"""One team with very many endpoints in a cluster of very many nodes: what a gateway takes, and how late its
signal is. `python -m bench.many_endpoints [ENDPOINTS [NODES]]`; needs what `make cluster` builds.

The control plane is real (tests/cluster), the nodes are objects behind which no machine stands. Requests are
counted by the API server itself: the gateway is the only service account here, all else is an administrator.
KEDA is started as the program has its chart start it.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.running import ROOT
from bench.table import machine, markdown
from infra.namespace import manifests
from infra.on_kubernetes import target_of
from tests.cluster.control_plane import ControlPlane
from tests.infra.namespace.teams import Team
from tests.ports import free_port

ENDPOINTS, NODES = 1000, 5000
NAMESPACE = "easel-art"
# Where `infra.namespace` has Caddy listen.
CADDY = "http://127.0.0.1:8080"
_MINUTE = 60.0
_LOOKS = 5
# Seconds that KEDA has to take up the endpoints, and between two looks how far it is.
_KEDA_BEGINS, _LOOK = 600.0, 3.0


@dataclass(frozen=True)
class _Gateway:
    """The measured one: its process, its home, and where the cluster finds it."""

    process: subprocess.Popen[bytes]
    home: Path
    inner: str

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    @property
    def opened(self) -> bool:
        return httpx.get(f"http://{self.inner}/healthz", trust_env=False).is_success

    @property
    def processor(self) -> float:
        """Seconds of processor time so far, without Caddy's."""
        spent = psutil.Process(self.process.pid).cpu_times()
        return spent.user + spent.system

    @property
    def memory(self) -> str:
        """Of the gateway itself and of its Caddy."""
        own = psutil.Process(self.process.pid)
        caddy = next(one for one in own.children(recursive=True) if one.name() == "caddy")
        sizes = (one.memory_info().rss / 2**20 for one in (own, caddy))
        return " and ".join(f"{size:.0f}" for size in sizes) + " MiB"

    def operator(self) -> httpx.Client:
        known = json.loads((self.home / "run" / "gateway.json").read_text())
        return httpx.Client(
            base_url=known["url"],
            headers={"Authorization": f"Bearer {known['token']}"},
            timeout=60,
            trust_env=False,
        )

    def person(self) -> httpx.Client:
        """Who has a token of the console, as they come through Caddy from the proxy before it."""
        with self.operator() as operator:
            made = operator.post(
                "/api/tokens", json={"endpoint": "console", "name": "bench", "expires": None}
            )
            url = httpx.URL(operator.get("/api/status").json()["console"]["url"])
        headers = {"Authorization": f"Bearer {made.raise_for_status().json()['token']}", "Host": url.host}
        return httpx.Client(base_url=CADDY, headers=headers, timeout=60, trust_env=False)


class _Services:
    """What a cluster's network is to KEDA: a Caddy as its proxy, before the one gateway. The tests' stand-in
    cannot do five hundred requests a second beside all else."""

    def __init__(self, root: Path, gateway: str) -> None:
        listens, self._admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.url = f"http://{listens}"
        file = root / "services.Caddyfile"
        site = f"http://:{self.url.rpartition(':')[2]} {{\n\tbind 127.0.0.1\n\treverse_proxy {gateway}\n}}\n"
        file.write_text(f"{{\n\tadmin {self._admin}\n\tpersist_config off\n\tmetrics\n}}\n{site}")
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def asked(self) -> float:
        """How many signals KEDA has asked for so far."""
        text = httpx.get(f"http://{self._admin}/metrics", trust_env=False).text
        found = (line for line in text.splitlines() if line.startswith("caddy_http_requests_total{"))
        return sum(float(line.rpartition(" ")[2]) for line in found if 'handler="reverse_proxy"' in line)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def rows(endpoints: int = ENDPOINTS, nodes: int = NODES) -> list[list[str]]:
    """The measured rows of the table."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        inner = f"127.0.0.1:{free_port()}"
        services = _Services(root, inner)
        stack.callback(services.stop)
        plane = ControlPlane(root / "plane", services.url)
        stack.callback(plane.stop)
        plane.start()
        plane.stop_keda()
        names = [f"e{number:04d}" for number in range(endpoints)]
        made = _manifests(names)
        _make(plane.api, made, nodes)
        began = time.monotonic()
        gateway = _start(plane, root, inner)
        stack.callback(gateway.stop)
        _until(lambda: gateway.opened, 300)
        opened, starting = time.monotonic() - began, gateway.processor
        time.sleep(10)
        seen = [["gateway open", f"{opened:.1f} s, of it {starting:.1f} s of its processor time"]]
        seen += _at_rest(plane.api, gateway)
        seen += _looked_at(gateway)
        seen += [["one endpoint more until its host answers", f"{_added(plane.api, gateway, names):.2f} s"]]
        seen += _with_keda(plane, gateway, services, names)
    return [[f"{endpoints:,} endpoints asleep, {nodes:,} nodes", *row] for row in seen]


def _at_rest(api: Any, gateway: _Gateway) -> list[list[str]]:
    """What it takes while nobody comes."""
    before = gateway.processor
    asked = _spent(lambda: _requests(api))
    busy = (gateway.processor - before) / _MINUTE
    return [
        ["memory of the gateway and of Caddy", gateway.memory],
        ["processor of the gateway", f"{busy:.1%} of a core"],
        ["requests of the gateway to the API", f"{asked:,.0f} a minute"],
    ]


def _looked_at(gateway: _Gateway) -> list[list[str]]:
    """The console, asked as a browser and as `easel status` do."""
    with gateway.operator() as operator, gateway.person() as person:
        return [
            [what, _answers(gateway, client, path)]
            for what, client, path in (
                ("the console's page, through Caddy", person, "/"),
                ("what of it changes, each time", person, "/live"),
                ("the list for programs", operator, "/api/status"),
            )
        ]


def _answers(gateway: _Gateway, client: httpx.Client, path: str) -> str:
    took, before = [], gateway.processor
    for _ in range(_LOOKS):
        began = time.perf_counter()
        answer = client.get(path).raise_for_status()
        took.append(time.perf_counter() - began)
    each = (gateway.processor - before) / _LOOKS
    return f"{_spread(took)}, of it {each:.2f} s of processor time; {len(answer.content) / 2**20:.1f} MiB"


def _added(api: Any, gateway: _Gateway, names: list[str]) -> float:
    """Seconds from the ConfigMaps of one endpoint more until Caddy serves its host."""
    made = _manifests([*names, "late"])
    maps = {item["metadata"]["name"]: item for item in made if item["kind"] == "ConfigMap"}
    late, team = maps["config-late"], maps["config-team"]
    host = json.loads(late["data"]["late.json"])["host"]
    began = time.monotonic()
    for item in (late, team):
        api.apply(item)
    with httpx.Client(base_url=CADDY, headers={"Host": host}, trust_env=False) as stranger:
        _until(lambda: stranger.get("/").status_code == 401, 120)
    return time.monotonic() - began


def _with_keda(
    plane: ControlPlane, gateway: _Gateway, services: _Services, names: list[str]
) -> list[list[str]]:
    """What it takes while KEDA asks for every endpoint, and how long a wish takes to be one for a pod."""
    plane.start_keda()
    began = time.monotonic()
    while len(taken := _watched(plane.api)) < len(names) and time.monotonic() < began + _KEDA_BEGINS:
        time.sleep(_LOOK)
    took, operator = time.monotonic() - began, psutil.Process(plane.daemons["operator"].process.pid)
    before = gateway.processor
    asked = _spent(services.asked)
    busy = (gateway.processor - before) / _MINUTE
    delays = [_wake(plane.api, gateway, name) for name in taken[:_LOOKS]]
    return [
        ["endpoints that KEDA takes up", f"{len(taken):,} in {took:.0f} s"],
        ["memory of KEDA's operator", f"{operator.memory_info().rss / 2**20:.0f} MiB"],
        ["signals that KEDA asks for", f"{asked:,.0f} a minute"],
        ["processor of the gateway meanwhile", f"{busy:.1%} of a core"],
        ["memory of the gateway and of Caddy then", gateway.memory],
        ["woken by hand until KEDA has asked for a pod", _spread(delays)],
    ]


def _spent(counter: Callable[[], float]) -> float:
    """How much further a counter is after a minute."""
    before = counter()
    time.sleep(_MINUTE)
    return counter() - before


def _manifests(names: list[str]) -> list[dict[str, Any]]:
    studio = {"shape": "gpu.a10", "replicas": {"min": 0, "max": 1}, "idle": "1h"}
    spec = Team(dict.fromkeys(names, studio), {}, {}).spec
    links = dict.fromkeys([*names, "console"], "0" * 64)
    made: list[dict[str, Any]] = manifests(spec, target_of(spec), links)
    for item in made:
        if item["kind"] == "Deployment" and item["metadata"]["name"].startswith("studio-"):
            item["spec"]["replicas"] = 0
    return made


def _make(api: Any, made: list[dict[str, Any]], nodes: int) -> None:
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


def _start(plane: ControlPlane, root: Path, inner: str) -> _Gateway:
    home = root / "home"
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
    return _Gateway(process, home, inner)


def _wake(api: Any, gateway: _Gateway, name: str) -> float:
    """Seconds from waking an endpoint by hand until its Deployment is to have a pod."""
    with gateway.operator() as operator:
        began = time.monotonic()
        operator.post(f"/api/endpoints/{name}/wake").raise_for_status()

    def asked() -> bool:
        found = api.get("apps/v1", "Deployment", f"studio-{name}", NAMESPACE)
        return bool(found["spec"]["replicas"])

    _until(asked, 300)
    return time.monotonic() - began


def _requests(api: Any) -> int:
    """What service accounts have asked of the API server so far, of long watches their beginnings alone."""
    text = api.request("GET", "/metrics")["text"]
    counted: Iterable[str] = (
        line
        for line in text.splitlines()
        if line.startswith("apiserver_flowcontrol_dispatched_requests_total{")
        and 'flow_schema="service-accounts"' in line
    )
    return int(sum(float(line.rpartition(" ")[2]) for line in counted))


def _watched(api: Any) -> list[str]:
    """Endpoints whose ScaledObjects KEDA has taken up."""
    found = api.list("keda.sh/v1alpha1", "ScaledObject", NAMESPACE)
    return [each["metadata"]["name"].removeprefix("studio-") for each in found if _ready(each)]


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
