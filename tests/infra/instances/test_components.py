"""The gateway's machine and an endpoint's, as the real program registers them under mocks."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infra.instances.machines import NoMachineImage
from infra.instances.policies import Account, Host, gateway_statements, host_statements
from infra.instances.replicas import NoSecret
from infra.instances.roles import PolicyTooLong
from tests.infra.graph import Refused, World, provision

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = Account("aws", "us-east-1", "111122223333")


@dataclass
class Aws(World):
    """A world with secrets and machine images."""

    secrets: dict[str, str] = field(default_factory=dict)
    snapshot: int = 30
    """GiB of every machine image."""
    images: set[str] | None = None
    """Those that there are; None: whichever is asked for."""

    def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        if token.endswith(":getSecret"):
            if args["name"] not in self.secrets:
                raise Refused("reading Secrets Manager Secret: couldn't find resource")
            return {"id": self.secrets[args["name"]], "arn": self.secrets[args["name"]], "name": args["name"]}
        if token.endswith(":getAmi"):
            if self.images is not None and args["filters"][0]["values"][0] not in self.images:
                raise Refused("Your query returned no results. Please change your search criteria")
            found = super().answer(token, args)
            found["blockDeviceMappings"][0]["ebs"]["volume_size"] = str(self.snapshot)
            return found
        return super().answer(token, args)


def test_a_secret_by_name_is_read_by_its_arn() -> None:
    """The host asks for exactly that one, and its role may read exactly that one."""
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:comfy/key-AbCdEf"
    other = "arn:aws:secretsmanager:us-east-1:111122223333:secret:other-AbCdEf"
    graph = provision(
        {
            "studio": {"shape": "gpu.a10", "secrets": {"KEY": "comfy/key", "OTHER": other}},
            "plain": {"shape": "gpu.t4"},
        },
        world=Aws(secrets={"comfy/key": arn}),
    )
    said = json.loads(graph.one("BucketObjectv2", "easel-art-studio-configuration").inputs["content"])
    assert said["container"]["secrets"] == {"KEY": arn, "OTHER": other}
    (may,) = [
        s for s in graph.one("RolePolicy", "easel-art-studio-replicas").document() if "ecret" in s["Sid"]
    ]
    assert may["Resource"] == [arn, other]
    assert not [
        s for s in graph.one("RolePolicy", "easel-art-plain-replicas").document() if "ecret" in s["Sid"]
    ]


def test_a_secret_that_is_not_there_is_told_at_preview() -> None:
    """Not by a GPU that is paid for and cannot start its container."""
    with pytest.raises(
        NoSecret, match=r"easel:endpoints\.studio\.secrets\.KEY: .* no secret comfy/key .* create-secret"
    ):
        provision(
            {"studio": {"shape": "gpu.a10", "secrets": {"KEY": "comfy/key"}}}, world=Aws(), preview=True
        )


def test_a_machine_image_that_is_not_there_is_told_at_preview() -> None:
    """Ids are of one region: who moves a stack to another is told so."""
    pinned = {"machine_images": {"gpu": "ami-0123456789abcdef1"}}
    world = Aws(images={"ami-0223456789abcdef0"})
    with pytest.raises(
        NoMachineImage, match=r"easel:team\.machine_images\.gpu: .*ami-0123456789abcdef1.*one region"
    ):
        provision({"studio": {"shape": "gpu.a10"}}, pinned, world=world, preview=True)


@pytest.mark.parametrize(
    ("snapshot", "disk", "size"), [(30, "200GB", 187), (120, "100GB", 120), (120, "130GB", 122)]
)
def test_a_disk_is_what_the_spec_says_but_never_less_than_the_images(
    snapshot: int, disk: str, size: int
) -> None:
    """EC2 refuses a disk that is smaller than its snapshot, and only when it launches."""
    endpoint = {"shape": "gpu.a10", "storage": {"disk": disk}}
    graph = provision({"studio": endpoint}, world=Aws(snapshot=snapshot))
    (mapping,) = graph.one("LaunchTemplate", "easel-art-studio-replicas").inputs["blockDeviceMappings"]
    assert mapping["ebs"]["volumeSize"] == size
    assert graph.of("Instance")[0].inputs["rootBlockDevice"]["volumeSize"] >= snapshot


def test_what_the_gateway_sets_the_program_leaves_alone() -> None:
    """Or each `pulumi up` would put everyone to sleep, or take back what was bought in the place of spot."""
    kinds = ("on-demand", "spot", "spot-first")
    graph = provision({kind: {"shape": "gpu.a10", "capacity": kind} for kind in kinds})
    for kind in kinds:
        group = graph.one("Group", f"easel-art-{kind}-replicas")
        assert "desiredCapacity" in group.ignored
        assert "desiredCapacity" not in group.inputs
        share = any("onDemandPercentage" in path for path in group.ignored)
        assert share == (kind == "spot-first")


def test_the_gateways_data_outlives_it_and_the_machine_recovers() -> None:
    """Certificates are asked for again only so often; and nobody watches the machine at night."""
    graph = provision({})
    instance, data = graph.one("Instance", "easel-art-gateway"), graph.one("Volume", "easel-art-gateway-data")
    assert data.retained
    assert data.inputs["encrypted"] is True
    assert instance.inputs["subnetId"] == "subnet-easel-art-public-a"
    assert data.inputs["availabilityZone"] == "us-east-1a", "a disk can only be used in its own zone"
    assert instance.inputs["maintenanceOptions"] == {"autoRecovery": "default"}
    alarm = graph.one("MetricAlarm", "easel-art-gateway-hangs")
    assert alarm.inputs["dimensions"] == {"InstanceId": "instance-easel-art-gateway"}
    assert alarm.inputs["alarmActions"] == ["arn:aws:automate:us-east-1:ec2:reboot"]


def test_more_models_in_s3_than_a_role_can_name_are_refused() -> None:
    """IAM would refuse the policy in the middle of `pulumi up`."""
    models = [
        f"s3://a-bucket-of-the-team/checkpoints/some-folder/{'x' * 60}-{n}.safetensors" for n in range(120)
    ]
    with pytest.raises(PolicyTooLong, match=r"too many models in s3://.*easel models add"):
        provision({"studio": {"shape": "gpu.a10", "models": models}})


def granted(statements: list[dict[str, Any]]) -> set[str]:
    """The actions that a policy names."""
    actions: set[str] = set()
    for one in statements:
        actions |= {one["Action"]} if isinstance(one["Action"], str) else set(one["Action"])
    return actions


# Calls whose right has another name.
RIGHTS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:Cp": "s3:GetObject",
    "ecr:GetLoginPassword": "ecr:GetAuthorizationToken",
}


def action(service: str, call: str) -> str:
    """`autoscaling:SetDesiredCapacity` for boto3's `set_desired_capacity` or the command line's spelling."""
    names = botocore.session.get_session().get_service_model(service).operation_names
    by_call = {xform_name(name): name for name in names}
    call = call.replace("-", "_")
    asked = f"{service}:{by_call.get(call, call.title().replace('_', ''))}"
    return RIGHTS.get(asked, asked)


def test_the_gateway_may_do_what_its_code_asks_of_aws() -> None:
    """Policy and code are written by different hands: each call in the one is an action in the other."""
    calls = set()
    for file in (ROOT / "image/easel/gateway").rglob("*.py"):
        calls |= set(re.findall(r'"(autoscaling|ec2|logs|s3)",\s*"([a-z][a-z0-9_]+)"', file.read_text()))
    assert len(calls) > 10, "or the way of asking has changed, and this test sees nothing"
    may = granted(gateway_statements(ACCOUNT, "art", "arn:aws:s3:::b", []))
    assert {action(*call) for call in calls} <= may


def test_a_host_may_do_what_its_scripts_ask_of_aws() -> None:
    """The same, of the scripts in `host/`."""
    text = "\n".join(
        file.read_text() for file in (ROOT / "infra/instances/host").rglob("*") if file.is_file()
    )
    spoken = re.findall(r"\baws (autoscaling|ec2|ecr|s3|s3api|logs|secretsmanager) ([a-z]+[a-z0-9-]*)", text)
    listed = re.findall(r'"aws", "([a-z]+)", "([a-z-]+)"', text)
    calls = {(service.removesuffix("api"), call) for service, call in [*spoken, *listed]}
    assert len(calls) > 4
    may = granted(
        host_statements(
            Host(
                ACCOUNT, "art", "a", "arn:b", "arn:f", ["arn:p"], "arn:l", ["arn:r"], ["arn:s"], ["s3://b/k"]
            )
        )
    )
    assert {action(*call) for call in calls} <= may
