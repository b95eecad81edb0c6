"""The fuse of a team in a cluster: nodes are counted, and past the budget nothing wakes, by hand or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from easel.gateway.config import Budget, ClusterDeployment, Container, Endpoint, Replicas, Team
from easel.gateway.events import Events
from easel.gateway.replicas import ContainerProbe, OpenRequests, ReplicaTimeouts, Spending
from easel.gateway.replicas.kubernetes import Fuse, Namespace
from easel.gateway.replicas.kubernetes.scheduling import FUSE, PAUSED
from easel.gateway.replicas.kubernetes.studio_deployment import StudioDeployment

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
STARTED = "2026-11-22T11:00:00Z"
# One dollar and three dollars an hour.
MACHINES = {"g6.xlarge": 1.0, "g6.2xlarge": 3.0}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Kept:
    content: bytes
    etag: str


class Memory:
    """A ledger of texts, as a bucket or a ConfigMap keeps them."""

    def __init__(self) -> None:
        self.texts: dict[str, Kept] = {}

    def get(self, key: str) -> Kept | None:
        return self.texts.get(key)

    def put(self, key: str, content: bytes, etag: str | None) -> str | None:
        known = self.texts.get(key)
        if etag != (known.etag if known else None):
            return None
        self.texts[key] = Kept(content, str(int(etag or 0) + 1))
        return self.texts[key].etag

    def place(self, key: str) -> str:
        return key


@dataclass
class Watched:
    """A namespace as it is followed: nodes, one ScaledObject, no pod. It is its API too, which shows what is
    written at once."""

    machines: list[dict[str, Any]] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    nodes_trouble: str = ""
    trouble: str = ""
    writes: int = 0

    @property
    def api(self) -> Watched:
        return self

    def path(self, kind: str, name: str = "", **rest: str) -> str:
        return name

    async def patch(self, path: str, change: dict[str, Any]) -> None:
        self.writes += 1
        told = {**self.annotations, **change["metadata"]["annotations"]}
        self.annotations = {key: value for key, value in told.items() if value is not None}

    def nodes(self) -> list[dict[str, Any]]:
        return self.machines

    def pods(self, endpoint: str) -> list[dict[str, Any]]:
        return []

    def events(self, pod: str) -> list[dict[str, Any]]:
        return []

    def deployment(self, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"replicas": 0}}

    def scaled(self, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name, "annotations": self.annotations}}


def node(team: str = "art", pool: str = "gpu-l4", kind: str = "g6.xlarge") -> dict[str, Any]:
    labels = {"easel/team": team, "easel/pool": pool, "node.kubernetes.io/instance-type": kind}
    return {"metadata": {"name": "n", "creationTimestamp": STARTED, "labels": labels}}


class Stage:
    """A fuse, and one endpoint that it may stop."""

    def __init__(self, monthly: float = 5, stop: bool = True) -> None:
        self.watched, self.ledger, self.events = Watched(), Memory(), Events()
        self.said: list[str] = []
        self.team = Team(team="art", machines=MACHINES, budget=Budget(monthly=monthly, stop=stop))
        self.spending = Spending(self.ledger, self.said.append)
        namespace = cast(Namespace, self.watched)
        self.fuse = Fuse(namespace, self.events, self.spending, lambda: self.team)
        endpoint = Endpoint(
            name="studio", port=8080, replicas=Replicas(min=0, max=2), container=Container(port=7860),
            deployment=ClusterDeployment(name="studio-studio"),
        )  # fmt: skip
        self.endpoint = StudioDeployment(
            endpoint, namespace=namespace, events=self.events, timeouts=ReplicaTimeouts(),
            probe=ContainerProbe(OpenRequests(), 1.0, None), fuse=self.fuse,
        )  # fmt: skip

    async def look(self, *, later: float = 0.0) -> Any:
        """What the endpoint shows, once what it wrote is written; `later` by so many seconds."""
        self.endpoint._fused_at = float("-inf")
        if later:
            await self.look()
            assert self.endpoint._doubted_since is not None
            self.endpoint._doubted_since -= later
        found = await self.endpoint.look()
        await asyncio.sleep(0)
        return found

    def told(self) -> list[str]:
        return [each.text for each in self.events.of() if each.kind == "budget"]


@pytest.fixture
def stage() -> Callable[..., Stage]:
    return Stage


async def test_what_the_teams_nodes_cost(stage: Callable[..., Stage]) -> None:
    """Each from its start, by its type; of a type that nobody knew the dearest; not those of others."""
    one = stage(monthly=100)
    one.watched.machines = [node(), node(kind="g6.2xlarge"), node(kind="p9.large"), node(team="other")]
    one.watched.machines.append({"metadata": {"name": "system", "creationTimestamp": STARTED, "labels": {}}})
    one.fuse.count(NOON)
    assert one.spending.dollars(NOON) == pytest.approx(1 + 3 + 3)
    one.watched.machines = [node()]
    one.fuse.count(NOON + 1800)
    assert one.spending.dollars(NOON) == pytest.approx(7.5)
    assert one.fuse.reason == ""
    assert one.told() == []


async def test_a_gateway_goes_on_where_another_was(stage: Callable[..., Stage]) -> None:
    """What was counted is kept, and is counted once."""
    one, two = stage(), stage()
    one.watched.machines = [node()]
    one.fuse.count(NOON)
    await one.fuse.close()
    again = Spending(one.ledger, two.said.append)
    again.load(NOON + 60)
    assert again.dollars(NOON) == pytest.approx(1)
    later = Fuse(cast(Namespace, one.watched), two.events, again, lambda: one.team)
    later.count(NOON + 60)
    assert again.dollars(NOON) == pytest.approx(1 + 1 / 60)


async def test_past_the_budget_nothing_wakes(stage: Callable[..., Stage]) -> None:
    """KEDA is told to have none, who asks is told why at once, by hand it does not wake; room mends it."""
    one = stage(monthly=1)
    one.watched.machines = [node()]
    one.fuse.count(NOON)
    assert "the budget for November is spent: $1.00 of $1" in one.fuse.reason
    await one.look()
    assert one.watched.annotations == {PAUSED: "0", FUSE: "2026-11 1"}
    assert "budget for November" in one.endpoint.resting
    one.endpoint.expect(True)
    (replica,) = await one.look()
    assert (replica.state, replica.given_up, replica.address) == ("failed", True, None)
    assert "budget for November" in replica.detail
    await one.endpoint.resume()
    assert one.watched.annotations == {PAUSED: "0", FUSE: "2026-11 1"}
    assert one.watched.writes == 1
    # Said anew after a while: who asks then hears it at once too.
    await one.endpoint.revive()
    (later,) = await one.look()
    assert later.since > replica.since
    one.team = Team(team="art", machines=MACHINES, budget=Budget(monthly=100, stop=True))
    one.fuse.count(NOON)
    (replica,) = await one.look(later=10)
    assert (replica.state, replica.given_up) == ("starting", False)
    assert one.watched.annotations == {}
    assert [text.split(":")[0] for text in one.told()] == [
        "the budget for November is spent",
        "the budget for November is spent",
        "the budget for November is spent",
        "the budget has room again",
    ]


async def test_who_was_put_to_sleep_by_hand_stays_so(stage: Callable[..., Stage]) -> None:
    """The fuse takes off what it put on, and nothing else."""
    one = stage(monthly=1)
    one.watched.annotations = {PAUSED: "0"}
    one.watched.machines = [node()]
    one.fuse.count(NOON)
    await one.look()
    one.team = Team(team="art", machines=MACHINES)
    one.fuse.count(NOON)
    await one.look()
    assert one.watched.annotations == {PAUSED: "0"}
    assert one.endpoint.resting == "put to sleep by hand"
    assert one.watched.writes == 0


async def test_without_stop_the_budget_only_rings(stage: Callable[..., Stage]) -> None:
    """`stop: false` is an alarm and no fuse; what is spent is counted all the same."""
    one = stage(monthly=1, stop=False)
    one.watched.machines, one.watched.nodes_trouble = [node()], "Kubernetes denies it"
    one.fuse.count(NOON)
    assert one.fuse.reason == ""
    assert one.spending.dollars(NOON) == pytest.approx(1)
    assert one.told() == []


async def test_a_fuse_that_sees_no_nodes_says_so(stage: Callable[..., Stage]) -> None:
    """Once: a budget that nothing watches would be believed."""
    one = stage()
    one.watched.nodes_trouble = "Kubernetes denies GET /api/v1/nodes"
    one.fuse.count(NOON)
    one.fuse.count(NOON + 5)
    (text,) = one.told()
    assert "machines cannot be counted" in text
    assert "denies GET /api/v1/nodes" in text


async def test_gateways_that_count_differently_do_not_undo_each_other(
    stage: Callable[..., Stage],
) -> None:
    """What one has blown the other leaves, and wakes nothing, until the month or the budget is another."""
    one = stage(monthly=5)
    one.watched.annotations = {PAUSED: "0", FUSE: "2026-11 5"}
    one.fuse.count(NOON)
    await one.look()
    assert one.fuse.reason == ""
    assert "another gateway" in one.endpoint.resting
    await one.endpoint.resume()
    assert one.watched.annotations == {PAUSED: "0", FUSE: "2026-11 5"}
    one.fuse.count(datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC).timestamp())
    await one.look(later=10)
    assert one.watched.annotations == {}


async def test_who_has_not_read_the_budget_yet_leaves_the_fuse_in(stage: Callable[..., Stage]) -> None:
    """A gateway that counts every five seconds took out what another had blown by the new budget, and a
    machine woke: by its own look, and by who asked."""
    one = stage(monthly=5)
    one.fuse.count(NOON)
    one.watched.annotations = {PAUSED: "0", FUSE: "2026-11 1"}
    await one.look()
    await one.endpoint.resume()
    await one.look(later=9)
    assert one.watched.annotations == {PAUSED: "0", FUSE: "2026-11 1"}
    assert one.watched.writes == 0
    one.team = Team(team="art", machines=MACHINES, budget=Budget(monthly=1, stop=True))
    one.fuse.count(NOON)
    await one.look()
    one.team = Team(team="art", machines=MACHINES)
    one.fuse.count(NOON)
    await one.look(later=9)
    assert one.watched.writes == 0, "what was doubted before is doubted anew"
    await one.look(later=10)
    assert one.watched.annotations == {}
