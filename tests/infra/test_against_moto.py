"""The whole program, with everything it registers made through boto3 on moto's server.

Every request is held against AWS's own service model first (`cloud/strictness.py`): enums, lengths, patterns.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pulumi
import pytest
from moto.server import ThreadedMotoServer

from tests.infra import graph
from tests.infra.cloud import build, data, identity, machines  # noqa: F401 - the translations register themselves
from tests.infra.cloud.provider import Cloud, Provider
from tests.infra.cloud.strictness import Refused

TEAM = {
    "runs_on": "instances",
    "domain": "art.example.com",
    "zone": "create",
    "budget": {"monthly": 500, "notify": "lead@example.com", "stop": True},
}
LONGEST_TEAM, LONGEST_ENDPOINT = "a" * 16, "e" * 24
ENDPOINTS: dict[str, Any] = {
    "ready": {"shape": "gpu.l4", "warm": 2, "replicas": {"min": 1, "max": 3}},
    "cheap": {"shape": "gpu.t4", "capacity": "spot"},
    "either": {"shape": "gpu.l40s", "capacity": "spot-first"},
    "own": {
        "shape": "cpu.small",
        "image": {
            "ref": "444455556666.dkr.ecr.eu-west-1.amazonaws.com/tools/comfy:v1",
            "port": 8188,
            "health": "none",
            "mounts": [{"source": "models", "path": "/models", "read_only": True}],
        },
        "storage": {"outputs": False},
        "secrets": {"API_KEY": "comfy/key"},
    },
    LONGEST_ENDPOINT: {"shape": "gpu.a10", "models": ["s3://team-models/sd_xl_base_1.0.safetensors"]},
}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        # Two seconds of reading a list of machine images that has none for GPUs.
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        yield from served()


def served() -> Iterator[Cloud]:
    """moto's server while a module's tests run."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    # All servers of a process have one cloud.
    urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    cloud = Cloud(f"http://{host}:{port}")
    key = cloud("kms").create_key()["KeyMetadata"]["KeyId"]
    cloud("kms").create_alias(AliasName="alias/company", TargetKeyId=key)
    cloud("secretsmanager").create_secret(Name="comfy/key", SecretString="s", KmsKeyId="alias/company")
    yield cloud
    server.stop()


@pytest.fixture(scope="module")
def team(cloud: Cloud) -> Provider:
    """A team with an endpoint of every kind and the longest names, as AWS's calls made it."""
    provider = Provider(cloud)
    graph.run({"easel:team": TEAM, "easel:endpoints": ENDPOINTS}, LONGEST_TEAM, cloud=provider)
    return provider


def group_of(team: Provider, endpoint: str) -> dict[str, Any]:
    """The Auto Scaling group of an endpoint, as AWS describes it."""
    name = team.one("Group", f"-{endpoint}-replicas").id
    found = team.cloud("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    (group,) = found["AutoScalingGroups"]
    return dict(group)


def test_everything_that_is_registered_can_be_made(team: Provider) -> None:
    """No wrong enum, no name too long, no reference that dangles, no input that nobody understands."""
    assert team.faults == []
    assert len(team.of("Group")) == len(ENDPOINTS)


def test_a_secret_under_a_companys_key_can_be_decrypted(team: Provider) -> None:
    """The role names the key that its alias leads to, as AWS tells it."""
    key = team.cloud("kms").describe_key(KeyId="alias/company")["KeyMetadata"]["Arn"]
    statements = json.loads(team.one("RolePolicy", "-own-replicas").inputs["policy"])["Statement"]
    (may,) = [one for one in statements if one["Sid"] == "DecryptOwnSecrets"]
    assert may["Resource"] == [key]


def test_a_group_runs_nothing_until_the_gateway_asks(team: Provider) -> None:
    """`replicas.min` is the gateway's to keep too: it drains what it stops."""
    for name, endpoint in ENDPOINTS.items():
        group = group_of(team, name)
        assert (group["MinSize"], group["DesiredCapacity"]) == (0, 0)
        assert group["MaxSize"] == endpoint.get("replicas", {"max": 1})["max"]
        assert len(group["VPCZoneIdentifier"].split(",")) == 3, "over all zones"
        assert group["NewInstancesProtectedFromScaleIn"]
        assert [one["ProcessName"] for one in group["SuspendedProcesses"]] == ["AZRebalance"]


def test_a_group_has_both_hooks(team: Provider) -> None:
    """By the names that its configuration object says to host and gateway."""
    for name in ENDPOINTS:
        group = group_of(team, name)["AutoScalingGroupName"]
        found = team.cloud("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group)[
            "LifecycleHooks"
        ]
        by_name = {hook["LifecycleHookName"]: hook for hook in found}
        said = configuration(team, name)["instances"]
        launch, farewell = by_name.pop(said["hook"]), by_name.pop(said["farewell"])
        assert not by_name
        assert launch["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        assert launch["DefaultResult"] == "ABANDON", "what never gets ready is not paid for"
        assert farewell["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
        assert farewell["DefaultResult"] == "CONTINUE"


def configuration(team: Provider, endpoint: str) -> dict[str, Any]:
    """The configuration object of an endpoint, as the gateway and hosts read it from S3."""
    bucket = team.one("Bucket", "-config").id
    body = team.cloud("s3").get_object(Bucket=bucket, Key=f"config/{endpoint}.json")["Body"].read()
    return dict(json.loads(body))


def test_the_configuration_names_what_there_is(team: Provider) -> None:
    """Group, log group, file system and access points are those that AWS's calls returned."""
    points = {one["AccessPointId"]: one for one in team.cloud("efs").describe_access_points()["AccessPoints"]}
    for name, endpoint in ENDPOINTS.items():
        said = configuration(team, name)
        assert said["instances"]["group"] == group_of(team, name)["AutoScalingGroupName"]
        logs = team.cloud("logs").describe_log_groups(logGroupNamePrefix=said["instances"]["log_group"])
        assert logs["logGroups"][0]["retentionInDays"] == 14
        storage = said["storage"]
        folders = {
            key: points[storage[key]]["RootDirectory"]["Path"]
            for key in ("models", "outputs")
            if storage[key]
        }
        outputs = {} if endpoint.get("storage") else {"outputs": f"/outputs/{name}"}
        assert folders == {"models": "/models", **outputs}
        assert {points[storage[key]]["FileSystemId"] for key in folders} == {storage["file_system"]}
        assert {points[storage[key]]["PosixUser"]["Uid"] for key in folders} == {1000}


def test_how_instances_are_bought(team: Provider) -> None:
    """On demand by the shape's order; spot where it is cheap and lasts; spot first may fall back."""

    def bought(endpoint: str) -> tuple[int, str, list[str]]:
        policy = group_of(team, endpoint)["MixedInstancesPolicy"]
        how = policy["InstancesDistribution"]
        types = [one["InstanceType"] for one in policy["LaunchTemplate"]["Overrides"]]
        return how["OnDemandPercentageAboveBaseCapacity"], how["SpotAllocationStrategy"], types

    assert bought(LONGEST_ENDPOINT)[::2] == (100, ["g5.2xlarge", "g5.xlarge", "g5.4xlarge"])
    assert bought("cheap") == (0, "price-capacity-optimized", ["g4dn.xlarge", "g4dn.2xlarge"])
    assert bought("either")[0] == 0
    tags = {tag["Key"]: tag["Value"] for tag in group_of(team, "either")["Tags"]}
    assert tags["easel:capacity"] == "spot-first", "or the gateway may not fall back"


def test_a_warm_pool_keeps_stopped_machines_of_the_shapes_types(team: Provider) -> None:
    """On demand, of whichever of its types there is, the preferred first; and as many as the spec says."""
    group = group_of(team, "ready")
    policy = group["MixedInstancesPolicy"]
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 100
    assert policy["InstancesDistribution"]["OnDemandAllocationStrategy"] == "prioritized"
    types = [one["InstanceType"] for one in policy["LaunchTemplate"]["Overrides"]]
    assert types[0] == "g6.2xlarge"
    assert len(types) > 1
    pool = team.cloud("autoscaling").describe_warm_pool(AutoScalingGroupName=group["AutoScalingGroupName"])
    assert pool["WarmPoolConfiguration"] == {
        "MaxGroupPreparedCapacity": 2,
        "MinSize": 0,
        "PoolState": "Stopped",
        "InstanceReusePolicy": {"ReuseOnScaleIn": True},
    }
    versions = team.cloud("ec2").describe_launch_template_versions(
        LaunchTemplateId=policy["LaunchTemplate"]["LaunchTemplateSpecification"]["LaunchTemplateId"],
        Versions=["$Latest"],
    )
    assert versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["InstanceType"] == "g6.2xlarge"


def test_group_tags_reach_instances_and_template_tags_reach_disks(team: Provider) -> None:
    """A bill and the policies read them; a group gives its tags to instances only."""
    for name in ENDPOINTS:
        group = group_of(team, name)
        assert all(tag["PropagateAtLaunch"] for tag in group["Tags"])
        template = team.one("LaunchTemplate", f"-{name}-replicas").id
        (version,) = team.cloud("ec2").describe_launch_template_versions(LaunchTemplateId=template)[
            "LaunchTemplateVersions"
        ]
        by_kind = {
            one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
            for one in version["LaunchTemplateData"]["TagSpecifications"]
        }
        for kind in ("instance", "volume", "network-interface"):
            tags = by_kind[kind]
            assert (tags["easel:team"], tags["easel:endpoint"]) == (LONGEST_TEAM, name)


def test_an_instance_can_be_launched_from_every_template(team: Provider) -> None:
    """What AWS would say at the first wake is said now: of the template's references, disk and options."""
    ec2 = team.cloud("ec2")
    for template in team.of("LaunchTemplate"):
        subnet = team.of("Subnet")[0].id
        (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=template.id)[
            "LaunchTemplateVersions"
        ]
        options = version["LaunchTemplateData"]["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        assert "KeyName" not in version["LaunchTemplateData"], "SSM sessions take the place of SSH"
        (started,) = ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": template.id, "Version": "$Latest"},
            SubnetId=subnet,
            MinCount=1,
            MaxCount=1,
        )["Instances"]
        ec2.terminate_instances(InstanceIds=[started["InstanceId"]])


def test_the_service_model_is_taken_at_its_word(cloud: Cloud) -> None:
    """What moto lets pass: an enum that is none, a number out of range, a name too long, an odd character."""
    scaling = {
        "AutoScalingGroupName": "g",
        "LifecycleHookName": "ready",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    }
    for service, call, params, told in (
        ("autoscaling", "put_warm_pool", {"AutoScalingGroupName": "g", "PoolState": "stopped"}, "PoolState"),
        ("autoscaling", "put_lifecycle_hook", scaling | {"LifecycleHookName": "r" * 256}, "256 characters"),
        ("efs", "describe_access_points", {"FileSystemId": "fs-XYZ"}, "does not fit"),
        ("iam", "get_role", {"RoleName": "r" * 65}, "65 characters"),
    ):
        with pytest.raises(Refused, match=told):
            getattr(cloud(service), call)(**params)


@pytest.mark.parametrize(
    ("typ", "inputs", "told"),
    [
        (
            "aws:ec2/volumeAttachment:VolumeAttachment",
            {
                "deviceName": "/dev/sdf",
                "volumeId": "vol-0123456789abcdef0",
                "instanceId": "i-0123456789abcdef0",
            },
            "does not exist",
        ),
        (
            "aws:cloudwatch/logGroup:LogGroup",
            {"name": "/a", "retentionInDays": 14, "tags": {"a": "b"}, "skipDestroy": True},
            "nobody translates skipDestroy",
        ),
        ("aws:sqs/queue:Queue", {}, "has no translation"),
    ],
)
def test_what_cannot_be_made_is_a_fault(cloud: Cloud, typ: str, inputs: dict[str, Any], told: str) -> None:
    """A reference that dangles, an input that nobody looked at, a resource that nobody translated."""
    provider = Provider(cloud)
    provider.new_resource(pulumi.runtime.MockResourceArgs(typ, "x", inputs))
    (fault,) = provider.faults
    assert told in fault
