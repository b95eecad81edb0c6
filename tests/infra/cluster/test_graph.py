"""Rules over everything that the program registers for a team on a cluster."""

import json
from typing import Any

import pytest

from infra.cluster.rules import LONGEST_SILENCE
from infra.cluster.volumes import CONFIGURATION
from infra.filesystem import ACCESS_POINT
from tests.infra.cluster.stacks import (
    ADMIN,
    CLUSTER,
    CLUSTER_STACKS,
    CUSTOM,
    cluster_graph,
    run_cluster,
)
from tests.infra.graph import Graph, Node, provision
from tests.infra.program_stacks import Stack, stacks_world
from tests.infra.world import ACCOUNT

OWN = [name for name, stack in CLUSTER_STACKS.items() if stack.team.get("platform", "own") == "own"]


@pytest.fixture(params=OWN)
def own(request: pytest.FixtureRequest) -> Graph:
    """Stacks with a cluster of their own."""
    return cluster_graph(request.param)


@pytest.fixture(params=CLUSTER_STACKS)
def graph(request: pytest.FixtureRequest) -> Graph:
    """Every stack on a cluster."""
    return cluster_graph(request.param)


def needs(graph: Graph, node: Node) -> set[str]:
    """Kinds and names of all that must be there before a resource, and that destroy takes after it."""
    by_urn, seen, left = graph.by_urn(), set(), [node]
    while left:
        one = left.pop()
        provider = one.provider.rpartition("::")[0]
        for urn in {*one.depends, provider} & by_urn.keys() - seen:
            seen.add(urn)
            left.append(by_urn[urn])
    return {f"{by_urn[urn].short} {by_urn[urn].name}" for urn in seen}


def team(graph: Graph) -> str:
    return graph.nodes[0].urn.split("::")[0].removeprefix("urn:pulumi:")


def home(graph: Graph) -> Node:
    """The team's namespace, which all its objects come after."""
    return object_of(graph, "Namespace", f"easel-{team(graph)}")


def object_of(graph: Graph, kind: str, name: str) -> Node:
    """An object of the cluster's by its kind and name."""
    (found,) = [node for node in graph.of(kind) if node.inputs["metadata"]["name"] == name]
    return found


def test_auto_mode_is_all_three_blocks_or_none(own: Graph) -> None:
    """EKS refuses two; and there are no pools of nodes but easel's own."""
    (cluster,) = own.of("Cluster")
    asked = cluster.inputs
    assert asked["computeConfig"] == {"enabled": True, "nodePools": []}
    assert asked["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert asked["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert asked["bootstrapSelfManagedAddons"] is False
    assert asked["version"] in ("1.35", "1.36")
    assert asked["upgradePolicy"] == {"supportType": "STANDARD"}


def test_who_may_come_in_is_in_the_file_and_nowhere_else(own: Graph) -> None:
    """By access entries: admins do everything, nodes join; nobody is one for having made the cluster."""
    (cluster,) = own.of("Cluster")
    assert cluster.inputs["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    entries = {entry.inputs["principalArn"]: entry.inputs["type"] for entry in own.of("AccessEntry")}
    may = {
        one.inputs["principalArn"]: one.inputs["policyArn"].rpartition("/")[2]
        for one in own.of("AccessPolicyAssociation")
    }
    nodes = next(arn for arn, kind in entries.items() if kind == "EC2")
    assert entries == {ADMIN: "STANDARD", nodes: "EC2"}
    assert may == {ADMIN: "AmazonEKSClusterAdminPolicy", nodes: "AmazonEKSAutoNodePolicy"}
    role = own.one("Role", f"easel-{team(own)}-nodes")
    assert nodes.endswith(f":role/{role.physical}")
    assert {node.inputs["spec"]["role"] for node in own.of("NodeClass")} == {role.physical}


def test_the_api_answers_within_the_vpc_alone_where_that_is_asked_for() -> None:
    """Else to the world too, where IAM asks each who they are."""
    for name, public in (("cluster", True), ("cluster, private, new zone, budget", False)):
        asked = cluster_graph(name).of("Cluster")[0].inputs["vpcConfig"]
        assert (asked["endpointPrivateAccess"], asked["endpointPublicAccess"]) == (True, public)


def test_the_way_into_the_cluster_is_no_secret(graph: Graph) -> None:
    """A token in the provider's inputs would be in the state, and over when a destroy needs it."""
    (provider,) = [node for node in graph.nodes if node.type == "pulumi:providers:kubernetes"]
    told = json.loads(provider.inputs["kubeconfig"])
    ((user),) = told["users"]
    assert list(user["user"]) == ["exec"]
    assert user["user"]["exec"]["args"][:2] == ["eks", "get-token"]
    (cluster,) = {one.inputs["clusterName"] for one in graph.of("PodIdentityAssociation")} or {
        provider.inputs["clusterIdentifier"]
    }
    assert cluster == provider.inputs["clusterIdentifier"]


def test_a_preview_only_looks() -> None:
    """Every question is a lookup, values of secrets among them."""
    world = stacks_world()
    run_cluster(CLUSTER_STACKS["cluster"], world, preview=True)
    assert {token for token, _ in world.asked if not token.rpartition(":")[2].startswith("get")} == set()


def test_secrets_are_under_a_key_of_the_teams_that_turns(own: Graph) -> None:
    """And the cluster's role may use that one."""
    (key,) = own.of("Key")
    assert key.inputs["enableKeyRotation"] is True
    (config,) = [own.of("Cluster")[0].inputs["encryptionConfig"]]
    arn = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{key.name}"
    assert config == {"provider": {"keyArn": arn}, "resources": ["secrets"]}
    (may,) = [
        one
        for one in own.one("RolePolicy", f"easel-{team(own)}-cluster").document()
        if one["Sid"] == "EncryptSecrets"
    ]
    assert may["Resource"] == arn


def test_the_log_group_is_the_stacks_and_is_never_made_again(own: Graph) -> None:
    """EKS would make it without an end to what it keeps, and once more while the cluster is deleted."""
    (cluster,) = own.of("Cluster")
    (logs,) = [one for one in own.of("LogGroup") if one.inputs["name"].startswith("/aws/eks/")]
    assert logs.inputs["name"] == f"/aws/eks/{cluster.inputs['name']}/cluster"
    assert logs.inputs["retentionInDays"] == 14
    assert len(cluster.inputs["enabledClusterLogTypes"]) == 5
    assert f"LogGroup {logs.name}" in needs(own, cluster)
    (denied,) = [
        one
        for one in own.one("RolePolicy", f"easel-{team(own)}-cluster").document()
        if one["Effect"] == "Deny"
    ]
    assert denied["Action"] == "logs:CreateLogGroup"
    assert any(resource.endswith(f"log-group:{logs.inputs['name']}") for resource in denied["Resource"])


def test_subnets_of_ones_own_are_tagged_for_load_balancers() -> None:
    """Another's are not touched: there the balancer's are named by their ids, as they are everywhere."""
    for name in OWN:
        found = cluster_graph(name)
        for subnet in found.of("Subnet"):
            tags = subnet.inputs["tags"]
            assert tags["kubernetes.io/role/elb"] == tags["kubernetes.io/role/internal-elb"] == "1"
        (params,) = found.of("IngressClassParams")
        assert 2 <= len(params.inputs["spec"]["subnets"]["ids"]) <= 3
    for subnet in provision({"a": {"shape": "gpu.t4"}}).of("Subnet"):
        assert "kubernetes.io/role/elb" not in subnet.inputs["tags"]


def test_pods_of_one_service_account_take_a_role_and_nobody_else(graph: Graph) -> None:
    """By the tags that Pod Identity gives a session: this cluster, this namespace, this account."""
    by_arn = {f"arn:aws:iam::{ACCOUNT}:role/{role.physical}": role for role in graph.of("Role")}
    for identity in graph.of("PodIdentityAssociation"):
        (trust,) = by_arn[identity.inputs["roleArn"]].document("assumeRolePolicy")
        assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
        assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
        assert trust["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks-cluster-name": identity.inputs["clusterName"],
            "aws:RequestTag/kubernetes-namespace": identity.inputs["namespace"],
            "aws:RequestTag/kubernetes-service-account": identity.inputs["serviceAccount"],
        }
    gateways = [
        one for one in graph.of("PodIdentityAssociation") if one.inputs["serviceAccount"] == "gateway"
    ]
    wants = any("s3://" in json.dumps(node.inputs) for node in graph.of("ConfigMap"))
    assert len(gateways) == wants


def test_the_driver_of_volumes_mounts_by_access_points_alone(own: Graph) -> None:
    """Its role may nothing else; it knows of it when it starts; and it asks for what it needs."""
    (addon,) = own.of("Addon")
    (identity,) = [
        one for one in own.of("PodIdentityAssociation") if one.inputs["namespace"] == "kube-system"
    ]
    assert identity.inputs["serviceAccount"] == "efs-csi-node-sa", "the controller makes nothing"
    assert identity.urn in addon.depends
    (may,) = own.one("RolePolicy", f"easel-{team(own)}-mounts").document()
    assert may["Action"] == ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    assert list(may["Condition"]["StringLike"]) == [ACCESS_POINT]
    told: dict[str, Any] = json.loads(addon.inputs["configurationValues"])
    assert told == CONFIGURATION
    probe = told["node"]["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 50
    assert addon.inputs["preserve"] is False


def test_a_team_that_comes_from_instances_finds_its_files() -> None:
    """The file system is the same resource, and each folder has the same path."""
    endpoints = {"studio": {"shape": "gpu.a10"}, "portraits": {"shape": "gpu.t4"}}
    before, after = provision(endpoints), run_cluster(Stack(endpoints, CLUSTER))
    for kind in ("FileSystem", "FileSystemPolicy", "MountTarget", "Vpc", "Subnet"):
        assert {node.urn for node in before.of(kind)} == {node.urn for node in after.of(kind)}, kind
    paths = [
        {node.inputs["rootDirectory"]["path"] for node in found.of("AccessPoint")}
        for found in (before, after)
    ]
    assert paths[0] == paths[1] == {"/models", "/outputs/studio", "/outputs/portraits"}
    models = [found.one("AccessPoint", "easel-art-models").urn for found in (before, after)]
    assert models[0] == models[1]


def test_each_endpoint_has_its_own_access_point_in_its_volume(graph: Graph) -> None:
    """Nobody draws into another's folder, and an access point is in one volume."""
    points = {
        f"accesspoint-{node.name}": node.inputs["rootDirectory"]["path"] for node in graph.of("AccessPoint")
    }
    bound = {}
    for volume in graph.of("PersistentVolume"):
        spec = volume.inputs["spec"]
        files, _, point = spec["csi"]["volumeHandle"].partition("::")
        assert files
        assert spec["mountOptions"] == ["iam"]
        bound[spec["claimRef"]["name"]] = points[point]
    endpoints = {node.inputs["metadata"]["name"].removeprefix("studio-") for node in graph.of("ScaledObject")}
    assert len(set(bound.values())) == len(bound)
    for name, path in bound.items():
        assert path.endswith(f"/{name.replace('outputs-', 'outputs/')}")
    assert set(bound) - {"models"} <= {f"outputs-{name}" for name in endpoints}


def test_the_balancer_has_the_certificate_of_every_host_and_waits_long_enough(graph: Graph) -> None:
    """A wildcard, proved by the DNS before it is used; 4,000 s without a byte; one record for all hosts."""
    (certificate,), (proved,) = graph.of("Certificate"), graph.of("CertificateValidation")
    (params,), (ingress,) = graph.of("IngressClassParams"), graph.of("Ingress")
    domain = certificate.inputs["domainName"].removeprefix("*.")
    assert certificate.inputs["validationMethod"] == "DNS"
    spec = params.inputs["spec"]
    assert spec["certificateARNs"] == [proved.inputs["certificateArn"]]
    told = {one["key"]: one["value"] for one in spec["loadBalancerAttributes"]}
    assert told["idle_timeout.timeout_seconds"] == str(LONGEST_SILENCE) == "4000"
    (rule,) = ingress.inputs["spec"]["rules"]
    assert rule["host"] == f"*.{domain}", "as the certificate: however many endpoints there are"
    record = next(node for node in graph.of("Record") if node.inputs["type"] == "A")
    assert record.inputs["name"] == f"*.{domain}"
    assert record.inputs["aliases"][0]["name"] == "k8s-art.us-east-1.elb.amazonaws.com"


def test_the_balancer_asks_gateways_how_they_are_where_they_answer(graph: Graph) -> None:
    """7861, which a policy lets the VPC's addresses in at; the caller's own address is told by it alone."""
    (ingress,) = graph.of("Ingress")
    said = {
        key.removeprefix("alb.ingress.kubernetes.io/"): value
        for key, value in ingress.inputs["metadata"]["annotations"].items()
    }
    assert (said["healthcheck-port"], said["healthcheck-path"]) == ("7861", "/healthz")
    assert (said["target-type"], said["ssl-redirect"]) == ("ip", "443")
    assert said["ssl-policy"].startswith("ELBSecurityPolicy-TLS13-1-2-"), "AWS's default takes TLS 1.0"
    # A new gateway counts as ready once the balancer sends people there, and the old one goes no sooner.
    home = object_of(graph, "Namespace", ingress.inputs["metadata"]["namespace"])
    assert home.inputs["metadata"]["labels"]["eks.amazonaws.com/pod-readiness-gate-inject"] == "enabled"
    assert int(said["healthcheck-timeout-seconds"]) < int(said["healthcheck-interval-seconds"])
    # A gateway that ends answers whom it holds: the balancer must not have cut it off before. AWS allows an
    # hour ("Edit target group attributes for your Application Load Balancer").
    pod = object_of(graph, "Deployment", "gateway").inputs["spec"]["template"]["spec"]
    delay = int(said["target-group-attributes"].removeprefix("deregistration_delay.timeout_seconds="))
    assert pod["terminationGracePeriodSeconds"] - 25 < delay <= 3600
    vpc = (
        "10.0.0.0/16"
        if team(graph) == "art" and not graph.of("Vpc") and graph.of("Cluster")
        else "10.71.0.0/16"
    )
    policy = next(n for n in graph.of("NetworkPolicy") if n.inputs["metadata"]["name"] == "gateway")
    assert vpc in json.dumps(policy.inputs["spec"]["ingress"])
    config = next(n for n in graph.of("ConfigMap") if n.inputs["metadata"]["name"] == "config-team")
    assert set(json.loads(config.inputs["data"]["team.json"])["edge"]["trusted"]) == {vpc}


def test_gateways_know_what_each_machine_costs(graph: Graph) -> None:
    """They count the team's nodes by type for `budget.stop`, and keep the sums where they may write."""
    told = json.loads(object_of(graph, "ConfigMap", "config-team").inputs["data"]["team.json"])
    asked = [
        one["values"]
        for node in graph.of("NodePool")
        if "easel/team" in node.inputs["spec"]["template"]["metadata"]["labels"]
        for one in node.inputs["spec"]["template"]["spec"]["requirements"]
        if one["key"] == "node.kubernetes.io/instance-type"
    ]
    bought = {kind for kinds in asked for kind in kinds}
    assert bought <= told.get("machines", {}).keys()
    assert all(price > 0 for price in told.get("machines", {}).values())
    ledgers = [one for one in graph.of("ConfigMap") if one.inputs["metadata"]["name"] == "easel-spent"]
    assert [one.inputs.get("data") for one in ledgers] == ([None] if bought else [])
    role = next(one for one in graph.of("Role") if "rules" in one.inputs)
    written = [rule.get("resourceNames", []) for rule in role.inputs["rules"] if "update" in rule["verbs"]]
    assert any("easel-spent" in names for names in written) is bool(bought)


def test_the_budget_and_its_fuse_are_told() -> None:
    """As on instances."""
    graph = cluster_graph("cluster, private, new zone, budget")
    told = json.loads(object_of(graph, "ConfigMap", "config-team").inputs["data"]["team.json"])
    assert told["budget"] == {"monthly": 500, "stop": True}


def test_destroy_takes_what_stands_in_the_cluster_before_what_it_stands_on(own: Graph) -> None:
    """So it leaves no balancer, interface or log group: the Ingress goes while its controller runs; pods go
    while their files answer, nodes while they have a way to the internet."""
    before = needs(own, home(own))
    kinds = {one.partition(" ")[0] for one in before}
    assert kinds >= {*CUSTOM, "Addon", "Cluster", "CertificateValidation", "MountTarget", "Chart"}
    assert {
        f"SecurityGroupIngressRule easel-{team(own)}-files-nodes",
        f"AccessPolicyAssociation easel-{team(own)}-nodes",
        f"AccessPolicyAssociation easel-{team(own)}-admin-role-Admin",
    } <= before
    for kind in ("Ingress", "ScaledObject", "Deployment", "PersistentVolume"):
        for node in own.of(kind):
            assert before < needs(own, node), kind
    (ingress,) = own.of("Ingress")
    assert "waitFor" in json.dumps(ingress.inputs["metadata"]["annotations"]), "and its end is waited for"
    for pool in own.of("NodePool"):
        asked = needs(own, pool)
        assert f"NodeClass {pool.name}" in asked
        assert f"RolePolicyAttachment easel-{team(own)}-nodes-AmazonEKSWorkerNodeMinimalPolicy" in asked
    (cluster,) = own.of("Cluster")
    of_network = {"RouteTableAssociation", "InternetGateway"} if own.of("Vpc") else set()
    assert {one.partition(" ")[0] for one in needs(own, cluster)} >= {
        "LogGroup",
        "RolePolicyAttachment",
        "RolePolicy",
        *of_network,
    }


def test_only_files_outlive_the_stack(graph: Graph) -> None:
    """No object of the cluster is kept: its files are in EFS, and the cluster goes too."""
    assert {node.short for node in graph.nodes if node.retained} <= {
        "FileSystem",
        "FileSystemPolicy",
        "BackupPolicy",
    }
    assert any("storage.existing" in line for line in graph.outputs["kept_by_destroy"]) == bool(
        graph.of("FileSystemPolicy")
    )


def test_what_is_no_namespaces_carries_the_teams_name(graph: Graph) -> None:
    """Nothing of a team is outside its namespace but by its name, or in the cluster's own (volumes, KEDA)."""
    mine = f"easel-{team(graph)}"
    of_cluster = {"amazon-vpc-cni", "keda"} if graph.of("Cluster") else set()
    for node in graph.nodes:
        meta = node.inputs.get("metadata") if node.type.startswith("kubernetes:") else None
        if meta and meta.get("namespace") != mine and meta["name"] not in of_cluster:
            assert meta["name"] == mine or meta["name"].startswith(f"{mine}-"), node.urn


def test_what_eks_makes_is_tagged_with_the_team(graph: Graph) -> None:
    """The budget counts by the tag: untagged, its machines and its balancer would be nobody's."""
    for node in graph.of("NodeClass"):
        assert node.inputs["spec"]["tags"] == {"easel:team": team(graph)}, node.urn
    for node in graph.of("IngressClassParams"):
        assert node.inputs["spec"]["tags"] == [{"key": "easel:team", "value": team(graph)}], node.urn


def test_eks_may_tag_what_it_makes_for_this_cluster_alone(own: Graph) -> None:
    """AWS's own policies refuse a request with another tag than EKS's."""
    said = own.one("RolePolicy", f"easel-{team(own)}-cluster").document("policy")
    tagging = [one for one in said if one["Sid"].startswith("Tag")]
    assert {action for one in tagging for action in one["Action"]} >= {
        "ec2:CreateFleet",
        "ec2:CreateLaunchTemplate",
        "ec2:CreateNetworkInterface",
        "ec2:RunInstances",
        "elasticloadbalancing:CreateLoadBalancer",
    }
    for one in tagging:
        assert one["Condition"]["StringEquals"] == {
            "aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"
        }
        assert all(f":{ACCOUNT}:" in arn for arn in one["Resource"]), one["Sid"]


def test_secrets_of_endpoints_are_read_and_stay_secret() -> None:
    """Their values go into the namespace's Secrets, and into nothing that is shown."""
    found = cluster_graph("cluster")
    made = object_of(found, "Secret", "env-cheap")
    assert "stringData" in made.secrets
    for node in found.nodes:
        if node.short != "Secret":
            assert "s3cret" not in json.dumps(node.inputs, default=str), node.urn
