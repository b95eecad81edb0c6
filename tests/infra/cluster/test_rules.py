"""What a stack file for a cluster is refused for, and what it is told to write instead."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.stacks import faults, stack

ADMIN = "arn:aws:iam::111122223333:role/team/Admin"
TEAM: dict[str, Any] = {"runs_on": "cluster", "domain": "art.example.com", "cluster": {"admins": [ADMIN]}}
ONE = {"studio": {"shape": "gpu.l4"}}


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sts::111122223333:assumed-role/Admin/me",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:group/leads",
        "Admin",
    ],
)
def test_an_admin_is_a_role_or_a_user(tmp_path: Path, arn: str) -> None:
    """What `aws sts get-caller-identity` prints of a role is a session, which EKS takes for nobody."""
    (fault,) = faults(tmp_path, ONE, {**TEAM, "cluster": {"admins": [arn]}})
    assert fault.startswith("easel:team.cluster.admins[0]")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("network", {"vpc": "vpc-0123456789abcdef0"}, "has the network"),
        ("storage", {"existing": "fs-0123456789abcdef0"}, "has the file system"),
        ("cluster", {"admins": [ADMIN]}, "has the cluster"),
    ],
)
def test_what_a_platform_has_is_not_the_teams_to_say(
    tmp_path: Path, field: str, value: dict[str, Any], said: str
) -> None:
    """It would be passed over in silence."""
    team = {"runs_on": "cluster", "domain": "art.example.com", "platform": "company", field: value}
    (fault,) = faults(tmp_path, ONE, team)
    assert fault == f'easel:team.{field}: is the platform\'s: "company" {said}'


@pytest.mark.parametrize(
    ("team", "where"),
    [
        ({"machine_images": {"gpu": "ami-0123456789abcdef0"}}, "easel:team.machine_images"),
        ({"acme": {"directory": "https://ca.example.com/directory"}}, "easel:team.acme"),
        ({"storage": {"gateway": "vol-0123456789abcdef0"}}, "easel:team.storage.gateway"),
    ],
)
def test_what_only_instances_know_is_refused(tmp_path: Path, team: dict[str, Any], where: str) -> None:
    """With the reason, for who comes from there."""
    (fault,) = faults(tmp_path, ONE, {**TEAM, **team})
    assert fault.startswith(f"{where}: goes with runs_on: instances only")


def test_a_cluster_is_nobody_elses_field(tmp_path: Path) -> None:
    """On instances it means nothing."""
    (fault,) = faults(tmp_path, ONE, {**TEAM, "runs_on": "instances"})
    assert fault == "easel:team.cluster: goes with runs_on: cluster; here it is instances"


def test_no_timeout_is_longer_than_the_load_balancer_waits(tmp_path: Path) -> None:
    """4,000 s without a byte is the most that AWS allows; instances have no such limit."""

    def lasting(seconds: int) -> dict[str, Any]:
        return {"studio": {"shape": "gpu.l4", "timeouts": {"request": f"{seconds}s"}}}

    stack(tmp_path, lasting(4000), TEAM)
    stack(tmp_path, lasting(4001), {"runs_on": "instances", "domain": "art.example.com"})
    (fault,) = faults(tmp_path, lasting(4001), TEAM)
    assert fault.startswith("easel:endpoints.studio.timeouts.request: 4001s is longer")


def test_images_come_from_registries_that_nodes_may_pull_from(tmp_path: Path) -> None:
    """A login would have to be a Secret of the namespace, which nobody makes yet."""
    own = {
        "ref": "ghcr.io/example/comfy:1",
        "port": 8188,
        "registry": "arn:aws:secretsmanager:us-east-1:111122223333:secret:login-Ab12Cd",
    }
    (fault,) = faults(tmp_path, {"comfy": {"shape": "gpu.l4", "image": own}}, TEAM)
    assert fault.startswith("easel:endpoints.comfy.image.registry: goes with runs_on: instances only")


def test_a_domain_is_no_longer_than_a_certificates_name(tmp_path: Path) -> None:
    """`*.<domain>` has 64 characters at most; where each host has its own certificate it may be longer."""
    longest = f"{'a' * 50}.example.com"
    assert len(longest) == 62
    assert stack(tmp_path, ONE, {**TEAM, "domain": longest})
    (fault,) = faults(tmp_path, ONE, {**TEAM, "domain": f"a{longest}"})
    assert fault.startswith("easel:team.domain: is 63 characters long")
    assert "take 62 or fewer" in fault
    assert stack(tmp_path, ONE, {"runs_on": "instances", "domain": f"a{longest}"})


@pytest.mark.parametrize("platform", ["art", "organization/easel/art"])
def test_a_stack_does_not_stand_on_itself(tmp_path: Path, platform: str) -> None:
    """Pulumi would look for what the stack says of itself, which is nothing yet."""
    team = {"runs_on": "cluster", "domain": "art.example.com", "platform": platform}
    (fault,) = faults(tmp_path, ONE, team)
    assert "is this stack itself" in fault
