"""The gateway's machine and an endpoint's, as the real program registers them under mocks."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.account import AwsAccount
from infra.instances.boot_images import NoMachineImage
from infra.instances.policies import Host, gateway_statements, host_statements
from infra.instances.roles import PolicyTooLong
from infra.policies import AwsSecret
from infra.vault import NoKey, NoSecret
from tests.infra.calls import action, in_python
from tests.infra.graph import Graph, World, provision
from tests.infra.world import Refused

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = AwsAccount("aws", "us-east-1", "111122223333")
OTHER = "arn:aws:secretsmanager:us-east-1:111122223333:secret:other-AbCdEf"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@dataclass
class Aws(World):
    """A world with secrets and machine images."""

    secrets: dict[str, str] = field(default_factory=dict)
    """ARNs by name; a secret that is asked for by its ARN is there."""
    keys: dict[str, str] = field(default_factory=dict)
    """What a secret's maker called its key, by ARN of the secret."""
    aliases: dict[str, dict[str, str]] = field(default_factory=dict)
    """What KMS knows of a key, by id or alias."""
    snapshot: int = 30
    """GiB of every machine image."""
    images: set[str] | None = None
    """Those that there are; None: whichever is asked for."""

    def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        if token.endswith(":getSecret"):
            arn = args.get("arn") or self.secrets.get(args["name"])
            if arn is None:
                raise Refused("reading Secrets Manager Secret: couldn't find resource")
            return {"id": arn, "arn": arn, "name": "n", "kmsKeyId": self.keys.get(arn, "")}
        if token.endswith(":getKey"):
            if args["keyId"] not in self.aliases:
                raise Refused("AccessDeniedException: not authorized to perform: kms:DescribeKey")
            return {"id": "k", "keyManager": "CUSTOMER", **self.aliases[args["keyId"]]}
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
    graph = provision(
        {
            "studio": {"shape": "gpu.a10", "secrets": {"KEY": "comfy/key", "OTHER": OTHER}},
            "plain": {"shape": "gpu.t4"},
        },
        world=Aws(secrets={"comfy/key": arn}),
    )
    said = json.loads(graph.one("BucketObjectv2", "easel-art-studio-configuration").inputs["content"])
    assert said["container"]["secrets"] == {"KEY": arn, "OTHER": OTHER}
    (may,) = [
        s for s in graph.one("RolePolicy", "easel-art-studio-replicas").document() if "ecret" in s["Sid"]
    ]
    assert may["Resource"] == [arn, OTHER]
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


def decrypts(graph: Graph, role: str) -> list[dict[str, Any]]:
    """The statements of a role about keys."""
    return [s for s in graph.one("RolePolicy", role).document() if "kms" in json.dumps(s["Action"])]


@pytest.mark.parametrize(
    ("called", "known"),
    [
        (KEY, {}),
        ("alias/team", {"alias/team": {"arn": KEY}}),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", {"1234abcd-12ab-34cd-56ef-1234567890ab": {"arn": KEY}}),
    ],
)
def test_the_right_to_decrypt_comes_with_a_secret_and_for_it_alone(
    called: str, known: dict[str, dict[str, str]]
) -> None:
    """By whatever name its maker gave the key: that key, through Secrets Manager, for this secret only."""
    world = Aws(keys={OTHER: called}, aliases=known)
    endpoints = {
        "studio": {"shape": "gpu.a10", "secrets": {"KEY": OTHER}},
        "plain": {"shape": "gpu.t4", "secrets": {"KEY": OTHER.replace("other", "plain")}},
    }
    graph = provision(endpoints, world=world)
    (may,) = decrypts(graph, "easel-art-studio-replicas")
    assert (may["Action"], may["Resource"]) == ("kms:Decrypt", [KEY])
    assert may["Condition"]["StringEquals"] == {
        "kms:ViaService": ["secretsmanager.us-east-1.amazonaws.com"],
        "kms:EncryptionContext:SecretARN": [OTHER],
    }
    assert not decrypts(graph, "easel-art-plain-replicas"), "AWS's own key needs no right"
    assert not decrypts(graph, "easel-art-gateway"), "it reads none of them"


def test_the_gateway_decrypts_the_secret_of_single_sign_on() -> None:
    """It, and no replica, reads the client's secret."""
    members = {"issuer": "https://a.example", "client_id": "c", "domains": ["b.org"], "client_secret": OTHER}
    graph = provision({"studio": {"shape": "gpu.t4"}}, {"members": members}, world=Aws(keys={OTHER: KEY}))
    assert [s["Resource"] for s in decrypts(graph, "easel-art-gateway")] == [[KEY]]
    assert not decrypts(graph, "easel-art-studio-replicas")


def test_aws_own_key_is_no_key_to_name() -> None:
    """Neither by its alias nor by its id."""
    for called, known in (
        ("alias/aws/secretsmanager", {}),
        ("1-2", {"1-2": {"arn": KEY, "keyManager": "AWS"}}),
    ):
        world = Aws(keys={OTHER: called}, aliases=known)
        graph = provision({"studio": {"shape": "gpu.t4", "secrets": {"K": OTHER}}}, world=world)
        assert not decrypts(graph, "easel-art-studio-replicas")


def test_a_key_that_cannot_be_looked_at_is_told_at_preview() -> None:
    """Not by a GPU that is paid for and may not read what it needs."""
    endpoints = {"studio": {"shape": "gpu.t4", "secrets": {"K": OTHER}}}
    with pytest.raises(NoKey, match=r"studio\.secrets\.K: .*alias/team.*kms:DescribeKey"):
        provision(endpoints, world=Aws(keys={OTHER: "alias/team"}), preview=True)


def test_a_secret_of_another_account_may_forbid_to_be_looked_at() -> None:
    """Then it is taken as it is, and what it may lack is said."""

    class Shut(Aws):
        def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
            if token.endswith(":getSecret"):
                raise Refused("AccessDeniedException: not authorized: secretsmanager:DescribeSecret")
            return super().answer(token, args)

    graph = provision({"studio": {"shape": "gpu.t4", "secrets": {"K": OTHER}}}, world=Shut())
    assert any("kms:Decrypt" in line and OTHER in line for line in graph.said)
    said = json.loads(graph.one("BucketObjectv2", "easel-art-studio-configuration").inputs["content"])
    assert said["container"]["secrets"] == {"K": OTHER}
    with pytest.raises(Exception, match="AccessDenied"):
        provision({"studio": {"shape": "gpu.t4", "secrets": {"K": "by/name"}}}, world=Shut())


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


def test_more_models_in_s3_than_the_gateways_role_can_name_are_refused() -> None:
    """IAM would refuse the policy in the middle of `pulumi up`; it counts those of all endpoints together."""
    models = [
        f"s3://a-bucket-of-the-team/checkpoints/some-folder/{'x' * 60}-{n}.safetensors" for n in range(120)
    ]
    few = {"shape": "gpu.a10", "models": models[:20]}
    provision({"studio": few})
    for endpoints in ({"studio": {"shape": "gpu.a10", "models": models}}, dict.fromkeys("abcd", few)):
        with pytest.raises(PolicyTooLong, match=r"too many models in s3://.*easel models add"):
            provision(endpoints)


def granted(statements: list[dict[str, Any]]) -> set[str]:
    """The actions that a policy names."""
    actions: set[str] = set()
    for one in statements:
        actions |= {one["Action"]} if isinstance(one["Action"], str) else set(one["Action"])
    return actions


def test_the_gateway_may_do_what_its_code_asks_of_aws() -> None:
    """Policy and code are written by different hands: each call in the one is an action in the other."""
    calls = set()
    for file in (ROOT / "image/easel/gateway").rglob("*.py"):
        calls |= in_python(file.read_text())
    assert len(calls) > 14, "or the way of asking has changed, and this test sees nothing"
    may = granted(gateway_statements(ACCOUNT, "art", "arn:aws:s3:::b", [], "arn:f", "arn:p"))
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
            Host(ACCOUNT, "art", "a", "arn:b", "arn:f", ["arn:p"], "arn:l", ["arn:r"], [AwsSecret(OTHER)])
        )
    )
    assert {action(*call) for call in calls} <= may
