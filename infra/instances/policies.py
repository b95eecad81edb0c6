"""What roles of easel may do: policy statements as pure functions of names and ARNs.

Each statement's `Sid` says what it is for. Where `Resource` is `*`, AWS lets the action name nothing smaller,
and `EVERYWHERE` says so by Sid; a test lets no other pass. What is shared within a team is held by the tags
that only the Pulumi program sets (`easel:team`, `easel:endpoint`), never by how a name begins: `easel-art-*`
is also team `art-2`'s. Actions, resources and condition keys are those of AWS's Service Authorization
Reference.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.references import Reference

Statement = dict[str, Any]

EVERYWHERE = {
    "SeeGroupsAndInstances": "ec2:Describe* and autoscaling:Describe* take no resource; they read only",
    "LogInToRegistry": "ecr:GetAuthorizationToken takes no resource; what may be pulled is named beside it",
    "BeReachedBySessionManager": "the channels of SSM take no resource; what a person may do there, IAM "
    "decides about the person",
}
"""Why a statement names no resource, by its Sid."""

SOURCE_TOKENS = ("CIVITAI_TOKEN", "HF_TOKEN")
"""Which of an endpoint's secrets open sources of models."""

TRUST_OF_INSTANCES = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "OnlyInstances",
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
"""Who may take a role: EC2, for an instance whose profile it is in."""


@dataclass(frozen=True)
class AwsAccount:
    """Where the stack lives, as ARNs are spelled."""

    partition: str
    region: str
    id: str

    def arn(self, service: str, resource: str) -> str:
        """`account.arn("logs", "log-group:/easel/art")`, in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.id}:{resource}"


@dataclass(frozen=True)
class AwsSecret:
    """A secret of AWS Secrets Manager."""

    arn: str
    key_arn: str | None = None
    """The customer's key that it is encrypted with; None for AWS's own, which needs no right."""


def document(statements: Sequence[Statement]) -> str:
    """The policy's text. Equal statements give equal text, so that a preview shows no change that is none."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def gateway_statements(
    account: AwsAccount,
    team: str,
    bucket_arn: str,
    repository_arns: Sequence[str],
    file_system_arn: str,
    models_arn: str,
    secrets: Sequence[AwsSecret] = (),
) -> list[Statement]:
    """What the gateway may do. It names no endpoint, so that one more changes nothing here: what an
    endpoint's models ask for is `supply_statements`. `models_arn` is the store's access point."""
    of_team = {"StringEquals": {"aws:ResourceTag/easel:team": team}}
    groups = account.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/easel-*")
    return [
        _allow(
            "SeeGroupsAndInstances",
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeWarmPool",
                "ec2:DescribeInstances",
            ],
            "*",
        ),
        _allow(
            "WakeAndSleepOwnGroups",
            [
                "autoscaling:CompleteLifecycleAction",
                "autoscaling:RecordLifecycleActionHeartbeat",
                "autoscaling:SetDesiredCapacity",
                "autoscaling:SetInstanceHealth",
                "autoscaling:SetInstanceProtection",
                "autoscaling:TerminateInstanceInAutoScalingGroup",
            ],
            groups,
            of_team,
        ),
        # Spot has run out: the share of on-demand goes up until it is back. Nothing else is changed by this;
        # a request with a launch template needs ec2:RunInstances too, which is not here.
        _allow(
            "BuyOnDemandWhereSpotComesFirst",
            "autoscaling:UpdateAutoScalingGroup",
            groups,
            {
                "StringEquals": of_team["StringEquals"] | {"aws:ResourceTag/easel:capacity": "spot-first"},
                "Null": {
                    f"autoscaling:{key}": "true"
                    for key in (
                        "MinSize",
                        "MaxSize",
                        "InstanceTypes",
                        "LaunchConfigurationName",
                        "VPCZoneIdentifiers",
                    )
                },
            },
        ),
        # The whole bucket is the team's configuration. A condition on the prefix would turn the answer for an
        # object that is not there yet from 404 into 403.
        _allow("SeeWhatIsThere", "s3:ListBucket", bucket_arn),
        _read_objects("FollowConfiguration", bucket_arn, ["config/*"]),
        _allow("KeepTokensAndSpending", ["s3:GetObject", "s3:PutObject"], f"{bucket_arn}/run/*"),
        # The slash ends the team's name.
        _allow("ShowLogs", "logs:GetLogEvents", account.arn("logs", f"log-group:/easel/{team}/*")),
        _mount("MountModels", file_system_arn, [models_arn]),
        _write_logs(account.arn("logs", f"log-group:/easel/{team}")),
        *_pull(repository_arns),
        *_secrets(secrets),
        _sessions(),
    ]


@dataclass(frozen=True)
class Host:
    """What the role of an endpoint's instances is made from."""

    account: AwsAccount
    team: str
    endpoint: str
    bucket_arn: str
    file_system_arn: str
    access_point_arns: Sequence[str]
    """The team's models, and this endpoint's own outputs."""
    log_group_arn: str
    repository_arns: Sequence[str]
    secrets: Sequence[AwsSecret]


def host_statements(host: Host) -> list[Statement]:
    """What an instance of an endpoint may do. Its container gets none of it (IMDS ends at the host)."""
    own = {"aws:ResourceTag/easel:team": host.team, "aws:ResourceTag/easel:endpoint": host.endpoint}
    account = host.account
    return [
        _read_objects(
            "ReadOwnConfiguration",
            host.bucket_arn,
            # The keys are public ones: what the gateway signs, a replica verifies.
            ["config/team.json", f"config/{host.endpoint}.json", "run/keys.json"],
        ),
        _mount("MountOwnFolders", host.file_system_arn, host.access_point_arns),
        _allow(
            "TellOwnPhase",
            "ec2:CreateTags",
            account.arn("ec2", "instance/*"),
            {
                "StringEquals": own,
                # Without Null, a request that names no key would pass ForAllValues.
                "ForAllValues:StringEquals": {"aws:TagKeys": ["easel:image", "easel:phase", "easel:why"]},
                "Null": {"aws:TagKeys": "false"},
            },
        ),
        _allow(
            "SayThatItIsReady",
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            account.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/easel-*"),
            {"StringEquals": own},
        ),
        _write_logs(host.log_group_arn),
        *_pull(host.repository_arns),
        *_secrets(host.secrets),
        _sessions(),
    ]


def supply_statements(
    account: AwsAccount, models: Sequence[str], secrets: Mapping[str, AwsSecret]
) -> list[Statement]:
    """What the gateway needs for one endpoint's `models`, and nothing if they are public: the objects in S3
    and the tokens, each by its name. `secrets` are the endpoint's, by variable."""
    if not models:
        return []
    objects = {arn for arn in (object_arn(account.partition, model) for model in models) if arn}
    tokens = [secrets[name] for name in SOURCE_TOKENS if name in secrets]
    # The version too: where a bucket keeps versions, all ranges are asked of one.
    fetch = _allow("FetchModels", ["s3:GetObject", "s3:GetObjectVersion"], sorted(objects))
    return [*([fetch] if objects else []), *_secrets(tokens)]


def object_arn(partition: str, address: str) -> str | None:
    """The ARN of a model's `s3://bucket/key`, exactly that key; None for another kind of address."""
    # As the fetching reads it: S3 knows no query, so it belongs to the key; `#type=lora` is for the store.
    address = re.sub(r"#type=[^#&]*$", "", address)
    found = re.fullmatch(r"s3://(?P<bucket>[^/?#]+)/+(?P<key>.+)", address)
    if not found:
        return None
    # In a policy these three mean something; a key that holds one would name more than itself.
    key = re.sub(r"[*?$]", lambda sign: f"${{{sign[0]}}}", found["key"])
    return f"arn:{partition}:s3:::{found['bucket']}/{key}"


def repository_arn(reference: str) -> str | None:
    """The ARN of the ECR repository that an image reference names, or None for another registry."""
    repository = re.sub(r":[\w.-]+$", "", reference.partition("@")[0])
    place = Reference(repository, None, None).ecr
    return place.arn if place else None


def _allow(
    sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any] | None = None
) -> Statement:
    statement = {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _mount(sid: str, file_system_arn: str, access_point_arns: Sequence[str]) -> Statement:
    # The one place that says who comes by which access point: the file system's own policy only denies.
    return _allow(
        sid,
        ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        file_system_arn,
        {"StringEquals": {"elasticfilesystem:AccessPointArn": sorted(access_point_arns)}},
    )


def _read_objects(sid: str, bucket_arn: str, keys: Sequence[str]) -> Statement:
    return _allow(sid, "s3:GetObject", [f"{bucket_arn}/{key}" for key in keys])


def _write_logs(group_arn: str) -> Statement:
    # Some actions are asked about the group, some about `<group>:*`, some about a stream of it.
    return _allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [group_arn, f"{group_arn}:*"])


def _pull(repository_arns: Sequence[str]) -> list[Statement]:
    if not repository_arns:
        return []
    layers = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        _allow("LogInToRegistry", "ecr:GetAuthorizationToken", "*"),
        _allow("PullImage", layers, sorted(set(repository_arns))),
    ]


def _secrets(secrets: Sequence[AwsSecret]) -> list[Statement]:
    if not secrets:
        return []
    arns = sorted({secret.arn for secret in secrets})
    statements = [_allow("ReadOwnSecrets", "secretsmanager:GetSecretValue", arns)]
    if under_keys := [secret for secret in secrets if secret.key_arn]:
        # Through Secrets Manager, and for these secrets alone: the key may be under much else.
        through = {
            "kms:ViaService": sorted({_via(secret.arn) for secret in under_keys}),
            "kms:EncryptionContext:SecretARN": sorted({secret.arn for secret in under_keys}),
        }
        keys = sorted({str(secret.key_arn) for secret in under_keys})
        statements.append(_allow("DecryptOwnSecrets", "kms:Decrypt", keys, {"StringEquals": through}))
    return statements


def _via(secret_arn: str) -> str:
    """The name that Secrets Manager asks KMS by, in the secret's region."""
    _, partition, _, region, *_ = secret_arn.split(":")
    return f"secretsmanager.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}"


def _sessions() -> Statement:
    # The least that Session Manager asks for. AmazonSSMManagedInstanceCore would also read every parameter of
    # the account (ssm:GetParameter on *).
    return _allow(
        "BeReachedBySessionManager",
        [
            "ssm:UpdateInstanceInformation",
            "ssmmessages:CreateControlChannel",
            "ssmmessages:CreateDataChannel",
            "ssmmessages:OpenControlChannel",
            "ssmmessages:OpenDataChannel",
        ],
        "*",
    )
