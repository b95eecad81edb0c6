"""What gateway and hosts may do, and what they may not: policies asked as AWS would ask them."""

import dataclasses
import json
from typing import Any

import botocore.session
import pytest

from easel.gateway.model_sync.sync import SOURCE_TOKENS as READ_BY_THE_GATEWAY
from infra.account import AwsAccount
from infra.filesystem import access_policy
from infra.instances.policies import EVERYWHERE, Host, gateway_statements, host_statements, repository_arn
from infra.names import SOURCE_TOKENS
from infra.policies import AwsSecret, document, object_arn, supply_statements
from tests.infra.instances.evaluation import Request, allowed

ACCOUNT = AwsAccount("aws", "us-east-1", "111122223333")
BUCKET = "arn:aws:s3:::easel-art-config-1a2b3c4"
FILES = ACCOUNT.arn("elasticfilesystem", "file-system/fs-1")
REPOSITORY = ACCOUNT.arn("ecr", "repository/easel")
STORE = ACCOUNT.arn("elasticfilesystem", "access-point/fsap-models")
GATEWAY = gateway_statements(ACCOUNT, "art", BUCKET, [REPOSITORY], FILES, STORE)


def point(name: str) -> str:
    return ACCOUNT.arn("elasticfilesystem", f"access-point/fsap-{name}")


def host(**changes: Any) -> Host:
    studio = Host(
        ACCOUNT,
        "art",
        "studio",
        bucket_arn=BUCKET,
        file_system_arn=FILES,
        access_point_arns=[point("models"), point("studio")],
        log_group_arn=ACCOUNT.arn("logs", "log-group:/easel/art/studio"),
        repository_arns=[REPOSITORY],
        secrets=[],
    )
    return dataclasses.replace(studio, **changes)


STUDIO = host_statements(host())


def on_group(action: str, team: str, endpoint: str = "studio", **context: str) -> Request:
    """A request about an endpoint's Auto Scaling group, with the tags that the program gives it."""
    name = f"easel-{team}-{endpoint}-replicas-1a2b3c4"
    tags = {"aws:ResourceTag/easel:team": team, "aws:ResourceTag/easel:endpoint": endpoint}
    return Request(
        f"autoscaling:{action}",
        ACCOUNT.arn("autoscaling", f"autoScalingGroup:0a1b:autoScalingGroupName/{name}"),
        {**tags, **context},
    )


SETTERS = (
    "CompleteLifecycleAction",
    "SetDesiredCapacity",
    "SetInstanceHealth",
    "SetInstanceProtection",
    "TerminateInstanceInAutoScalingGroup",
)


@pytest.mark.parametrize("action", SETTERS)
def test_a_gateway_acts_on_its_own_teams_groups(action: str) -> None:
    """Of every endpoint, also of one that is added tomorrow."""
    assert allowed(on_group(action, "art"), GATEWAY)
    assert allowed(on_group(action, "art", "tomorrow"), GATEWAY)


@pytest.mark.parametrize("action", SETTERS)
@pytest.mark.parametrize("team", ["art-2", "ar", "artists", "other"])
def test_a_gateway_does_nothing_to_another_teams_groups(action: str, team: str) -> None:
    """`easel-art-*` is also how a name of team `art-2` begins: the tag decides."""
    assert not allowed(on_group(action, team), GATEWAY)


def test_an_endpoint_that_is_named_like_a_team_is_its_own_teams() -> None:
    """Endpoint `2-b` of team `art` and endpoint `b` of team `art-2` have groups of the same name."""
    theirs = on_group("SetDesiredCapacity", "art-2", "b")
    ours = dataclasses.replace(theirs, context={**theirs.context, "aws:ResourceTag/easel:team": "art"})
    assert not allowed(theirs, GATEWAY)
    assert allowed(ours, GATEWAY)


def test_a_group_that_is_not_tagged_is_nobodys() -> None:
    """A group of the account that easel did not make."""
    assert not allowed(dataclasses.replace(on_group("SetDesiredCapacity", "art"), context={}), GATEWAY)


@pytest.mark.parametrize("action", ["CreateAutoScalingGroup", "DeleteAutoScalingGroup", "CreateOrUpdateTags"])
def test_a_gateway_makes_and_unmakes_no_group(action: str) -> None:
    """Changes go through git and `pulumi up`; and who can set tags could make a group its own."""
    assert not allowed(on_group(action, "art"), GATEWAY)


def test_a_gateway_buys_on_demand_only_where_spot_comes_first() -> None:
    """It may change how a spot-first group buys, but never its limits, types or zones."""
    first = {"aws:ResourceTag/easel:capacity": "spot-first"}
    assert allowed(on_group("UpdateAutoScalingGroup", "art", **first), GATEWAY)
    assert not allowed(on_group("UpdateAutoScalingGroup", "art-2", **first), GATEWAY)
    for kind in ("on-demand", "spot"):
        tag = {"aws:ResourceTag/easel:capacity": kind}
        assert not allowed(on_group("UpdateAutoScalingGroup", "art", **tag), GATEWAY)
    for key in ("MaxSize", "MinSize", "InstanceTypes", "VPCZoneIdentifiers", "LaunchConfigurationName"):
        asked = on_group("UpdateAutoScalingGroup", "art", **first, **{f"autoscaling:{key}": "9"})
        assert not allowed(asked, GATEWAY), key


def test_a_gateway_follows_the_configuration_and_does_not_write_it() -> None:
    """What it may write is its own: tokens, its key, what was spent. Not another team's bucket."""
    assert allowed(Request("s3:GetObject", f"{BUCKET}/config/team.json"), GATEWAY)
    assert allowed(Request("s3:ListBucket", BUCKET, {"s3:prefix": "config/"}), GATEWAY)
    assert allowed(Request("s3:PutObject", f"{BUCKET}/run/tokens.json"), GATEWAY)
    assert not allowed(Request("s3:PutObject", f"{BUCKET}/config/team.json"), GATEWAY)
    assert not allowed(Request("s3:DeleteObject", f"{BUCKET}/run/tokens.json"), GATEWAY)
    assert not allowed(Request("s3:GetObject", "arn:aws:s3:::easel-art-2-config-1a2b3c4/run/secret"), GATEWAY)


@pytest.mark.parametrize(("group", "shown"), [("/easel/art/studio", True), ("/easel/art-2/studio", False)])
def test_a_gateway_reads_logs_of_its_team(group: str, shown: bool) -> None:
    """The slash after the name is what keeps `art-2` out."""
    stream = ACCOUNT.arn("logs", f"log-group:{group}:log-stream:i-0abc")
    assert allowed(Request("logs:GetLogEvents", stream), GATEWAY) is shown


def mount(where: str | None, action: str = "ClientMount", **context: str) -> Request:
    """What EFS knows of a client that mounts by an access point: the keys that it documents, no others."""
    by = {"elasticfilesystem:AccessPointArn": point(where)} if where else {}
    asked = {"aws:SecureTransport": "true", "elasticfilesystem:AccessedViaMountTarget": "true"}
    return Request(f"elasticfilesystem:{action}", FILES, {**asked, **by, **context})


FILE_SYSTEM = json.loads(access_policy(FILES))["Statement"]
IN_CLEAR = {"aws:SecureTransport": "false"}


@pytest.mark.parametrize("action", ["ClientMount", "ClientWrite"])
def test_a_host_mounts_models_and_its_own_outputs_and_nothing_else(action: str) -> None:
    """By the role's own policy. In clear, at the root and as root nobody may: the file system's denies."""
    for where in ("models", "studio"):
        assert allowed(mount(where, action), STUDIO, FILE_SYSTEM)
    assert not allowed(mount("other", action), STUDIO, FILE_SYSTEM)
    assert not allowed(mount(None, action), STUDIO, FILE_SYSTEM)
    assert not allowed(mount("models", action, **IN_CLEAR), STUDIO, FILE_SYSTEM)
    assert not allowed(mount("models", "ClientRootAccess"), STUDIO, FILE_SYSTEM)
    elsewhere = dataclasses.replace(mount("models", action), resource=FILES.replace("fs-1", "fs-2"))
    assert not allowed(elsewhere, STUDIO, FILE_SYSTEM)


def test_an_allow_in_the_file_systems_policy_would_undo_the_roles_own() -> None:
    """To EFS either allow is enough: what AWS's console writes to "prevent anonymous access" opens all."""
    everybody = {
        "Sid": "AnyoneByMountTarget",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        "Resource": FILES,
        "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
    }
    assert not allowed(mount("other"), STUDIO, FILE_SYSTEM)
    assert allowed(mount("other"), STUDIO, [*FILE_SYSTEM, everybody])


def test_a_host_reads_its_own_configuration_only() -> None:
    """Another endpoint's object names its secrets and folders; tokens are the gateway's."""
    assert allowed(Request("s3:GetObject", f"{BUCKET}/config/studio.json"), STUDIO)
    assert allowed(Request("s3:GetObject", f"{BUCKET}/run/keys.json"), STUDIO)
    assert not allowed(Request("s3:PutObject", f"{BUCKET}/run/keys.json"), STUDIO)
    for key in ("config/other.json", "config/studio-2.json", "run/tokens.json", "run/secret"):
        assert not allowed(Request("s3:GetObject", f"{BUCKET}/{key}"), STUDIO), key
    assert not allowed(Request("s3:PutObject", f"{BUCKET}/config/studio.json"), STUDIO)


def tagging(*keys: str, team: str = "art", endpoint: str = "studio") -> Request:
    tags = {"aws:ResourceTag/easel:team": team, "aws:ResourceTag/easel:endpoint": endpoint}
    return Request("ec2:CreateTags", ACCOUNT.arn("ec2", "instance/i-0abc"), {**tags, "aws:TagKeys": keys})


def test_a_host_tells_its_phase_and_changes_no_other_tag() -> None:
    """Who could set `easel:team` on a machine could give it to another team's gateway."""
    assert allowed(tagging("easel:image", "easel:phase", "easel:why"), STUDIO)
    assert allowed(tagging("easel:phase"), STUDIO)
    for keys in (("easel:team",), ("easel:phase", "easel:endpoint"), ("Name",)):
        assert not allowed(tagging(*keys), STUDIO), keys
    assert not allowed(tagging("easel:phase", endpoint="other"), STUDIO)
    assert not allowed(tagging("easel:phase", team="art-2"), STUDIO)
    volume = dataclasses.replace(tagging("easel:phase"), resource=ACCOUNT.arn("ec2", "volume/vol-1"))
    assert not allowed(volume, STUDIO)


def test_a_request_that_names_no_tag_tells_no_phase() -> None:
    """`ForAllValues` of nothing is true: without `Null` the key would not have to be there at all."""
    request = tagging()
    context = {key: value for key, value in request.context.items() if key != "aws:TagKeys"}
    assert not allowed(dataclasses.replace(request, context=context), STUDIO)


def test_a_host_completes_the_hook_of_its_own_group_only() -> None:
    """Another endpoint's instance that is not ready yet must not be taken for ready."""
    assert allowed(on_group("CompleteLifecycleAction", "art"), STUDIO)
    assert not allowed(on_group("CompleteLifecycleAction", "art", "other"), STUDIO)
    assert not allowed(on_group("CompleteLifecycleAction", "art-2"), STUDIO)
    assert not allowed(on_group("SetDesiredCapacity", "art"), STUDIO), "a host buys nothing"


def test_a_host_reads_exactly_the_secrets_of_its_endpoint_and_no_model() -> None:
    """Named one by one; an endpoint without any has no such statement. Models are in the store already."""
    secret = ACCOUNT.arn("secretsmanager", "secret:comfy/key-AbCdEf")
    named = host_statements(host(secrets=[AwsSecret(secret)]))
    assert allowed(Request("secretsmanager:GetSecretValue", secret), named)
    assert not allowed(Request("secretsmanager:GetSecretValue", f"{secret}x"), named)
    assert "ReadOwnSecrets" not in {one["Sid"] for one in STUDIO}
    assert not allowed(Request("s3:GetObject", "arn:aws:s3:::team/models/xl.safetensors"), named)


def supply(*models: str, **secrets: AwsSecret) -> list[dict[str, Any]]:
    return supply_statements(ACCOUNT, models, secrets)


def test_a_gateway_reads_exactly_the_models_and_tokens_that_endpoints_name() -> None:
    """No other object of the bucket, no other secret of the endpoint; without models none at all."""
    hub, other = (
        AwsSecret(ACCOUNT.arn("secretsmanager", f"secret:art/{name}-AbCdEf")) for name in ("hub", "key")
    )
    models = ("s3://team/models/xl.safetensors", "hf://a/b/c")
    may = [*GATEWAY, *supply(*models, HF_TOKEN=hub, COMFY_KEY=other)]
    for action in ("s3:GetObject", "s3:GetObjectVersion"):
        assert allowed(Request(action, "arn:aws:s3:::team/models/xl.safetensors"), may)
        assert not allowed(Request(action, "arn:aws:s3:::team/models/xl.safetensors2"), may)
        assert not allowed(Request(action, "arn:aws:s3:::team/models/xl.safetensors"), GATEWAY)
    assert not allowed(Request("s3:PutObject", "arn:aws:s3:::team/models/xl.safetensors"), may)
    typed = supply("s3://team/4x.safetensors#type=upscaler")
    assert allowed(Request("s3:GetObject", "arn:aws:s3:::team/4x.safetensors"), typed)
    assert allowed(Request("secretsmanager:GetSecretValue", hub.arn), may)
    assert not allowed(Request("secretsmanager:GetSecretValue", other.arn), may)
    assert supply(HF_TOKEN=hub) == []
    assert supply("hf://a/b/c", "https://example.com/x.safetensors") == []


def test_a_gateway_reads_a_token_that_is_under_a_companys_own_key() -> None:
    """The right to decrypt comes with the secret, as for hosts."""
    key = ACCOUNT.arn("kms", "key/1234")
    secret = AwsSecret(ACCOUNT.arn("secretsmanager", "secret:art/hub-AbCdEf"), key)
    context = {
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
        "kms:EncryptionContext:SecretARN": secret.arn,
    }
    assert allowed(Request("kms:Decrypt", key, context), supply("hf://a/b/c", CIVITAI_TOKEN=secret))


def test_the_tokens_that_the_gateway_may_read_are_those_that_it_asks_for() -> None:
    """Policy and code are in packages that do not know each other."""
    assert set(SOURCE_TOKENS) == set(READ_BY_THE_GATEWAY)


def test_a_gateway_mounts_the_models_and_nobodys_pictures() -> None:
    """By the store's access point, by TLS, and never the root of the file system."""
    assert allowed(mount("models"), GATEWAY, FILE_SYSTEM)
    assert not allowed(mount("studio"), GATEWAY, FILE_SYSTEM)
    assert not allowed(mount(None), GATEWAY, FILE_SYSTEM)
    assert not allowed(mount("models", **IN_CLEAR), GATEWAY, FILE_SYSTEM)


def test_a_host_decrypts_its_own_secrets_and_nothing_else_that_is_under_the_key() -> None:
    """One key may be under the whole company's secrets, disks and buckets."""
    secret = ACCOUNT.arn("secretsmanager", "secret:comfy/key-AbCdEf")
    key = ACCOUNT.arn("kms", "key/1234")
    may = host_statements(host(secrets=[AwsSecret(secret, key), AwsSecret(secret + "2")]))
    context = {
        "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com",
        "kms:EncryptionContext:SecretARN": secret,
    }
    asked = Request("kms:Decrypt", key, context)
    assert allowed(asked, may)
    assert not allowed(dataclasses.replace(asked, action="kms:Encrypt"), may)
    assert not allowed(dataclasses.replace(asked, resource=key + "5"), may)
    for changed in (
        {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
        {"kms:EncryptionContext:SecretARN": secret + "2"},
        {"kms:EncryptionContext:SecretARN": ACCOUNT.arn("secretsmanager", "secret:other-AbCdEf")},
    ):
        assert not allowed(dataclasses.replace(asked, context=context | changed), may)
    assert not allowed(dataclasses.replace(asked, context={}), may), "by KMS itself"


@pytest.mark.parametrize(
    ("partition", "region", "name"),
    [
        ("aws-cn", "cn-north-1", "secretsmanager.cn-north-1.amazonaws.com.cn"),
        ("aws-us-gov", "us-gov-west-1", "secretsmanager.us-gov-west-1.amazonaws.com"),
        ("aws-eusc", "eusc-de-east-1", "secretsmanager.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_secrets_manager_has_another_name_in_china_and_elsewhere(
    partition: str, region: str, name: str
) -> None:
    """A condition that never holds would keep every replica from starting."""
    at = f"arn:{partition}:{{}}:{region}:1:{{}}"
    secret = AwsSecret(at.format("secretsmanager", "secret:x-AbCdEf"), at.format("kms", "key/1"))
    (one,) = [each for each in host_statements(host(secrets=[secret])) if each["Sid"] == "DecryptOwnSecrets"]
    assert one["Condition"]["StringEquals"]["kms:ViaService"] == [name]


@pytest.mark.parametrize(
    "key", ["a*b.safetensors", "what?.safetensors", "${aws:username}.safetensors", "a$b"]
)
def test_a_key_with_signs_of_policies_names_itself_only(key: str) -> None:
    """`*` is a letter in S3 and everything in a policy."""
    address = f"s3://team/{key}"
    arn = object_arn("aws", address)
    assert arn
    assert arn.startswith("arn:aws:s3:::team/")
    named = supply(address)
    assert allowed(Request("s3:GetObject", f"arn:aws:s3:::team/{key}", {"aws:username": "x"}), named)
    for other in ("aXXb.safetensors", "x.safetensors", "aXb"):
        assert not allowed(
            Request("s3:GetObject", f"arn:aws:s3:::team/{other}", {"aws:username": "x"}), named
        )


@pytest.mark.parametrize(
    ("reference", "arn"),
    [
        (
            "444455556666.dkr.ecr.eu-west-1.amazonaws.com/tools/comfy:v1",
            "arn:aws:ecr:eu-west-1:444455556666:repository/tools/comfy",
        ),
        (
            f"444455556666.dkr.ecr.eu-west-1.amazonaws.com/comfy:v1@sha256:{'0' * 64}",
            "arn:aws:ecr:eu-west-1:444455556666:repository/comfy",
        ),
        ("ghcr.io/acme/comfy:v1", None),
        ("localhost:5000/comfy", None),
        ("evil.example.com/444455556666.dkr.ecr.eu-west-1.amazonaws.com/x", None),
    ],
)
def test_where_an_own_image_is_pulled_from(reference: str, arn: str | None) -> None:
    """Only a repository of ECR needs a right; of other registries no role knows."""
    assert repository_arn(reference) == arn


# Rights that are no call of an API, so that boto3 does not know them.
NO_CALLS = {
    "ecr:BatchImportUpstreamImage",
    "elasticfilesystem:ClientMount",
    "elasticfilesystem:ClientWrite",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
}


@pytest.mark.parametrize(
    "statements",
    [GATEWAY, STUDIO, supply_statements(ACCOUNT, ["s3://b/k"], {})],
    ids=["gateway", "host", "supply"],
)
def test_policies_are_as_narrow_as_aws_lets_them_be(statements: list[dict[str, Any]]) -> None:
    """No action but whole ones that exist; no resource `*` but where it is said why; each statement once."""
    sids = [one["Sid"] for one in statements]
    assert len(sids) == len(set(sids))
    aws = botocore.session.get_session()
    for one in statements:
        actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
        resources = [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]
        assert ("*" in resources) == (one["Sid"] in EVERYWHERE), one["Sid"]
        for action in actions:
            service, _, name = action.partition(":")
            assert action in NO_CALLS or name in aws.get_service_model(service).operation_names, action


@pytest.mark.parametrize("statements", [GATEWAY, STUDIO], ids=["gateway", "host"])
def test_policies_leave_room(statements: list[dict[str, Any]]) -> None:
    """IAM gives a role's own policies 10,240 characters; a host's has models and secrets to add."""
    assert len(document(statements)) < 10_240 / 2
