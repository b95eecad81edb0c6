"""The whole program made by who has nothing but the printed policy, on moto's server, which denies the rest.

moto reads actions alone: resources and conditions are taken off for it, and are held by `test_policy.py`.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import infra.keda
from infra.deployer.policy import deployer_statements
from infra.newest import NEWEST
from infra.stackfile import read_spec
from tests.infra import graph
from tests.infra.cloud import build, cluster, data, identity, machines  # noqa: F401 - they register themselves
from tests.infra.cloud.provider import REGION, Cloud, Provider
from tests.infra.cluster.stacks import CLUSTER
from tests.infra.test_against_moto import ENDPOINTS, TEAM, served

pytestmark = pytest.mark.slow

OF_MOTO = {
    "budgets:ModifyBudget": "budgets:CreateBudget",
    "cloudwatch:PutMetricAlarm": "monitoring:PutMetricAlarm",
    "s3:ListBucket": "s3:HeadBucket",
}
"""What moto asks about by the name of the call, where IAM has another (Service Authorization Reference)."""


class Signed(Cloud):
    """The same cloud by somebody's keys."""

    def __init__(self, endpoint: str, keys: dict[str, str]) -> None:
        super().__init__(endpoint)
        self._keys = keys

    def plain(self, service: str) -> Any:
        """A client that is known by its keys."""
        return boto3.client(
            service,
            REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self._keys["AccessKeyId"],
            aws_secret_access_key=self._keys["SecretAccessKey"],
            aws_session_token=self._keys["SessionToken"],
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
        patch.setattr(infra.keda, "chart", lambda: "keda.tgz")
        # moto reckons another signature where a call has a query; whose keys they are it knows all the same.
        patch.setattr("moto.iam.access_control.IAMRequestBase.check_signature", lambda _: None)
        for one in served():
            for parameter in NEWEST.values():
                one.image(parameter)
            try:
                yield one
            finally:
                enforced(one, "inf")


def enforced(cloud: Cloud, after: str) -> None:
    """From so many requests on nothing goes without a right."""
    address, plain = f"{cloud.endpoint}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    urlopen(Request(address, data=after.encode(), headers=plain, method="POST")).close()


def who_has(cloud: Cloud, statements: list[dict[str, Any]]) -> Signed:
    """Somebody whose role has the actions of these statements."""
    iam = cloud("iam")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    role = iam.create_role(RoleName="easel-up", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    actions = {one for statement in statements for one in _listed(statement["Action"])}
    actions |= {OF_MOTO[one] for one in actions & OF_MOTO.keys()}
    only = {"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [only]})
    iam.put_role_policy(RoleName="easel-up", PolicyName="art", PolicyDocument=policy)
    given = cloud("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="up")["Credentials"]
    signed = Signed(cloud.endpoint, given)
    signed._images = cloud._images
    enforced(cloud, "0")
    return signed


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


STACKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "instances": (TEAM, ENDPOINTS),
    "cluster": (
        {**TEAM, **CLUSTER, "cluster": {"admins": ["arn:aws:iam::123456789012:role/easel-up"]}},
        {"studio": {"shape": "gpu.l4", "secrets": {"API_KEY": "comfy/key"}}},
    ),
}


@pytest.mark.parametrize("stack", STACKS)
def test_the_printed_policy_makes_the_whole_stack(stack: str, cloud: Cloud) -> None:
    """Whatever the program registers; one right less and it stops there."""
    team, endpoints = STACKS[stack]
    config = {"easel:team": team, "easel:endpoints": endpoints}
    statements = deployer_statements(read_spec("art", config, "stacks/Pulumi.art.yaml"))
    provider = Provider(who_has(cloud, statements))
    try:
        graph.run(config, "art", cloud=provider)
    finally:
        assert provider.faults == []
    with pytest.raises(ClientError, match="AccessDenied"):
        provider.cloud("iam").create_user(UserName="somebody")


def test_one_right_less_and_it_stops_there(cloud: Cloud) -> None:
    """The test above can fail."""
    config = {"easel:team": TEAM, "easel:endpoints": {"studio": {"shape": "gpu.t4"}}}
    statements = deployer_statements(read_spec("art", config, "stacks/Pulumi.art.yaml"))
    for statement in statements:
        statement["Action"] = [
            one for one in _listed(statement["Action"]) if one != "cloudwatch:PutMetricAlarm"
        ]
    provider = Provider(who_has(cloud, statements))
    graph.run(config, "art", cloud=provider)
    (fault,) = provider.faults
    assert "not authorized to perform: monitoring:PutMetricAlarm" in fault
