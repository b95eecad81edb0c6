"""The file system: one of the stack's own, and one that is there. Its policy, as IAM reads it."""

import json
from typing import Any

import pulumi
import pytest

from infra.filesystem import access_policy
from tests.infra.graph import Graph, World, provision
from tests.infra.instances.evaluation import Request, allowed

ONE = {"studio": {"shape": "gpu.t4"}}
FILES = "fs-0123456789abcdef0"
EXISTING = {"storage": {"existing": FILES}}
ARN = "arn:aws:elasticfilesystem:us-east-1:111122223333:file-system/" + FILES
POINT = "arn:aws:elasticfilesystem:us-east-1:111122223333:access-point/fsap-"


POLICY = json.loads(access_policy(ARN))["Statement"]
"""Asked with the keys of NFS clients alone, as EFS does; with roles' own, in `instances/test_policies.py`."""


def may(action: str, **context: str) -> bool:
    """Whether somebody whose own policy allows everything gets past the file system's."""
    own = [{"Effect": "Allow", "Action": "elasticfilesystem:*", "Resource": "*"}]
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return allowed(Request(f"elasticfilesystem:{action}", ARN, keys), own, POLICY)


BY_TLS = {"aws__SecureTransport": "true"}
BY_POINT = {**BY_TLS, "elasticfilesystem__AccessPointArn": POINT + "studio"}


def test_an_administrator_too_comes_by_tls_by_an_access_point_and_not_as_root() -> None:
    """What no identity's own policy can allow, whoever it is."""
    assert may("ClientMount", **BY_POINT)
    assert may("ClientWrite", **BY_POINT)
    for action in ("ClientMount", "ClientWrite"):
        assert not may(action, **BY_TLS), "the root of the file system"
        assert not may(action, **{**BY_POINT, "aws__SecureTransport": "false"}), "in clear"
    assert not may("ClientRootAccess", **BY_POINT)


@pytest.mark.parametrize("action", ["ClientMount", "ClientWrite", "ClientRootAccess"])
def test_who_shows_no_identity_gets_nothing(action: str) -> None:
    """EFS's default policy lets in whoever reaches a mount target; ours takes its place and allows nobody."""
    context = {"aws:SecureTransport": "true", "elasticfilesystem:AccessPointArn": POINT + "studio"}
    assert not allowed(Request(f"elasticfilesystem:{action}", ARN, context), POLICY)


def test_the_policy_names_no_endpoint() -> None:
    """It is the same text whatever endpoints there are: a clone must not touch how others mount."""
    (one,) = provision(ONE).of("FileSystemPolicy")
    (two,) = provision({**ONE, "portraits": {"shape": "gpu.a10"}}).of("FileSystemPolicy")
    assert one.inputs == two.inputs


def test_an_own_file_system_is_elastic_and_backed_up() -> None:
    """Bursting would take hours for a checkpoint; a model that took a day to find should survive a slip."""
    graph = provision(ONE)
    (files,) = graph.of("FileSystem")
    (backup,) = graph.of("BackupPolicy")
    assert files.inputs["throughputMode"] == "elastic"
    assert backup.inputs["backupPolicy"] == {"status": "ENABLED"}


def test_an_adopted_file_system_is_used_and_not_made() -> None:
    """With its mount targets, policy and access points, which destroy took away."""
    graph = provision(ONE, EXISTING, world=World(file_systems={FILES: {}}))
    assert not graph.of("FileSystem", "BackupPolicy")
    used = {
        node.inputs["fileSystemId"] for node in graph.of("MountTarget", "AccessPoint", "FileSystemPolicy")
    }
    assert used == {FILES}
    assert graph.outputs["storage"]["file_system"] == FILES


def test_a_mount_target_goes_before_another_comes_in_its_zone() -> None:
    """EFS takes one a zone (MountTargetConflict): the other order would be refused by every `up` to come."""
    targets = provision(ONE).of("MountTarget")
    assert targets
    assert all(node.first_deleted for node in targets)


VPC = "vpc-0123456789abcdef0"


def interface(zone: str, *groups: str, vpc: str = VPC, target: str = "fsmt-0a1b2c3d") -> dict[str, Any]:
    """The network interface of a mount target, as EFS describes it."""
    return {
        "availabilityZone": zone,
        "description": f"EFS mount target for {FILES} ({target})",
        "securityGroups": list(groups),
        "vpcId": vpc,
    }


def adopting(**world: Any) -> Graph:
    """A team in a VPC of three zones that is there, with a file system that is there."""
    public = [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]
    known = World(
        file_systems={FILES: {}},
        subnets={f"subnet-{letter}": f"us-east-1{letter}" for letter in "abc"},
        route_tables=[{"id": "main", "routes": public, "associations": [{"main": True}]}],
        **world,
    )
    return provision(ONE, {**EXISTING, "network": {"vpc": VPC}}, world=known)


def zones_of(graph: Graph) -> set[str]:
    """The subnets that get a mount target."""
    return {node.inputs["subnetId"] for node in graph.of("MountTarget")}


def nfs(graph: Graph) -> set[tuple[str, str, str]]:
    """Which group lets NFS in or out, from or to which."""
    rules = graph.of("SecurityGroupIngressRule", "SecurityGroupEgressRule")
    return {
        (n.short[13:-4], n.inputs["securityGroupId"], n.inputs["referencedSecurityGroupId"])
        for n in rules
        if n.inputs["fromPort"] == 2049
    }


def test_a_zone_that_has_a_mount_target_gets_no_second_one() -> None:
    """AWS would refuse it in the middle of `pulumi up`; the zones without one get one."""
    assert zones_of(adopting()) == {"subnet-a", "subnet-b", "subnet-c"}
    some = {"eni-1": interface("us-east-1b", "sg-theirs"), "eni-2": interface("us-east-1c", "sg-theirs")}
    assert zones_of(adopting(interfaces=some)) == {"subnet-a"}


def test_the_other_way_to_describe_a_mount_target_counts_too() -> None:
    """The API's reference says it so, the console shows it otherwise."""
    said = {"description": f"Mount target fsmt-0a1b2c3d for file system {FILES}"}
    assert zones_of(adopting(interfaces={"eni-1": interface("us-east-1b", "sg-1") | said})) == {
        "subnet-a",
        "subnet-c",
    }


def test_a_mount_target_of_others_lets_the_team_in_by_a_rule_in_its_group() -> None:
    """Else replicas would hang at mounting. Its own groups are left as they are; one rule each will do."""
    there = {
        "eni-1": interface("us-east-1b", "sg-theirs", "sg-zzz"),
        "eni-2": interface("us-east-1c", "sg-theirs"),
    }
    found = nfs(adopting(interfaces=there)) - nfs(adopting())
    gateway, replicas = "securitygroup-easel-art-gateway", "securitygroup-easel-art-replicas"
    assert found == {
        ("Ingress", "sg-theirs", gateway),
        ("Ingress", "sg-theirs", replicas),
        ("Egress", gateway, "sg-theirs"),
        ("Egress", replicas, "sg-theirs"),
    }


def test_the_stacks_own_mount_targets_stay_its_own() -> None:
    """On the second `pulumi up` they are there too: taken for somebody else's, they would be deleted."""
    ours = {"eni-1": interface("us-east-1a", "sg-files"), "eni-2": interface("us-east-1b", "sg-theirs")}
    graph = adopting(interfaces=ours, own_groups=("sg-gateway", "sg-files"))
    assert zones_of(graph) == {"subnet-a", "subnet-c"}
    assert not [rule for rule in nfs(graph) if "sg-files" in rule]


@pytest.mark.parametrize("vpc", [None, VPC])
def test_a_file_system_that_is_mounted_in_another_vpc_is_refused(vpc: str | None) -> None:
    """One VPC for all mount targets: AWS would refuse the first of ours."""
    away = {"eni-1": interface("us-east-1a", "sg-1", vpc="vpc-0fedcba9876543210")}
    known = World(file_systems={FILES: {}}, interfaces=away)
    known.subnets = {"subnet-a": "us-east-1a", "subnet-b": "us-east-1b"}
    public = [{"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-1"}]
    known.route_tables = [{"id": "main", "routes": public, "associations": [{"main": True}]}]
    team = EXISTING | ({"network": {"vpc": vpc}} if vpc else {})
    with pytest.raises(
        pulumi.RunError, match=r"fsmt-0a1b2c3d.*vpc: vpc-0fedcba9876543210.*delete-mount-target"
    ):
        provision(ONE, team, world=known)


def test_adopting_a_file_system_of_one_zone_is_refused() -> None:
    """Replicas of the other zones could not mount it."""
    with pytest.raises(pulumi.RunError, match=r"One Zone file system, of us-east-1a alone"):
        provision(ONE, EXISTING, world=World(file_systems={FILES: {"availabilityZoneName": "us-east-1a"}}))


def test_adopting_what_is_not_there_is_refused() -> None:
    """An id of another region is the usual mistake."""
    with pytest.raises(pulumi.RunError, match=rf"there is no file system {FILES}.*describe-file-systems"):
        provision(ONE, EXISTING)


def test_adopting_what_is_not_encrypted_is_refused() -> None:
    """EFS cannot encrypt it later."""
    with pytest.raises(pulumi.RunError, match=r"is not encrypted.*DataSync"):
        provision(ONE, EXISTING, world=World(file_systems={FILES: {"encrypted": False}}))


def test_adopting_a_slow_one_is_warned_of() -> None:
    """It works, slowly; the command that changes it is told."""
    graph = provision(ONE, EXISTING, world=World(file_systems={FILES: {"throughputMode": "bursting"}}))
    assert any("--throughput-mode elastic" in line for line in graph.said)


def test_a_failing_lookup_is_not_taken_for_a_missing_file_system() -> None:
    """Credentials that have run out must not read like `make a new one`."""

    class Expired(World):
        def _file_system(self, args: dict[str, Any]) -> dict[str, Any]:
            from tests.infra.world import Refused

            raise Refused("ExpiredTokenException: the security token is expired")

    with pytest.raises(Exception, match="ExpiredToken") as error:
        provision(ONE, EXISTING, world=Expired())
    assert not isinstance(error.value, pulumi.RunError)
