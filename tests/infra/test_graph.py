"""Rules over everything that the program registers, for the stacks that teams write: rules, no snapshots."""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.filesystem import ACCESS_POINT
from infra.instances.policies import EVERYWHERE
from tests.infra.cluster.stacks import CLUSTER_STACKS, cluster_graph
from tests.infra.graph import SECRET, Graph, Node, provision
from tests.infra.program_stacks import STACKS, graph_of


@pytest.fixture(params=[*STACKS, *CLUSTER_STACKS])
def every_graph(request: pytest.FixtureRequest) -> Graph:
    """Those of clusters too: what holds wherever AWS is."""
    return graph_of(request.param) if request.param in STACKS else cluster_graph(request.param)


@pytest.fixture(params=STACKS)
def graph(request: pytest.FixtureRequest) -> Graph:
    """Each of the stacks."""
    return graph_of(request.param)


def test_the_world_reaches_the_gateway_by_http_and_https_and_nothing_else(graph: Graph) -> None:
    """No other group lets in an address, and groups have no rules but those that are resources."""
    gateway = graph.one("SecurityGroup", f"easel-{_team(graph)}-gateway")
    from_world = [rule for rule in graph.of("SecurityGroupIngressRule") if rule.inputs.get("cidrIpv4")]
    assert {rule.inputs["securityGroupId"] for rule in from_world} == {f"securitygroup-{gateway.name}"}
    assert {rule.inputs["fromPort"] for rule in from_world} == {80, 443}
    for rule in graph.of("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        assert rule.inputs["ipProtocol"] == "tcp", rule.name
        assert not rule.inputs.get("cidrIpv6"), rule.name
    for group in graph.of("SecurityGroup", "DefaultSecurityGroup"):
        assert not group.inputs.get("ingress"), group.name
        assert not group.inputs.get("egress"), group.name
    assert not graph.of("SecurityGroupRule")


def test_out_goes_http_and_https_and_between_groups_what_they_are_for(graph: Graph) -> None:
    """To the world 80 and 443; to the file system NFS; from the gateway the replicas' own port."""
    for rule in graph.of("SecurityGroupEgressRule"):
        if rule.inputs.get("cidrIpv4"):
            assert rule.inputs["fromPort"] in (80, 443), rule.name
    # Whoever goes out to a group by a port is let in there by the same port. To replicas the gateway may go
    # by any, as each endpoint's own group says which is open.
    ways = {
        (rule.inputs["securityGroupId"], rule.inputs["referencedSecurityGroupId"], rule.inputs["fromPort"])
        for rule in graph.of("SecurityGroupEgressRule")
        if rule.inputs.get("referencedSecurityGroupId") and rule.inputs["fromPort"] == rule.inputs["toPort"]
    }
    doors = {
        (rule.inputs["referencedSecurityGroupId"], rule.inputs["securityGroupId"], rule.inputs["fromPort"])
        for rule in graph.of("SecurityGroupIngressRule")
        if rule.inputs.get("referencedSecurityGroupId") and "Replicas" not in rule.parent
    }
    assert ways == doors
    (wide,) = [r for r in graph.of("SecurityGroupEgressRule") if r.inputs["fromPort"] != r.inputs["toPort"]]
    assert wide.inputs["referencedSecurityGroupId"] == f"securitygroup-easel-{_team(graph)}-replicas"


def test_each_endpoint_is_reached_by_its_gateway_alone(graph: Graph) -> None:
    """A replica of one endpoint cannot reach a replica of another."""
    gateway = f"securitygroup-easel-{_team(graph)}-gateway"
    shared = f"easel-{_team(graph)}-replicas"
    own = [g.name for g in graph.of("SecurityGroup") if g.name.endswith("-replicas") and g.name != shared]
    replicas = {f"securitygroup-{name}" for name in own}
    into = [
        rule for rule in graph.of("SecurityGroupIngressRule") if rule.inputs["securityGroupId"] in replicas
    ]
    assert len(into) == len(replicas) == len(graph.of("Group"))
    assert all(rule.inputs["referencedSecurityGroupId"] == gateway for rule in into)
    assert all(rule.inputs["fromPort"] == rule.inputs["toPort"] for rule in into)
    carried = [node.inputs["networkInterfaces"][0]["securityGroups"] for node in graph.of("LaunchTemplate")]
    assert all(set(groups) <= {*replicas, f"securitygroup-{shared}"} for groups in carried)


def test_no_security_group_has_more_rules_than_aws_lets_it(graph: Graph) -> None:
    """60 a direction; what grows with the endpoints is in groups of their own."""
    for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        for group in {rule.inputs["securityGroupId"] for rule in graph.of(kind)}:
            assert sum(rule.inputs["securityGroupId"] == group for rule in graph.of(kind)) <= 8, group


def test_a_network_of_ones_own_has_subnets_that_do_not_overlap_in_two_zones_or_more(graph: Graph) -> None:
    """And each leads to the internet and, free of charge, to S3."""
    subnets = graph.of("Subnet")
    if not graph.of("Vpc"):
        assert not subnets
        return
    ranges = [ipaddress.ip_network(subnet.inputs["cidrBlock"]) for subnet in subnets]
    whole = ipaddress.ip_network(graph.of("Vpc")[0].inputs["cidrBlock"])
    assert all(one.subnet_of(whole) for one in ranges)  # type: ignore[arg-type]
    assert not any(a.overlaps(b) for a in ranges for b in ranges if a is not b)
    assert len({subnet.inputs["availabilityZone"] for subnet in subnets}) == len(subnets) >= 2
    assert len(graph.of("RouteTableAssociation")) == len(subnets)
    (endpoint,) = graph.of("VpcEndpoint")
    assert (endpoint.inputs["vpcEndpointType"], endpoint.inputs["serviceName"]) == (
        "Gateway",
        "com.amazonaws.us-east-1.s3",
    )
    assert not graph.of("NatGateway")


def test_everything_that_holds_data_is_encrypted(graph: Graph) -> None:
    """Disks, file system, buckets."""
    for node in graph.of("FileSystem", "Volume"):
        assert node.inputs["encrypted"] is True, node.urn
    for node in graph.of("Instance"):
        assert node.inputs["rootBlockDevice"]["encrypted"] is True
    for node in graph.of("LaunchTemplate"):
        assert [disk["ebs"]["encrypted"] for disk in node.inputs["blockDeviceMappings"]] == ["true"]
    encrypted = {node.inputs["bucket"] for node in graph.of("BucketServerSideEncryptionConfiguration")}
    assert encrypted == {node.physical for node in graph.of("Bucket")}


def test_buckets_are_closed_versioned_and_by_tls_only(graph: Graph) -> None:
    """Each bucket has each of what keeps it so."""
    buckets = {node.physical for node in graph.of("Bucket")}
    for kind in ("BucketPublicAccessBlock", "BucketLifecycleConfiguration", "BucketPolicy"):
        assert {node.inputs["bucket"] for node in graph.of(kind)} == buckets, kind
    # What is built from is named by its content: an older version of it is another file.
    last = {name for name in buckets if name.startswith(f"easel-{_team(graph)}-bake")}
    assert {node.inputs["bucket"] for node in graph.of("BucketVersioning")} == buckets - last
    for block in graph.of("BucketPublicAccessBlock"):
        keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        assert all(block.inputs[key] is True for key in keys)
    for policy in graph.of("BucketPolicy"):
        (only,) = policy.document()
        assert (only["Effect"], only["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_file_system_can_be_mounted_in_every_zone(graph: Graph) -> None:
    """An instance in a zone without a mount target hangs at boot."""
    in_zones = {node.inputs["subnetId"] for node in graph.of("MountTarget")}
    for group in graph.of("Group"):
        assert set(group.inputs["vpcZoneIdentifiers"]) == in_zones
    assert graph.of("Instance")[0].inputs["subnetId"] in in_zones


def test_access_points_are_user_1000s_and_none_is_the_root(every_graph: Graph) -> None:
    """As the image's user is; and no two endpoints share a folder."""
    points = every_graph.of("AccessPoint")
    for point in points:
        assert (point.inputs["posixUser"]["uid"], point.inputs["posixUser"]["gid"]) == (1000, 1000)
        made = point.inputs["rootDirectory"]["creationInfo"]
        assert (made["ownerUid"], made["ownerGid"]) == (1000, 1000)
    paths = [point.inputs["rootDirectory"]["path"] for point in points]
    assert len(set(paths)) == len(paths)
    assert any(path.endswith("/models") for path in paths) or not paths
    assert all(path.strip("/") for path in paths)


def test_a_role_may_mount_by_its_own_access_points_and_no_role_by_anothers_pictures(graph: Graph) -> None:
    """Its own policy says so and nothing else does: the file system's only denies. All have the models."""
    models = "access-point/easel-" + _team(graph) + "-models"
    named = {}
    for policy in graph.of("RolePolicy"):
        for statement in policy.document():
            actions = statement["Action"]
            if "elasticfilesystem:ClientMount" not in ([actions] if isinstance(actions, str) else actions):
                continue
            assert statement["Effect"] == "Allow"
            assert list(statement["Condition"]) == ["StringEquals"], "no pattern, no `IfExists`"
            points = statement["Condition"]["StringEquals"][ACCESS_POINT]
            named[policy.inputs["role"]] = {point.partition(":access-point/")[2] for point in points}
    shared = models.partition("/")[2]
    assert all(shared in points for points in named.values())
    own = [point for points in named.values() for point in points - {shared}]
    assert len(own) == len(set(own)), "pictures of one endpoint, by two roles"
    # Every endpoint's, and the gateway's: it brings the models.
    assert len(named) == len(graph.of("Group")) + 1


def test_the_file_systems_policy_only_denies(graph: Graph) -> None:
    """Either allow is enough to EFS: one there would let clients in past their own, one to `*` anybody."""
    (policy,) = graph.of("FileSystemPolicy")
    statements = {statement["Sid"]: statement for statement in policy.document()}
    assert {statement["Effect"] for statement in statements.values()} == {"Deny"}
    assert statements["OnlyByTLS"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statements["NoRootMount"]["Condition"] == {"Null": {ACCESS_POINT: "true"}}


def test_destroy_keeps_data_and_what_keeps_it_closed(graph: Graph) -> None:
    """File system and the gateway's disk stay, with the policy of who may mount."""
    kept = {
        (node.short, node.name.removeprefix(f"easel-{_team(graph)}-"))
        for node in graph.nodes
        if node.retained
    }
    own = {("FileSystem", "files"), ("BackupPolicy", "files")} if graph.of("FileSystem") else set()
    assert own | {("FileSystemPolicy", "files"), ("Volume", "gateway-data")} <= kept
    # What is kept and is no data would be left behind.
    assert {short for short, _ in kept} <= {"FileSystem", "FileSystemPolicy", "BackupPolicy", "Volume"}


UNTAGGED = {
    # AWS has no tags for these.
    "RouteTableAssociation", "MountTarget", "FileSystemPolicy", "BackupPolicy", "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration", "BucketVersioning", "BucketLifecycleConfiguration",
    "BucketPolicy", "Record", "RolePolicy", "VolumeAttachment", "EipAssociation", "Token", "LifecyclePolicy",
    "RolePolicyAttachment", "ZoneAssociation", "Policy", "LifecycleHook", "RepositoryPolicy",
    "AccessPolicyAssociation", "CertificateValidation",
}  # fmt: skip


def test_everything_is_tagged_by_team_stack_and_endpoint(every_graph: Graph) -> None:
    """So that a bill and a policy can tell whose it is. What is an endpoint's says which."""
    team = _team(every_graph)
    for node in _of_aws(every_graph):
        if node.short in UNTAGGED:
            continue
        tags = _tags(node)
        assert tags.get("easel:team") == team, node.urn
        assert tags.get("easel:stack") == f"easel/{team}", node.urn
        if "easel:instances:Replicas" in node.parent:
            assert tags.get("easel:endpoint"), node.urn


def test_every_resource_is_somebodys_child(every_graph: Graph) -> None:
    """A listing of URNs reads as a map: the stack's children are components, and no two URNs are the same."""
    for node in every_graph.nodes:
        if node.custom:
            assert not node.parent.endswith(f"::easel-{_team(every_graph)}"), node.urn
            assert node.parent in every_graph.by_urn(), node.urn
    paths = [path_of(node, every_graph) for node in every_graph.nodes]
    assert len(set(paths)) == len(paths)


LIMITS = {
    # Longest names, from the API references of IAM, Auto Scaling, EC2, S3, EFS, CloudWatch, ECR, Budgets.
    "Role": 64, "InstanceProfile": 128, "RolePolicy": 128, "Policy": 128, "Group": 255, "LaunchTemplate": 128,
    "SecurityGroup": 255, "Bucket": 63, "LogGroup": 512, "MetricAlarm": 255, "Budget": 100, "Project": 150,
    "Repository": 256, "Cluster": 100,
}  # fmt: skip


def test_names_keep_within_awss_limits(every_graph: Graph) -> None:
    """For the longest team and endpoint too, with the letters that Pulumi adds."""
    for node in every_graph.nodes:
        if node.short in LIMITS:
            assert len(node.physical) <= LIMITS[node.short], node.urn
        for key, value in _tags(node).items():
            assert len(key) <= 128, node.urn
            assert len(str(value)) <= 256, node.urn


def test_no_two_resources_of_a_kind_have_one_name(every_graph: Graph) -> None:
    """An endpoint may be called `gateway` or `files`, and `art` is another team than `art-2`."""
    named = [(node.type, node.physical) for node in _of_aws(every_graph) if node.short in LIMITS]
    assert len(set(named)) == len(named)


def test_tokens_are_secret_wherever_they_are(graph: Graph) -> None:
    """The first token is in no input of any resource but by its hash, and secret in the outputs."""
    for node in graph.nodes:
        text = json.dumps(node.inputs, default=str)
        if node.short != "Token":
            assert "easel_" not in text, node.urn
    for token in graph.of("Token"):
        assert token.additional_secrets == ("token",)
    for link in _links(json.loads(graph.secret_outputs)):
        assert SECRET in link.values()
    assert len(list(_links(json.loads(graph.secret_outputs)))) == 1 + len(graph.of("Group"))


def test_no_secret_is_in_user_data(graph: Graph) -> None:
    """Who may describe an instance may read it."""
    for node in graph.of("Instance", "LaunchTemplate"):
        assert "easel_" not in json.dumps(node.inputs, default=str)
        assert not node.secrets


def test_no_policy_allows_everything(every_graph: Graph) -> None:
    """No action is `*`; a resource is `*` only where AWS lets the action name none."""
    for node in every_graph.of("RolePolicy", "Policy"):
        for statement in node.document():
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert not action.startswith("*"), node.urn
                assert not action.endswith(":*"), node.urn
            assert statement.get("Sid"), node.urn
            if statement["Effect"] == "Allow" and statement["Resource"] in ("*", ["*"]):
                login = statement["Action"] == "ecr:GetAuthorizationToken"
                assert login or statement["Sid"] in EVERYWHERE, statement["Sid"]


def test_instances_answer_their_metadata_to_the_host_alone(graph: Graph) -> None:
    """IMDSv2, one hop, no SSH key: a container on a bridge has no role."""
    for node in graph.of("Instance", "LaunchTemplate"):
        options = node.inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1), node.urn
        assert "keyName" not in node.inputs


def test_endpoints_share_what_is_the_teams() -> None:
    """Ten endpoints have one network, file system, gateway and bucket, and ten of the rest."""
    graph = graph_of("ten of five shapes")
    for kind in ("Vpc", "FileSystem", "Instance", "Eip"):
        assert len(graph.of(kind)) == 1, kind
    assert len(graph.of("Bucket")) == 2
    for kind in ("Group", "LaunchTemplate"):
        assert len(graph.of(kind)) == 10, kind
    assert len(graph.of("AccessPoint")) == 11
    assert len(graph.of("Record")) == 11


def test_a_pinned_machine_image_is_followed_and_another_is_kept() -> None:
    """Without a pin AWS's newest is taken once: a newer one must not replace machines by the way."""
    kept = graph_of("one")
    assert "ami" in kept.of("Instance")[0].ignored
    pinned = provision(
        {"studio": {"shape": "gpu.a10"}},
        {"machine_images": {"gateway": "ami-0123456789abcdef0", "gpu": "ami-0123456789abcdef1"}},
    )
    assert pinned.of("Instance")[0].inputs["ami"] == "ami-0123456789abcdef0"
    assert pinned.of("LaunchTemplate")[0].inputs["imageId"] == "ami-0123456789abcdef1"
    assert "ami" not in pinned.of("Instance")[0].ignored


def _team(graph: Graph) -> str:
    return next(node.urn for node in graph.nodes).split("::")[0].removeprefix("urn:pulumi:")


def _of_aws(graph: Graph) -> Iterator[Node]:
    return (node for node in graph.nodes if node.custom and node.type.startswith("aws:"))


def _tags(node: Node) -> dict[str, Any]:
    found = node.inputs.get("tags") or {}
    return {tag["key"]: tag["value"] for tag in found} if isinstance(found, list) else found


def path_of(node: Node, graph: Graph) -> tuple[str, ...]:
    """Components and names from the stack down: what Pulumi's real URNs tell apart, and the mocks' do not."""
    above = graph.by_urn().get(node.parent)
    return (*(path_of(above, graph) if above else ()), f"{node.type} {node.name}")


def _links(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "link":
                yield inner
            else:
                yield from _links(inner)
