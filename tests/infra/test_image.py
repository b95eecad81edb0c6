"""`team.image`: baked, or given; and what the build may do."""

import json
from typing import Any

import pytest

from infra.bake.archive import content_hash
from infra.bake.build import BUILD_MINUTES
from infra.references import references
from tests.infra.graph import ACCOUNT, REGION, Graph, World, provision
from tests.infra.stacks import faults

DIGEST = "sha256:" + "ab" * 32
STUDIO = {"studio": {"shape": "gpu.a10"}}
NOT_ECR = (
    "evil-" + "1" * 12 + ".dkr.ecr.us-east-1.amazonaws.com",
    "1" * 12 + ".dkr.ecr.us-east-1.amazonaws.com.example.org",
    "1" * 12 + ".dkr.ecr.us-east-1.amazonaws.org",
    "1" * 12 + ".dkr-ecr.us-east-1.on.aws.example.org",
    "x.dkr.ecr.us-east-1.amazonaws.com",
    "public.ecr.aws",
    "ecr-public.aws.com",
    "ghcr.io",
)
ECR = f"210987654321.dkr.ecr.eu-west-1.amazonaws.com/easel/images:{{target}}-{'0' * 32}"


class Registry(World):
    """A world with images in ECR."""

    def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        if not token.endswith(":getImage"):
            return super().answer(token, args)
        self.asked.append((token, args))
        return {"imageDigest": DIGEST, "id": DIGEST}


@pytest.fixture(scope="module")
def baked() -> Graph:
    return provision(STUDIO)


def image_of(graph: Graph) -> list[str]:
    return sorted(node.short for node in graph.below(graph.component("Image")))


def running(graph: Graph) -> str:
    """Everything that gateway and hosts are told."""
    return json.dumps([node.inputs["content"] for node in graph.of("BucketObjectv2", "BucketObject")])


def test_by_default_the_team_bakes_what_the_repository_holds(baked: Graph) -> None:
    """The hash of `image/` is an input, so that a changed file is a changed stack."""
    (bake,) = baked.of("Bake")
    assert bake.inputs["content"] == content_hash()
    assert bake.inputs["region"] == REGION
    (project,) = [node for node in baked.of("Project") if node.parent == baked.component("Image").urn]
    assert bake.inputs["project"] == project.physical
    rights = next(n for n in baked.of("RolePolicy") if n.parent == baked.component("Image").urn)
    assert {project.urn, rights.urn} <= bake.depends, "a build without its rights fails for no visible reason"


def test_no_repository_belongs_to_a_stack(baked: Graph) -> None:
    """Destroying one team must not take the images that another one runs."""
    assert not baked.of("Repository", "LifecyclePolicy")


def test_the_project_has_room_and_limits(baked: Graph) -> None:
    """torch does not fit the smallest machine; Docker needs the privilege; nothing runs for ever."""
    (project,) = baked.of("Project")
    environment = project.inputs["environment"]
    assert environment["privilegedMode"] is True
    assert environment["computeType"] == "BUILD_GENERAL1_LARGE"
    assert project.inputs["buildTimeout"] == BUILD_MINUTES
    assert "environmentVariables" not in environment
    log = baked.one("LogGroup", project.name)
    assert log.inputs["retentionInDays"] == 14
    assert project.inputs["logsConfig"]["cloudwatchLogs"]["groupName"] == log.physical


def test_the_build_may_push_there_and_nothing_else(baked: Graph) -> None:
    """It runs whatever packages bring: it sees neither the team's buckets nor another repository."""
    policy = next(n for n in baked.of("RolePolicy") if n.parent == baked.component("Image").urn)
    statements = {statement["Sid"]: statement for statement in policy.document()}
    assert all(statement["Effect"] == "Allow" for statement in statements.values())
    anywhere = [s for s in statements.values() if "*" in s["Resource"].split(":")]
    wide = [statement["Action"] for statement in statements.values() if statement["Resource"] == "*"]
    assert wide == ["ecr:GetAuthorizationToken"], "the one action that AWS knows no resource of"
    assert all(statement["Action"] in wide or "log" in statement["Resource"] for statement in anywhere)
    pushes = statements["PushImagesAndReuseTheirLayers"]
    assert pushes["Resource"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/easel/images"
    assert not any("Delete" in action for action in pushes["Action"])
    bucket = next(n for n in baked.of("Bucket") if n.parent == baked.component("Image").urn)
    assert statements["ReadTheArchiveItBuilds"]["Resource"] == f"arn:aws:s3:::{bucket.physical}/*"
    actions = json.dumps([statement["Action"] for statement in statements.values()])
    assert "*" not in actions


def test_only_this_project_may_take_the_role(baked: Graph) -> None:
    """Another project of the account, or of another account, cannot borrow it."""
    role = next(n for n in baked.of("Role") if n.parent == baked.component("Image").urn)
    (trust,) = role.document("assumeRolePolicy")
    (project,) = baked.of("Project")
    assert trust["Principal"] == {"Service": "codebuild.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:SourceArn": f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{project.physical}",
    }


def test_a_preview_builds_nothing_and_knows_no_digest() -> None:
    """What is not built yet is unknown, and the program goes on."""
    assert provision(STUDIO, preview=True).of("Bake")


def test_a_given_image_needs_none_of_it() -> None:
    """No project, no role, no bucket; each by the digest that ECR names for its tag today."""
    world = Registry()
    graph = provision(STUDIO, {"image": ECR}, world=world)
    assert image_of(graph) == []
    asked = [args for token, args in world.asked if token.endswith(":getImage")]
    assert sorted(args["imageTag"] for args in asked) == [f"{t}-{'0' * 32}" for t in ("gateway", "studio")]
    assert {(args["registryId"], args["region"]) for args in asked} == {("210987654321", "eu-west-1")}
    assert f"easel/images@{DIGEST}" in running(graph)
    assert not any("can be moved" in line for line in graph.said)


def test_a_tag_in_another_registry_is_taken_with_a_warning() -> None:
    """Nobody can be asked for its digest, and somebody can move it."""
    graph = provision(STUDIO, {"image": "ghcr.io/acme/easel:{target}-1.2"})
    assert "ghcr.io/acme/easel:studio-1.2" in running(graph)
    warned = [line for line in graph.said if "can be moved" in line]
    assert len(warned) == 2
    assert "studio=…@sha256:…" in warned[0]


def test_digests_are_taken_as_they_are() -> None:
    """Both named, nothing to look up, nothing to warn of."""
    given = f"studio=ghcr.io/acme/s@{DIGEST},gateway=ghcr.io/acme/g:1@{DIGEST}"
    graph = provision(STUDIO, {"image": given})
    assert f"ghcr.io/acme/s@{DIGEST}" in running(graph)
    assert f"ghcr.io/acme/g@{DIGEST}" in running(graph), "a tag beside a digest says nothing"
    assert not any("can be moved" in line for line in graph.said)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("ghcr.io/acme/easel:1.2", "such as ghcr.io/acme/easel:{target}-1.2"),
        ("ghcr.io/acme/easel", "such as ghcr.io/acme/easel:{target}-1.0"),
        ("registry:5000/easel", "such as registry:5000/easel:{target}-1.0"),
        (f"ghcr.io/acme/{{target}}@{DIGEST}", "gives both targets one digest"),
        ("ghcr.io/acme/{target}", "names no version of ghcr.io/acme/studio"),
        ("ghcr.io/Acme/easel:{target}", "is not an image"),
        ("https://ghcr.io/acme/easel:{target}", "is not an image"),
        ("studio=ghcr.io/acme/s:1", "must name each target once"),
        ("studio=a:1,gateway=b:1,gateway=c:1", "must name each target once"),
        ("studio=a:1,gateway=b@sha256:123", "is not an image (b@sha256:123)"),
        ("Build", "names one image where two are needed"),
    ],
)
def test_a_faulty_image_is_refused_with_how_it_is_written(tmp_path: Any, value: str, says: str) -> None:
    """Before anything is registered."""
    team = {"runs_on": "instances", "domain": "art.example.com", "image": value}
    (fault,) = faults(tmp_path, STUDIO, team)
    assert fault.startswith("easel:team.image: ")
    assert says in fault


@pytest.mark.parametrize(
    ("host", "arn"),
    [
        ("1" * 12 + ".dkr.ecr.cn-north-1.amazonaws.com.cn", "arn:aws-cn:ecr:cn-north-1:" + "1" * 12),
        (
            "1" * 12 + ".dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "arn:aws-us-gov:ecr:us-gov-west-1:" + "1" * 12,
        ),
        ("1" * 12 + ".dkr-ecr.us-east-1.on.aws", "arn:aws:ecr:us-east-1:" + "1" * 12),
        ("1" * 12 + ".dkr.ecr.eusc-de-east-1.amazonaws.eu", "arn:aws-eusc:ecr:eusc-de-east-1:" + "1" * 12),
        *((host, None) for host in NOT_ECR),
    ],
)
def test_a_repository_of_ecr_is_told_from_one_that_looks_like_it(host: str, arn: str | None) -> None:
    """Its ARN goes into the hosts' policy."""
    ecr = references(f"{host}/a/b:{{target}}")["studio"].ecr
    assert (ecr.arn if ecr else None) == (f"{arn}:repository/a/b" if arn else None)
