"""What happens to a team in a cluster, from its doors to its nodes, all the way by HTTP.

Its own manifests on the real control plane, two gateways and their Caddy as pods; a small program in the
studio's place, and stand-ins for kubelets and for who makes nodes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Cluster, until
from tests.cluster.stage import TeamStage, staged

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[TeamStage]:
    """For all tests of the file: each leaves it asleep."""
    with staged(cluster, "art") as stage:
        yield stage


def test_asked_woken_drawn_and_asleep_again(cluster: Cluster, team: TeamStage) -> None:
    """A request at the door of a sleeping endpoint: KEDA, a node, a pod, an answer; with three at once three
    replicas; after `idle` none, and no node."""
    asked = team.draw()
    answer = asked.result(90)
    assert answer.status_code == 200, answer.text
    assert answer.json()["target"].startswith("/sdapi/v1/txt2img")
    crowd = [team.draw(15, number) for number in range(4)]
    until(lambda: len(team.studios()) == 3, 90, "three replicas")
    assert len({pod["spec"]["nodeName"] for pod in team.studios()}) == 3
    assert [each.result(120).status_code for each in crowd] == [200] * 4
    team.asleep()
    until(lambda: not cluster.nodes.here("a10"), 30, "no node is paid for")
