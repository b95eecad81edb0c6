"""What roles of instances may do: policy statements as pure functions of names and ARNs.

Each statement's `Sid` says what it is for. Where `Resource` is `*`, AWS lets the action name nothing smaller,
and `EVERYWHERE` says so by Sid; a test lets no other pass. What is shared within a team is held by the tags
that only the Pulumi program sets (`easel:team`, `easel:endpoint`), never by how a name begins: `easel-art-*`
is also team `art-2`'s.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from infra.account import AwsAccount
from infra.policies import AwsSecret, Statement, allow, secret_statements
from infra.references import Reference

EVERYWHERE = {
    "SeeGroupsAndInstances": "ec2:Describe* and autoscaling:Describe* take no resource; they read only",
    "LogInToRegistry": "ecr:GetAuthorizationToken takes no resource; what may be pulled is named beside it",
    "BeReachedBySessionManager": "the channels of SSM take no resource; what a person may do there, IAM "
    "decides about the person",
}
"""Why a statement names no resource, by its Sid."""

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
        allow(
            "SeeGroupsAndInstances",
            [
                "autoscaling:DescribeAutoScalingGroups",
                "autoscaling:DescribeScalingActivities",
                "autoscaling:DescribeWarmPool",
                "ec2:DescribeInstances",
            ],
            "*",
        ),
        allow(
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
        allow(
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
        allow("SeeWhatIsThere", "s3:ListBucket", bucket_arn),
        _read_objects("FollowConfiguration", bucket_arn, ["config/*"]),
        allow("KeepTokensAndSpending", ["s3:GetObject", "s3:PutObject"], f"{bucket_arn}/run/*"),
        # The slash ends the team's name.
        allow("ShowLogs", "logs:GetLogEvents", account.arn("logs", f"log-group:/easel/{team}/*")),
        _mount("MountModels", file_system_arn, [models_arn]),
        _write_logs(account.arn("logs", f"log-group:/easel/{team}")),
        *_pull(repository_arns),
        *secret_statements(secrets),
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
        allow(
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
        allow(
            "SayThatItIsReady",
            ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            account.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/easel-*"),
            {"StringEquals": own},
        ),
        _write_logs(host.log_group_arn),
        *_pull(host.repository_arns),
        *secret_statements(host.secrets),
        _sessions(),
    ]


def repository_arn(reference: str) -> str | None:
    """The ARN of the ECR repository that an image reference names, or None for another registry."""
    repository = re.sub(r":[\w.-]+$", "", reference.partition("@")[0])
    place = Reference(repository, None, None).ecr
    return place.arn if place else None


def _mount(sid: str, file_system_arn: str, access_point_arns: Sequence[str]) -> Statement:
    # The one place that says who comes by which access point: the file system's own policy only denies.
    return allow(
        sid,
        ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
        file_system_arn,
        {"StringEquals": {"elasticfilesystem:AccessPointArn": sorted(access_point_arns)}},
    )


def _read_objects(sid: str, bucket_arn: str, keys: Sequence[str]) -> Statement:
    return allow(sid, "s3:GetObject", [f"{bucket_arn}/{key}" for key in keys])


def _write_logs(group_arn: str) -> Statement:
    # Some actions are asked about the group, some about `<group>:*`, some about a stream of it.
    return allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], [group_arn, f"{group_arn}:*"])


def _pull(repository_arns: Sequence[str]) -> list[Statement]:
    if not repository_arns:
        return []
    layers = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    # A tag that is new to a pull-through cache comes from upstream. AmazonEC2ContainerRegistryPullOnly has it
    # too.
    layers.append("ecr:BatchImportUpstreamImage")
    return [
        allow("LogInToRegistry", "ecr:GetAuthorizationToken", "*"),
        allow("PullImage", layers, sorted(set(repository_arns))),
    ]


def _sessions() -> Statement:
    # The least that Session Manager asks for. AmazonSSMManagedInstanceCore would also read every parameter of
    # the account (ssm:GetParameter on *).
    return allow(
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
