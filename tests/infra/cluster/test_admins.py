"""Who may administer a cluster."""

import pulumi
import pytest

from tests.infra.cluster.stacks import CLUSTER, CLUSTER_STACKS, cluster_graph, run_cluster
from tests.infra.program_stacks import Stack, stacks_world
from tests.infra.world import ACCOUNT


def test_whoever_runs_it_must_be_an_admin() -> None:
    """Else a cluster would be made in ten minutes, and nothing in it."""
    world = stacks_world()
    world.caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/Reader/me"
    with pytest.raises(pulumi.RunError, match="assumed-role/Reader/me, which runs this, is not among them"):
        run_cluster(Stack({}, CLUSTER), world)
    world.exports["organization/easel/company"] = {"platform": cluster_graph("platform").outputs["platform"]}
    with pytest.raises(pulumi.RunError, match=r"cluster\.admins of company: .*Reader/me"):
        run_cluster(CLUSTER_STACKS["on a platform"], world)
    found = run_cluster(Stack({}, {"runs_on": "cluster"}), world)
    named = f"arn:aws:iam::{ACCOUNT}:role/team/Reader"
    assert named in {entry.inputs["principalArn"] for entry in found.of("AccessEntry")}
    assert any("names nobody" in line for line in found.said)
