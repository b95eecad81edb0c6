"""The whole program for a team on a cluster, with everything of AWS's made through boto3 on moto's server.

Every request is held against AWS's own service model, those too that moto cannot answer.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import moto.iam
import pytest

import infra.keda
from tests.infra import graph
from tests.infra.cloud import build, cluster, data, identity, machines  # noqa: F401 - they register themselves
from tests.infra.cloud.provider import Cloud, Provider
from tests.infra.test_against_moto import served

TEAM = {
    "runs_on": "cluster",
    "domain": "art.example.com",
    "zone": "create",
    "budget": {"monthly": 500, "notify": "lead@example.com"},
}
ENDPOINTS = {
    "ready": {
        "shape": "gpu.l4",
        "replicas": {"min": 1, "max": 3},
        "models": ["s3://team-models/a.safetensors"],
    },
    "either": {"shape": "gpu.l40s", "capacity": "spot-first", "secrets": {"HF_TOKEN": "comfy/key"}},
}
LONGEST = "a" * 16


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        patch.setattr(infra.keda, "chart", lambda: "keda.tgz")
        yield from served()


@pytest.fixture(scope="module")
def team(cloud: Cloud) -> Provider:
    provider = Provider(cloud)
    graph.run({"easel:team": TEAM, "easel:endpoints": ENDPOINTS}, LONGEST, cloud=provider)
    return provider


def test_everything_that_is_registered_can_be_made(team: Provider) -> None:
    """No wrong enum, no name too long, no reference that dangles, no input that nobody understands."""
    assert team.faults == []
    assert len(team.of("Cluster")) == 1


def test_the_cluster_is_as_its_api_tells_it(team: Provider) -> None:
    """In the subnets that were made for it, with the role that EKS takes, all its logs and its key."""
    made = team.one("Cluster")
    found = team.cloud("eks").describe_cluster(name=made.id)["cluster"]
    assert set(found["resourcesVpcConfig"]["subnetIds"]) == {subnet.id for subnet in team.of("Subnet")}
    trust = team.cloud("iam").get_role(RoleName=found["roleArn"].rpartition("/")[2])["Role"]
    (statement,) = trust["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "eks.amazonaws.com"}
    (one,) = found["encryptionConfig"]
    assert team.cloud("kms").get_key_rotation_status(KeyId=one["provider"]["keyArn"])["KeyRotationEnabled"]


def test_the_roles_have_what_aws_says_auto_mode_needs(team: Provider) -> None:
    """AWS's own policies, by names in moto's copy of its list; of the nodes' two and nothing else."""
    known = (Path(moto.iam.__file__).parent / "aws_managed_policies.py").read_text()
    attached: dict[str, list[str]] = {}
    for one in team.of("RolePolicyAttachment"):
        attached.setdefault(one.inputs["role"], []).append(one.inputs["policyArn"].rpartition("/")[2])
    assert all(f' "{name}":{{' in known for names in attached.values() for name in names)
    for noun, policies, own in (("cluster", 5, 1), ("nodes", 2, 0)):
        (role,) = [one.id for one in team.of("Role") if one.name == f"easel-{LONGEST}-{noun}"]
        assert len(attached[role]) == policies
        assert len(team.cloud("iam").list_role_policies(RoleName=role)["PolicyNames"]) == own


def test_the_zone_proves_the_certificate_and_leads_to_the_balancer(team: Provider) -> None:
    """By the record that Certificate Manager asks for, and an alias of all hosts."""
    zone = team.one("Zone").id
    records = {
        one["Name"]: one
        for one in team.cloud("route53").list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    }
    proof = team.one("Certificate").outputs["domainValidationOptions"][0]
    assert any(name.rstrip(".") == proof["resourceRecordName"].rstrip(".") for name in records)
    (alias,) = [one for name, one in records.items() if name.startswith(("*.", "\\052."))]
    assert alias["AliasTarget"]["DNSName"].rstrip(".").endswith("elb.amazonaws.com")
    assert json.dumps(records).count("AliasTarget") == 1
