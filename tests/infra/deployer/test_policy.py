"""The policy of who deploys: what it lets, what it does not, and that AWS knows every word of it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.deployer.policy import (
    LONGEST,
    UNHELD,
    deployer_statements,
    length,
    parts,
    previewer_statements,
    state_statements,
)
from infra.deployer.rights import writes
from infra.deployer.roles import boundary_statements
from infra.names import TEAM_LENGTH
from infra.spec import Spec
from infra.stackfile import read_spec
from scripts.settings import ROOT
from tests.infra.cluster.stacks import CLUSTER_STACKS, cluster_graph
from tests.infra.deployer.documented import actions_like, resource_types
from tests.infra.graph import TEAM
from tests.infra.instances.evaluation import Request, allowed
from tests.infra.program_stacks import STACKS, graph_of
from tests.infra.world import ACCOUNT
from tests.scripts.stackfiles import ART, Teams, done, easel, refused

BOUNDARY = "arn:aws:iam::111122223333:policy/platform/easel"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:art/hf-Ab12Cd"
HERE = "us-east-1:111122223333"


def spec(team: Mapping[str, Any] | None = None, name: str = "art", **endpoint: Any) -> Spec:
    config = {
        "easel:team": {"runs_on": "instances", "domain": "art.example.com", **(team or {})},
        "easel:endpoints": {"studio": {"shape": "gpu.l4", **endpoint}},
    }
    return read_spec(name, config, "stacks/Pulumi.art.yaml")


CLUSTER = {"runs_on": "cluster", "cluster": {"admins": ["arn:aws:iam::111122223333:role/Admin"]}}
SPECS = {
    "instances": spec(),
    "bound": spec({"iam": {"permissions_boundary": BOUNDARY}, "zone": "create"}),
    "adopted": spec(
        {"network": {"vpc": "vpc-0123456789abcdef0"}, "storage": {"existing": "fs-0123456789abcdef0"}}
    ),
    "cluster": spec(CLUSTER, secrets={"HF_TOKEN": SECRET, "B": "art/b"}),
    "on a platform": spec({"runs_on": "cluster", "platform": "company"}),
    "longest": spec(
        {
            "zone": "create",
            "domain": f"{'d' * 60}.{'e' * 60}.example.com",
            "iam": {"permissions_boundary": f"arn:aws-us-gov:iam::111122223333:policy/{'p' * 128}"},
            "storage": {"existing": "fs-0123456789abcdef0"},
            "network": {"vpc": "vpc-0123456789abcdef0"},
        },
        "t" * TEAM_LENGTH,
    ),
    "longest cluster": spec(
        {**CLUSTER, "zone": "create", "iam": {"permissions_boundary": BOUNDARY}},
        "t" * TEAM_LENGTH,
        secrets={f"S{n}": SECRET.replace("hf", f"hf{n}") for n in range(10)},
    ),
}
every = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def may(spec: Spec, action: str, resource: str, **context: str) -> bool:
    """Whether who deploys this stack is let do it. Keys of the context without their colons."""
    keys = {"request": "aws:RequestTag/easel:team", "carries": "aws:ResourceTag/easel:team"}
    named = {keys.get(key, key.replace("__", ":")): value for key, value in context.items()}
    return allowed(Request(action, resource, named), deployer_statements(spec))


@every
def test_it_fits_into_what_a_role_may_have(spec: Spec) -> None:
    """With the longest names, and the state beside it: three managed policies of ten."""
    statements = deployer_statements(spec, "aws-us-gov")
    statements += state_statements("b" * 63, KEY, "aws-us-gov", changes=True)
    found = parts(statements)
    assert [one for part in found for one in part] == statements
    assert max(length(part) for part in found) <= LONGEST
    assert len(found) <= 3
    assert len(parts(previewer_statements(spec))) == 1
    sids = [statement["Sid"] for statement in statements]
    assert len(set(sids)) == len(sids)
    assert all(sid.isalnum() for sid in sids)


@every
def test_everything_that_the_program_asks_for_is_allowed_somewhere(spec: Spec) -> None:
    """Each write of the table is in a statement, but for what this stack has no use for."""
    found = {one for statement in deployer_statements(spec) for one in listed(statement["Action"])}
    missing = writes(spec.team.runs_on) - found
    unused = {"route53:"} if spec.team.zone != "create" else set()
    unused |= {"ec2:Create"} if spec.team.network.vpc else set()
    unused |= {"eks:"} if spec.team.platform != "own" else set()
    assert not [one for one in missing if not one.startswith(tuple(unused))]


@every
def test_aws_knows_each_resource_and_condition_for_each_action(spec: Spec) -> None:
    """By the Service Authorization Reference: a wrong one denies for ever, and nobody sees why."""
    for statement in deployer_statements(spec):
        resources = listed(statement["Resource"])
        for action in {one for asked in listed(statement["Action"]) for one in actions_like(asked)}:
            types = resource_types(action)
            fitting = [kind for kind in types.values() if any(_fits(one, kind) for one in resources)]
            if resources != ["*"]:
                assert fitting, (statement["Sid"], action, resources)
            tagged = [
                key
                for keys in statement.get("Condition", {}).values()
                for key in keys
                if "ResourceTag" in key
            ]
            if tagged:
                known = {key for kind in types.values() for key in kind.get("ConditionKeys", [])}
                assert not types or "aws:ResourceTag/${TagKey}" in known, (
                    statement["Sid"], action,
                )  # fmt: skip


def _fits(resource: str, kind: Mapping[str, Any]) -> bool:
    """Whether an ARN of a policy can be one of a type's."""
    if resource == "*":
        return True
    for form in kind.get("ARNFormats", []):
        head = re.sub(r"\$\{\w+\}", "[^:]*", form.removesuffix(".*"))
        parts = resource.replace("?", "x").split(":", 5)
        if re.match(head, resource.replace("?", "x")) or (
            parts[5] == "*" and form.split(":", 5)[2] == parts[2]
        ):
            return True
    return False


@every
def test_what_is_held_by_neither_tag_nor_name_says_why(spec: Spec) -> None:
    """Looking aside."""
    for statement in deployer_statements(spec):
        if statement["Sid"].startswith("Look"):
            continue
        text = json.dumps([statement["Resource"], statement.get("Condition", {})])
        held = spec.name in text or "vpc-0" in text or "fs-0" in text or spec.team.domain in text
        own = ("TagWhatIsMade", "MakeServicesOwnRoles", "KeepImages", "ReadSecrets", "DecryptSecrets")
        assert held or "company" in text or statement["Sid"] in (*UNHELD, *own), statement["Sid"]


def test_another_teams_things_are_nobodys_business() -> None:
    """Networks, machines, groups, files by their tag; buckets, logs, builds by their names."""
    art = SPECS["instances"]
    vpc, group = f"arn:aws:ec2:{HERE}:vpc/vpc-1", f"arn:aws:autoscaling:{HERE}:autoScalingGroup:u:g"
    assert may(art, "ec2:DeleteVpc", vpc, carries="art")
    assert not may(art, "ec2:DeleteVpc", vpc, carries="art-2")
    assert not may(art, "ec2:DeleteVpc", vpc)
    assert may(art, "ec2:CreateVpc", vpc, request="art")
    assert not may(art, "ec2:CreateVpc", vpc, request="music")
    assert may(art, "ec2:CreateSubnet", vpc, carries="art")
    assert not may(art, "ec2:CreateSubnet", vpc, carries="music", request="art")
    machine = f"arn:aws:ec2:{HERE}:instance/i-1"
    assert may(art, "ec2:RunInstances", machine, request="art")
    assert not may(art, "ec2:RunInstances", machine)
    assert not may(art, "ec2:TerminateInstances", machine, carries="music")
    assert may(art, "autoscaling:DeleteAutoScalingGroup", group, carries="art")
    assert not may(art, "autoscaling:UpdateAutoScalingGroup", group, carries="music")
    files = f"arn:aws:elasticfilesystem:{HERE}:file-system/fs-1"
    assert not may(art, "elasticfilesystem:DeleteFileSystem", files, carries="art"), "it outlives the stack"
    for name, is_own in (("easel-art-config-1a2b3c4", True), ("easel-art-2-config-1a2b3c4", False)):
        assert may(art, "s3:PutObject", f"arn:aws:s3:::{name}/config/team.json") is is_own
    assert not may(art, "s3:GetObject", "arn:aws:s3:::easel-art-config-1a2b3c4/run/secret"), (
        "who previews neither"
    )
    assert may(art, "logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/easel/art/studio")
    assert not may(art, "logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/easel/art-2/studio")


def test_what_carries_another_teams_tag_gets_no_other() -> None:
    """Or who tags could take it: only what comes without is given one."""
    group = f"arn:aws:ec2:{HERE}:security-group/sg-1"
    art = SPECS["instances"]
    assert may(art, "ec2:CreateTags", group, request="art")
    assert may(art, "ec2:CreateTags", group, carries="art")
    assert not may(art, "ec2:CreateTags", group, request="art", carries="music")
    assert not may(art, "ec2:CreateTags", group, request="music")
    assert may(art, "ec2:CreateTags", group, ec2__CreateAction="CreateSecurityGroup")


def test_records_are_those_below_the_teams_domain() -> None:
    """The zone may be a whole company's."""
    zone, key = "arn:aws:route53:::hostedzone/Z1", "route53__ChangeResourceRecordSetsNormalizedRecordNames"
    art = SPECS["instances"]
    for name, is_own in (
        ("studio.art.example.com", True),
        (r"\052.art.example.com", True),
        ("www.example.com", False),
        ("art.example.com.evil.example", False),
    ):
        assert may(art, "route53:ChangeResourceRecordSets", zone, **{key: name}) is is_own
    assert not may(art, "route53:ChangeResourceRecordSets", zone)
    assert not may(art, "route53:DeleteHostedZone", zone)


HELD_BY_NAME = {
    "Role": ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/%s"),
    "InstanceProfile": ("iam:DeleteInstanceProfile", f"arn:aws:iam::{ACCOUNT}:instance-profile/%s"),
    "Bucket": ("s3:DeleteBucket", "arn:aws:s3:::%s"),
    "LogGroup": ("logs:PutRetentionPolicy", f"arn:aws:logs:{HERE}:log-group:%s"),
    "MetricAlarm": ("cloudwatch:PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:%s"),
    "Budget": ("budgets:ModifyBudget", f"arn:aws:budgets::{ACCOUNT}:budget/%s"),
    "Project": ("codebuild:UpdateProject", f"arn:aws:codebuild:{HERE}:project/%s"),
    "Cluster": ("eks:UpdateClusterConfig", f"arn:aws:eks:{HERE}:cluster/%s"),
    "Record": ("route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z1%.0s"),
}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("stack", [*STACKS, *CLUSTER_STACKS])
def test_the_names_in_it_are_those_that_the_program_gives(stack: str) -> None:
    """Of whatever is held by a name, for every stack of the graph's."""
    of = STACKS.get(stack) or CLUSTER_STACKS[stack]
    config = {"easel:team": {**TEAM, **of.team}, "easel:endpoints": of.endpoints}
    statements = deployer_statements(read_spec(of.name, config, "stacks/x"))
    graph = graph_of(stack) if stack in STACKS else cluster_graph(stack)
    seen = set()
    for node in graph.nodes:
        if node.type.startswith("aws:") and node.short in HELD_BY_NAME:
            action, arn = HELD_BY_NAME[node.short]
            name = str(node.inputs.get("name", "")).replace("*", r"\052").rstrip(".")
            keys = {
                "aws:ResourceTag/easel:team": of.name,
                "route53:ChangeResourceRecordSetsNormalizedRecordNames": name,
            }
            proof = name.startswith("_proof.")  # the stand-in's certificate is another domain's
            assert proof or allowed(Request(action, arn % node.physical, keys), statements), node.urn
            seen.add(node.short)
    assert seen >= {"Role", "Bucket", "LogGroup", "Project", "Record"}


def test_without_a_boundary_roles_are_held_by_name_and_tag_and_with_one_by_it_too() -> None:
    """Who may make any role may do anything; a boundary is what ends that."""
    role = "arn:aws:iam::111122223333:role/easel-art-gateway-1a2b3c4"
    free, bound = SPECS["instances"], SPECS["bound"]
    assert may(free, "iam:CreateRole", role, request="art")
    assert not may(free, "iam:CreateRole", role.replace("easel-art", "admin"), request="art")
    assert not may(free, "iam:PutRolePolicy", role, carries="music")
    assert may(free, "iam:PutRolePolicy", role, carries="art")
    asked = {"iam__PermissionsBoundary": BOUNDARY}
    assert not may(bound, "iam:CreateRole", role, request="art")
    assert may(bound, "iam:CreateRole", role, request="art", **asked)
    assert not may(bound, "iam:PutRolePolicy", role, carries="art")
    assert may(bound, "iam:PutRolePolicy", role, carries="art", **asked)
    assert not may(bound, "iam:DeleteRolePermissionsBoundary", role, carries="art", **asked)
    assert may(bound, "iam:PassRole", role, iam__PassedToService="ec2.amazonaws.com")
    assert not may(bound, "iam:PassRole", role, iam__PassedToService="lambda.amazonaws.com")
    other = "arn:aws:iam::111122223333:role/easel-art-2-gateway-1a2b3c4"
    assert not may(free, "iam:PassRole", other, iam__PassedToService="ec2.amazonaws.com")
    itself = role.replace("easel-art", "easel-up")
    assert not may(bound, "iam:PassRole", itself, iam__PassedToService="ec2.amazonaws.com")


def test_who_only_looks_changes_nothing_and_reads_no_secret() -> None:
    """The configuration's object is read, tokens and the gateway's secret are not."""
    statements = previewer_statements(SPECS["instances"])
    bucket = "arn:aws:s3:::easel-art-config-1a2b3c4"
    assert allowed(Request("s3:GetObject", f"{bucket}/config/team.json"), statements)
    assert not allowed(Request("s3:GetObject", f"{bucket}/run/secret"), statements)
    for statement in statements:
        for action in listed(statement["Action"]):
            assert re.match(r"[\w-]+:(Describe|Get|List|BatchGet|View)", action), action
    assert not allowed(Request("secretsmanager:GetSecretValue", SECRET), statements)
    assert not allowed(
        Request("ssm:GetParameter", f"arn:aws:ssm:{HERE}:parameter/company/secret"), statements
    )


def test_on_a_cluster_who_previews_reads_the_secrets_that_the_stack_names() -> None:
    """A preview compares their values, and would end where it may not read them; of others it reads none."""
    other, kms = SECRET.replace("art/hf", "art/other"), "arn:aws:kms:us-east-1:111122223333:key/1"
    through = {"kms:ViaService": "secretsmanager.us-east-1.amazonaws.com"}
    for statements in (previewer_statements(SPECS["cluster"]), deployer_statements(SPECS["cluster"])):
        for secret in (SECRET, f"arn:aws:secretsmanager:{HERE}:secret:art/b-Ab12Cd"):
            asked = {**through, "kms:EncryptionContext:SecretARN": secret}
            assert allowed(Request("secretsmanager:GetSecretValue", secret), statements)
            assert allowed(Request("kms:Decrypt", kms, asked), statements)
        assert not allowed(Request("secretsmanager:GetSecretValue", other), statements)
        asked = {**through, "kms:EncryptionContext:SecretARN": other}
        assert not allowed(Request("kms:Decrypt", kms, asked), statements)
        assert not allowed(Request("kms:Decrypt", kms), statements)


@pytest.fixture
def teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teams:
    found = Teams(tmp_path, monkeypatch)
    found.write("art", ART)
    return found


def test_the_command_prints_it_for_a_team(teams: Teams) -> None:
    """As IAM takes it; with the state's bucket and key where they are said."""
    whole = easel("policy", "art")
    assert "IAM takes this as 2 policies: --part 1, --part 2" in whole.stderr
    found = json.loads(whole.stdout)
    assert found["Version"] == "2012-10-17"
    assert "MakeOnlyTheTeams" in {one["Sid"] for one in found["Statement"]}
    looks = json.loads(done("policy", "--preview", "--state", "my-state", "--key", KEY))["Statement"]
    by_sid = {one["Sid"]: one for one in looks}
    assert by_sid["ReadTheState"] | {"Sid": ""} == {
        "Sid": "", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::my-state/*",
    }  # fmt: skip
    assert by_sid["OpenItsSecrets"]["Action"] == ["kms:Decrypt"]
    assert "KeepTheState" in done("policy", "art", "--state", "my-state", "--key", KEY)
    first, second = (json.loads(easel("policy", "--part", n).stdout)["Statement"] for n in ("1", "2"))
    assert first + second == found["Statement"]
    assert "there are 2, from 1 on" in refused("policy", "--part", "3")


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("eu-west-1", "aws"),
    ],
)
def test_the_policy_is_of_the_partition_that_the_stack_is_in(
    teams: Teams, region: str, partition: str
) -> None:
    """ARNs of another name nothing there; an option says it where the environment says the region."""
    teams.write("art", re.sub("aws:region: .*", f"aws:region: {region}", ART))
    for words, wanted in (
        (["policy", "art"], partition),
        (["policy", "art", "--partition", "aws-iso"], "aws-iso"),
    ):
        arns = re.findall(r'"arn:([^:]+):', done(*words))
        assert set(arns) == {wanted}


@pytest.mark.parametrize("stack", STACKS)
def test_a_printed_boundary_lets_every_role_work(stack: str) -> None:
    """And no role do more than roles of easel do."""
    (boundary,) = boundary_statements()
    asked = {
        action
        for node in graph_of(stack).of("RolePolicy")
        for statement in node.document()
        for action in listed(statement["Action"])
    }
    assert asked <= set(boundary["Action"])
    assert not [one for one in boundary["Action"] if one.startswith("iam:") or "*" in one]
    assert length([boundary]) < LONGEST


def test_the_command_prints_a_boundary_where_roles_are_easels_own(teams: Teams) -> None:
    """On a cluster they are AWS's too."""
    (found,) = json.loads(done("policy", "--boundary"))["Statement"]
    assert found == boundary_statements()[0]
    teams.write("eks", ART.replace('"instances"', "cluster"))
    assert "roles carry AWS's own policies" in refused("policy", "eks", "--boundary")
    assert "neither preview nor see a state" in refused("policy", "--boundary", "--preview")


def test_the_command_says_where_there_is_none(teams: Teams) -> None:
    """On one machine AWS is asked nothing; half of a state is refused."""
    teams.write("home", ART.replace('"instances"', "local"))
    assert "for which AWS is asked nothing" in refused("policy", "home")
    assert "--state and --key go together" in refused("policy", "art", "--state", "my-state")


def test_the_docs_name_the_command() -> None:
    """In the place of a table by hand."""
    assert "easel policy" in (ROOT / "docs" / "how-to" / "run-from-git.md").read_text()
