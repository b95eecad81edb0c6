"""What goes wrong in a cluster is said in the console's words, and ends once its cause does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Cluster, until
from tests.cluster.stage import STUDIOS, TeamStage, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[TeamStage]:
    """For all tests of the file: each leaves it asleep."""
    with staged(cluster, "failing") as stage:
        yield stage


@pytest.fixture(autouse=True)
def rested(team: TeamStage) -> None:
    """Also after a test that failed."""
    team.asleep()


def test_an_image_that_cannot_be_pulled(cluster: Cluster, team: TeamStage) -> None:
    """The registry's own words; once it gives the image, waking it by hand has it at once."""
    image = team.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]
    cluster.kubelet.refused_images[image] = "failed to resolve reference: 403 Forbidden"
    asked = team.draw()
    try:
        said = team.says("the image cannot be pulled")
    finally:
        del cluster.kubelet.refused_images[image]
    assert said.startswith("failed")
    assert "403 Forbidden" in said
    assert any("no-image" in each for each in team.events())
    asked.result(90)
    team.api("POST", "/api/endpoints/studio/wake")
    assert team.draw().result(90).status_code == 200
    team.asleep()


def test_a_crash_loop(cluster: Cluster, team: TeamStage, tmp_path: Path) -> None:
    """The container's last words; waking it by hand after the cause is gone has it at once."""
    cause = tmp_path / "cause"
    cause.touch()
    cluster.kubelet.environments["studio"] = {"EASEL_TEST_CRASH_WHILE": str(cause)}
    try:
        asked = team.draw()
        said = team.says("gave up after")
    finally:
        cause.unlink()
        del cluster.kubelet.environments["studio"]
    assert said.startswith("failed")
    assert "exit code 7" in said
    assert "no paint left" in said
    asked.result(90)
    team.api("POST", "/api/endpoints/studio/wake")
    assert team.draw().result(90).status_code == 200
    team.asleep()


def test_out_of_memory(cluster: Cluster, team: TeamStage) -> None:
    """It is said which it was; the request is drawn by the container that comes after."""
    with team.drawing() as (asked,):
        until(lambda: team.seen()["running"], 90, "it draws")
        (pod,) = cluster.pods(team.namespace, STUDIOS)
        cluster.kubelet.run_out_of_memory(team.namespace, pod["metadata"]["name"])
        until(lambda: any("out of memory" in each for each in team.events()), 30)
    answer = asked.result(90)
    assert answer.status_code == 200, answer.text
    team.asleep()


def test_no_capacity_then_another_kind(cluster: Cluster, team: TeamStage) -> None:
    """A cloud without the machine is told as such; another pool's machine serves whoever still waits."""
    cluster.without_nodes(team.pool.name)
    cluster.nodes.exhausted[team.pool.name] = "InsufficientInstanceCapacity"
    try:
        asked = team.draw()
        said = team.says("no capacity")
        assert said.startswith("starting")
        assert 'nodepool "a10"' in said
        cluster.nodes.pools.append(dataclasses.replace(team.pool, name="a10-on-demand"))
        assert asked.result(90).status_code == 200
        (pod,) = cluster.pods(team.namespace, STUDIOS)
        assert pod["spec"]["nodeName"].startswith("a10-on-demand-")
    finally:
        cluster.nodes.exhausted.clear()
    team.asleep()


def test_the_quota_is_used_up(cluster: Cluster, team: TeamStage) -> None:
    """Pods that may not be made are no silence: the console says why."""
    quota = cluster.api.get("v1", "ResourceQuota", "team", team.namespace)
    hard = quota["spec"]["hard"]
    cluster.api.patch(quota, {"spec": {"hard": {"requests.nvidia.com/gpu": "0"}}})
    asked = team.draw()
    try:
        team.says("the team's quota is used up")
    finally:
        cluster.api.patch(quota, {"spec": {"hard": hard}})
    asked.result(120)
    team.asleep()


def test_a_spot_instance_is_taken_back(cluster: Cluster, team: TeamStage) -> None:
    """What is being drawn is finished within the warning; the next picture is drawn elsewhere."""
    with team.drawing() as (asked,):
        until(lambda: team.seen()["running"], 90, "it draws")
        (pod,) = cluster.pods(team.namespace, STUDIOS)
        cluster.nodes.interrupt(pod["spec"]["nodeName"])
        said = team.says("its node is being emptied", seconds=cluster.nodes.warning)
    assert said.startswith("draining")
    following = team.draw()
    assert asked.result(60).status_code == 200
    assert following.result(90).status_code == 200
    until(lambda: pod["spec"]["nodeName"] not in cluster.nodes.here(), 60)
    team.asleep()


def test_a_node_is_lost(cluster: Cluster, team: TeamStage) -> None:
    """A machine that is silent is told as such; the call that it had is drawn by another."""
    with team.drawing() as (asked,):
        until(lambda: team.seen()["running"], 90, "it draws")
        (pod,) = cluster.pods(team.namespace, STUDIOS)
        node = pod["spec"]["nodeName"]
        cluster.nodes.lose(node)
        # "its node has it" is said of the one that takes its place
        team.says("does not answer", "its node is taken away", seconds=90)
    assert asked.result(120).status_code == 200
    cluster.nodes.remove(node)
    until(lambda: pod["metadata"]["name"] not in str(cluster.pods(team.namespace, STUDIOS)), 30)
    team.asleep()
