"""What who deploys is let do comes from the kinds that the program makes: no row lacks, none is idle, and
AWS's own handlers of each kind ask for what a row says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.deployer.policy import previewer_statements
from infra.deployer.rights import CLUSTER, INSTANCES, LOOKS, LOOKUPS, SHARED, writes
from infra.stackfile import read_spec
from tests.infra.cluster.stacks import CLUSTER_STACKS, cluster_graph
from tests.infra.deployer.documented import actions_like, handlers
from tests.infra.graph import Graph
from tests.infra.instances.evaluation import Request, allowed
from tests.infra.program_stacks import STACKS, graph_of

INFRA = Path(__file__).resolve().parents[3] / "infra"

OF_CLOUDFORMATION = {
    # Several where CloudFormation cuts a kind in pieces.
    "internetGateway": ["EC2::InternetGateway", "EC2::VPCGatewayAttachment"],
    "routeTable": ["EC2::RouteTable", "EC2::Route"],
    "routeTableAssociation": ["EC2::SubnetRouteTableAssociation"],
    "securityGroup": ["EC2::SecurityGroup"],
    "securityGroupIngressRule": ["EC2::SecurityGroupIngress", "EC2::SecurityGroupEgress"],
    "securityGroupEgressRule": ["EC2::SecurityGroupIngress", "EC2::SecurityGroupEgress"],
    "fileSystem": ["EFS::FileSystem"],
    "backupPolicy": ["EFS::FileSystem"],
    "fileSystemPolicy": ["EFS::FileSystem"],
    "accessPoint": ["EFS::AccessPoint"],
    "bucketPolicy": ["S3::BucketPolicy"],
    "role": ["IAM::Role"],
    "rolePolicy": ["IAM::RolePolicy"],
    "logGroup": ["Logs::LogGroup"],
    "zone": ["Route53::HostedZone"],
    "record": ["Route53::RecordSet"],
    "budget": ["Budgets::Budget"],
    "instance": ["EC2::Instance"],
    "volume": ["EC2::Volume"],
    "eip": ["EC2::EIP"],
    "eipAssociation": ["EC2::EIP"],
    "launchTemplate": ["EC2::LaunchTemplate"],
    "group": ["AutoScaling::AutoScalingGroup", "AutoScaling::WarmPool"],
    "lifecycleHook": ["AutoScaling::LifecycleHook"],
    "instanceProfile": ["IAM::InstanceProfile"],
    "metricAlarm": ["CloudWatch::Alarm"],
    "cluster": ["EKS::Cluster"],
    "accessEntry": ["EKS::AccessEntry"],
    "accessPolicyAssociation": ["EKS::AccessEntry"],
    "addon": ["EKS::Addon"],
    "podIdentityAssociation": ["EKS::PodIdentityAssociation"],
    "key": ["KMS::Key"],
    "rolePolicyAttachment": ["IAM::Role"],
}
"""Kinds whose handlers AWS publishes whole. Of a VPC, a subnet, a bucket, a certificate and a project of
CodeBuild it publishes none that says anything."""

BESIDE = {
    # Nothing is let out of a VPC's first group, and a changed rule is written over.
    "securityGroupIngressRule": {"ec2:modifysecuritygrouprules", "ec2:createtags", "ec2:deletetags"},
    "securityGroupEgressRule": {"ec2:modifysecuritygrouprules", "ec2:createtags", "ec2:deletetags"},
    "securityGroup": set(),
    # Root disks grow in place; a machine is ended.
    "instance": {"ec2:modifyvolume"},
    "launchTemplate": {"ec2:modifylaunchtemplate"},
    # A group's instances are protected, and are let go of when it ends; tags of what a template launches.
    "group": {"autoscaling:setinstanceprotection", "ec2:createtags"},
    "instanceProfile": {"iam:taginstanceprofile", "iam:untaginstanceprofile"},
    # The alarm's action is CloudWatch's own role's ("Using service-linked roles for CloudWatch").
    "metricAlarm": {"iam:createservicelinkedrole"},
}
"""What pulumi-aws calls that CloudFormation's handlers do not."""


ALSO = {
    # What AWS gives by default is asked for first, and counts where nobody raised it.
    "servicequotas/getServiceQuota": {
        "servicequotas:GetAWSDefaultServiceQuota",
        "servicequotas:GetServiceQuota",
    },
    "secretsmanager/getSecret": {"secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"},
    "iam/getSessionContext": {"iam:GetRole"},
    "efs/getFileSystem": {
        "elasticfilesystem:DescribeFileSystems",
        "elasticfilesystem:DescribeLifecycleConfiguration",
    },
}
"""What a lookup calls beside or in the place of what its name says, as read in the provider's source."""


def kinds(graph: Graph) -> set[str]:
    """What a graph asks AWS for."""
    return {
        node.type
        for node in graph.nodes
        if node.custom and not node.type.startswith(("kubernetes:", "pulumi:"))
    }


def test_every_kind_that_is_made_has_its_rights_and_no_other_has() -> None:
    """A right for what nobody makes is what a thief of the role would use first."""
    on_instances = set[str]().union(*(kinds(graph_of(name)) for name in STACKS))
    on_clusters = set[str]().union(*(kinds(cluster_graph(name)) for name in CLUSTER_STACKS))
    assert on_instances == {*SHARED, *INSTANCES}
    assert on_clusters == {*SHARED, *CLUSTER}


def test_every_lookup_of_the_program_has_its_service() -> None:
    """By its name in the source, whatever stack it is for."""
    source = "\n".join(file.read_text() for file in INFRA.rglob("*.py"))
    asked = {
        re.sub(r"_(\w)", lambda letter: letter[1].upper(), name.removesuffix("_output"))
        for name in re.findall(r"\baws\.(?:\w+\.)?(get_\w+)", source)
    }
    assert asked == {token.rpartition(":")[2] for token in LOOKUPS}
    assert {service for service in LOOKUPS.values() if service} <= LOOKS.keys()


@pytest.mark.parametrize("lookup", ALSO)
def test_whatever_a_lookup_calls_is_allowed(lookup: str) -> None:
    """A lookup that is refused is no reason to stop, so nobody would hear that a warning is missing."""
    config = {
        "easel:team": {"domain": "art.example.com"},
        "easel:endpoints": {"studio": {"shape": "gpu.l4"}},
    }
    statements = previewer_statements(read_spec("art", config, "stacks/Pulumi.art.yaml"))
    assert f"aws:{lookup}:{lookup.rpartition('/')[2]}" in LOOKUPS
    for action in ALSO[lookup]:
        assert allowed(Request(action, "*"), statements), action


def documented_rows() -> Iterator[tuple[str, list[str]]]:
    for token in {**SHARED, **INSTANCES, **CLUSTER}:
        noun = token.split("/")[-1].partition(":")[0]
        if noun in OF_CLOUDFORMATION:
            yield token, OF_CLOUDFORMATION[noun]


@pytest.mark.parametrize(("token", "cloudformation"), documented_rows())
def test_awss_own_handlers_ask_for_what_a_row_says(token: str, cloudformation: list[str]) -> None:
    """Nothing more, but for what pulumi-aws does in another way."""
    row = {action.lower() for action in {**SHARED, **INSTANCES, **CLUSTER}[token]}
    asked = set[str]().union(*(handlers()[f"AWS::{kind}"] for kind in cloudformation))
    noun = token.split("/")[-1].partition(":")[0]
    assert row - asked == BESIDE.get(noun, set())


@pytest.mark.parametrize("runs_on", ["instances", "cluster"])
def test_every_action_is_one_of_awss(runs_on: str) -> None:
    """By the Service Authorization Reference; a misspelt one allows nothing and says nothing."""
    for action in writes(runs_on) | {one for looks in LOOKS.values() for one in looks}:
        assert actions_like(action), action
    assert not [action for action in writes(runs_on) if "*" in action]
