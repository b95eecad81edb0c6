"""The fuse of a team in a cluster, all the way: nodes that cost a dollar a second, a picture, a budget."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.cluster.conftest import Cluster, until
from tests.cluster.stage import STUDIOS, TeamStage, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]
TYPE = "g5.xlarge"


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[TeamStage]:
    """A team whose nodes are bought, with no budget yet."""
    with staged(cluster, "frugal", machines={TYPE: 3600.0}) as stage:
        yield stage


def allow(team: TeamStage, monthly: float) -> None:
    """A change of `budget`, as `pulumi up` applies it."""
    config = team.cluster.api.get("v1", "ConfigMap", "config-team", team.namespace)
    told = json.loads(config["data"]["team.json"])
    told["budget"] = {"monthly": monthly, "stop": True}
    team.cluster.api.patch(config, {"data": {"team.json": json.dumps(told)}})


def spent(team: TeamStage) -> float:
    """What the ledger says of the months, in dollars."""
    found = team.cluster.api.get("v1", "ConfigMap", "easel-spent", team.namespace)
    return sum(float(json.loads(text)["dollars"]) for text in (found.get("data") or {}).values())


def scaled(team: TeamStage) -> dict[str, Any]:
    found = team.cluster.api.get("keda.sh/v1alpha1", "ScaledObject", "studio-studio", team.namespace)
    return dict(found["metadata"].get("annotations") or {})


def kept(cluster: Cluster, team: TeamStage) -> list[Object]:
    """Pods that nobody deleted."""
    found = cluster.pods(team.namespace, STUDIOS)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_past_the_budget_nothing_wakes(cluster: Cluster, team: TeamStage) -> None:
    """What draws finishes, everything sleeps, who asks is told why at once; a raised budget wakes again."""
    pool = team.pool
    labels = {
        **pool.labels, "easel/team": team.name, "easel/pool": "gpu-a10",
        "node.kubernetes.io/instance-type": TYPE,
    }  # fmt: skip
    team.pool = dataclasses.replace(pool, labels=labels)
    cluster.nodes.pools[-1] = team.pool
    with team.drawing() as (asked,):
        until(lambda: team.seen()["running"], 90, "it draws")
        allow(team, 1)
        until(lambda: "autoscaling.keda.sh/paused-replicas" in scaled(team), 60, "KEDA is paused")
        assert scaled(team)["easel/fuse"].endswith(" 1")
        until(lambda: not kept(cluster, team), 60, "its pod is let go")
    answer = asked.result(60)
    assert answer.status_code == 200, answer.text
    team.asleep()
    # Each counts every five seconds.
    until(lambda: all("is spent" in team.seen(number)["detail"] for number in (0, 1)), 30, "both count it")
    for number in (0, 1):
        began = time.monotonic()
        refused = team.draw(number=number).result(90)
        assert refused.status_code == 503, refused.text
        assert "is spent" in refused.text
        assert time.monotonic() - began < 30, "nobody waits for what does not come"
    team.api("POST", "/api/endpoints/studio/wake")
    time.sleep(5)
    assert not cluster.pods(team.namespace, STUDIOS), "by hand it wakes neither"
    allow(team, 1_000_000)
    until(lambda: not any("is spent" in team.seen(number)["detail"] for number in (0, 1)), 60, "both know")
    until(lambda: not scaled(team), 60, "KEDA counts again")
    assert team.draw().result(120).status_code == 200
    # Written once a minute: by now it mostly was.
    until(lambda: spent(team) > 1, 120, "what was spent is kept")
    team.asleep()
