"""A team on the control plane with everything that `pulumi up` makes of it: its own manifests, two gateways
as pods, an endpoint that sleeps. People come to the doors by HTTP.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from infra.namespace import manifests
from infra.on_kubernetes import target_of
from tests.cluster.api import Object
from tests.cluster.conftest import Cluster, until
from tests.cluster.nodes import NodePool
from tests.cluster.volumes import bind
from tests.infra.namespace.teams import Team

DOOR = 8080
GATEWAYS = "app.kubernetes.io/component=gateway"
STUDIOS = "app.kubernetes.io/component=studio"
# What every other machine of a cluster is: gateways run there.
PLAIN = NodePool("system", allocatable={"cpu": "4", "memory": "14Gi"})
_addresses = itertools.count(2)


class TeamStage:
    """One team in its namespace."""

    def __init__(
        self, cluster: Cluster, name: str, *, machines: Mapping[str, float] | None = None, **endpoint: Any
    ) -> None:
        """`machines`: what nodes cost an hour by type, where they are bought."""
        self.cluster, self.name = cluster, name
        studio = {"shape": "gpu.a10", "replicas": {"min": 0, "max": 3}, "idle": "3s", "concurrency": 1}
        wait = {"wake": "150s", "request": "150s"}
        # Labels and a taint, as machines with GPUs have them.
        selector = {"easel.test/gpu": "a10"}
        taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
        tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        where = {"shapes": {"gpu.a10": {"node_selector": selector}}, "tolerations": tolerated}
        spec = Team({"studio": {**studio, "timeouts": wait, **endpoint}}, where, {}, name).spec
        target = dataclasses.replace(target_of(spec), machines=machines or {})
        self.namespace = target.namespace
        self.domain = spec.team.domain
        self.tokens = {one: f"easel_{name}s-first-token-of-{one}" for one in ("studio", "console")}
        hashes = {one: hashlib.sha256(token.encode()).hexdigest() for one, token in self.tokens.items()}
        self.objects = [_hurried(item) for item in manifests(spec, target, hashes)]
        self.pool = NodePool(
            "a10",
            labels=selector,
            taints=[taint],
            allocatable={"cpu": "8", "memory": "30Gi", "nvidia.com/gpu": "1"},
        )
        self._people = ThreadPoolExecutor(32)

    def open(self) -> None:
        """Everything applied, both gateways ready, the endpoint asleep."""
        self.cluster.nodes.pools = [PLAIN, self.pool]
        self.cluster.vacant(self.namespace)
        for item in self.objects:
            if item["kind"] == "Deployment" and item["metadata"]["name"] == "studio-studio":
                # As the program registers it: how many there are is KEDA's from then on.
                item = {**item, "spec": {**item["spec"], "replicas": 0}}
            self.cluster.api.apply(item)
        until(lambda: bind(self.cluster.api, self.namespace), 30, "claims are bound")
        until(lambda: len(self.gateways()) == 2, 150, "two gateways are ready")
        assert not self.cluster.pods(self.namespace, STUDIOS), "nobody asked for it"
        self.asleep()

    def close(self) -> None:
        """Everything gone, processes at once."""
        self._people.shutdown(wait=False, cancel_futures=True)
        self.cluster.end(self.namespace)
        for item in self.objects:
            if "namespace" not in item["metadata"]:
                self.cluster.api.delete(item["apiVersion"], item["kind"], item["metadata"]["name"])

    # ── what there is ────────────────────────────────────────────────────────────────────────────

    def gateways(self) -> list[Object]:
        """The pods of gateways that are ready."""
        return self.cluster.ready(self.namespace, GATEWAYS)

    def studios(self) -> list[Object]:
        """The pods of the studio that are ready."""
        return self.cluster.ready(self.namespace, STUDIOS)

    def asleep(self) -> None:
        """Waits until no replica is left, and every gateway knows: one that still sees the last ready has
        nothing to wake."""
        until(lambda: not self.cluster.pods(self.namespace, STUDIOS), 60, "the studio sleeps")
        until(lambda: {self.seen(number)["state"] for number in (0, -1)} == {"asleep"}, 30, "both know")

    def deployment(self) -> Object:
        return self.cluster.api.get("apps/v1", "Deployment", "studio-studio", self.namespace)

    def set_image(self, image: str) -> None:
        """A change of the team's image, as `pulumi up` applies it."""
        change = {"spec": {"containers": [{"name": "studio", "image": image}]}}
        self.cluster.api.patch(self.deployment(), {"spec": {"template": change}}, how="strategic")

    @contextlib.contextmanager
    def idle(self, seconds: int) -> Iterator[None]:
        """KEDA lets the studio be for so long after the last that was to be done."""
        scaled = self.cluster.api.get("keda.sh/v1alpha1", "ScaledObject", "studio-studio", self.namespace)
        before = scaled["spec"]["cooldownPeriod"]
        self.cluster.api.patch(scaled, {"spec": {"cooldownPeriod": seconds}})
        try:
            yield
        finally:
            self.cluster.api.patch(scaled, {"spec": {"cooldownPeriod": before}})

    # ── people ───────────────────────────────────────────────────────────────────────────────────

    def door(self, number: int = 0) -> str:
        """Where a load balancer sends people: one of the gateways."""
        ready = self.gateways()
        return f"http://{ready[number % len(ready)]['status']['podIP']}:{DOOR}"

    def client(self, number: int = 0, token: str = "") -> httpx.Client:
        """A person of their own with the endpoint's token, or another."""
        count = next(_addresses)
        return httpx.Client(
            base_url=self.door(number),
            headers={
                "Host": f"studio.{self.domain}",
                "Authorization": f"Bearer {token or self.tokens['studio']}",
            },
            transport=httpx.HTTPTransport(local_address=f"127.1.{count // 250}.{count % 250 + 2}"),
            timeout=120,
            trust_env=False,
        )

    def draw(self, seconds: float = 0.0, number: int = 0) -> Future[httpx.Response]:
        """Somebody asks for a picture at a gateway's door."""
        return self._ask(f"seconds={seconds}", number)

    @contextlib.contextmanager
    def drawing(self, count: int = 1) -> Iterator[list[Future[httpx.Response]]]:
        """So many people, at each gateway in turn, ask for pictures that are done when this is over: however
        long it takes until what they are for has happened."""
        with tempfile.NamedTemporaryFile() as unfinished:
            yield [self._ask(f"while={unfinished.name}", number) for number in range(count)]

    def _ask(self, query: str, number: int) -> Future[httpx.Response]:
        client = self.client(number)
        return self._people.submit(client.post, f"/sdapi/v1/txt2img?{query}", json={})

    def _told(self, number: int) -> dict[str, str] | None:
        """What a gateway that is ready has said of itself; None where it ends or begins at this moment."""
        if not (ready := self.gateways()):
            return None
        name = ready[number % len(ready)]["metadata"]["name"]
        try:
            life = self.cluster.kubelet.life(self.namespace, name)
            home = self.cluster.kubelet.root / "volumes" / life.uid / "home"
            told: dict[str, str] = json.loads((home / "run" / "gateway.json").read_text())
        except (KeyError, FileNotFoundError):
            return None
        return told

    def api(self, method: str, path: str, number: int = 0) -> Any:
        """A gateway's operator API, as the console asks it."""
        known = until(lambda: self._told(number), 30, "a gateway says where its operator finds it")
        answer = httpx.request(
            method,
            f"{known['url']}{path}",
            headers={"Authorization": f"Bearer {known['token']}"},
            timeout=10,
            trust_env=False,
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def seen(self, number: int = 0) -> dict[str, Any]:
        """The endpoint, as the console tells it."""
        endpoints: list[dict[str, Any]] = self.api("GET", "/api/status", number)["endpoints"]
        return next(each for each in endpoints if each["name"] == "studio")

    def events(self) -> list[str]:
        """The endpoint's events, as the console lists them, the oldest first."""
        found = self.api("GET", "/api/events?endpoint=studio")
        return [f"{each['kind']}: {each['text']}" for each in found]

    def details(self, number: int = 0) -> list[str]:
        """State and sentence of each replica, as the console shows them."""
        return [f"{each['state']}: {each['detail']}" for each in self.seen(number)["replicas"]]

    def says(self, *words: str, seconds: float = 60) -> str:
        """Waits until the console says one of these of a replica; the whole sentence."""
        seen: list[str] = []

        def found() -> str | None:
            seen[:] = self.details()
            return next((each for each in seen if any(one in each for one in words)), None)

        try:
            return str(until(found, seconds))
        except AssertionError:
            raise AssertionError(f"no replica says {words!r}: {self.seen()}, {self.events()[-5:]}") from None


def _hurried(item: Object) -> Object:
    """Pauses that prove nothing by their length are shortened."""
    if item["kind"] == "ScaledObject":
        behaviour = item["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        behaviour["scaleDown"]["stabilizationWindowSeconds"] = 3
        item["spec"]["pollingInterval"] = 1
    if item["kind"] == "Deployment":
        for container in item["spec"]["template"]["spec"]["containers"]:
            container["readinessProbe"]["periodSeconds"] = 1
            if pause := container["lifecycle"]["preStop"].get("sleep"):
                pause["seconds"] = 2
    return item


@contextlib.contextmanager
def staged(cluster: Cluster, name: str, **endpoint: Any) -> Iterator[TeamStage]:
    """A team for as long as it is needed."""
    stage = TeamStage(cluster, name, **endpoint)
    try:
        stage.open()
        yield stage
    finally:
        stage.close()
