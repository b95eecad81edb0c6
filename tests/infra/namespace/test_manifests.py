"""Rules over every object of the teams that people write: rules, no snapshots."""

import json
from typing import Any

import pytest

from easel.gateway.config import Endpoint
from infra.namespace import Edge, Target, Volume
from infra.namespace.manifest import Manifest
from infra.on_kubernetes import target_of
from tests.infra.namespace.teams import TEAMS, Team, objects_of, one, pods, studios
from tests.infra.namespace.validity import wrong

CLUSTERS = {"Namespace", "PersistentVolume", "ClusterRole", "ClusterRoleBinding"}


def test_every_object_is_one_that_the_api_takes(objects: list[Manifest]) -> None:
    """Names, labels and quantities, however long the names of team and endpoints are; and none twice."""
    assert [fault for each in objects for fault in wrong(each)] == []
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    assert len(set(names)) == len(names)


def test_nothing_is_outside_the_teams_namespace_but_what_is_the_clusters(
    team: Team, objects: list[Manifest]
) -> None:
    """The namespace itself, volumes and the right to read nodes, which name the team; nothing else."""
    namespace = target_of(team.spec).namespace
    for each in objects:
        if each["kind"] in CLUSTERS:
            assert "namespace" not in each["metadata"]
            assert team.name in each["metadata"]["name"]
        else:
            assert each["metadata"]["namespace"] == namespace, each["metadata"]["name"]


def test_each_gpu_replica_asks_for_one_gpu_and_tolerates_what_keeps_others_away(
    objects: list[Manifest],
) -> None:
    """One and not two, as a limit too, which Kubernetes asks of extended resources; no GPU, no such claim."""
    for name, pod in studios(objects):
        (container,) = pod["containers"]
        limits = {key: count for key, count in container["resources"].get("limits", {}).items() if "/" in key}
        assert all(count == "1" for count in limits.values()), name
        assert len(limits) <= 1
        requests = container["resources"]["requests"]
        assert {key: value for key, value in requests.items() if "/" in key} == limits
        for gpu in limits:
            taint = {"key": f"{gpu.split('/')[0]}/gpu", "operator": "Exists", "effect": "NoSchedule"}
            assert taint in pod["tolerations"]
    assert all(
        "limits" not in container["resources"]
        for _, pod in pods(objects)
        for container in pod.get("initContainers", ())
    ), "the step before takes no GPU"


def test_what_the_file_says_of_nodes_is_on_the_pods() -> None:
    """For all shapes, and beside that for one: its GPU, its nodes, what it asks for."""
    found = dict(studios(objects_of(TEAMS["slices and taints"])))
    slice_, amd = found["studio"], found["amd"]
    assert slice_["containers"][0]["resources"]["requests"] == {
        "cpu": "2500m", "memory": "12Gi", "nvidia.com/mig-3g.20gb": "1",
    }  # fmt: skip
    assert slice_["nodeSelector"] == {"pool": "gpu"}
    assert (slice_["runtimeClassName"], amd["runtimeClassName"]) == ("nvidia", "amd")
    assert amd["nodeSelector"] == {"pool": "gpu", "gpu": "mi300x"}
    assert amd["containers"][0]["resources"]["limits"] == {"amd.com/gpu": "1"}
    dedicated = {"key": "dedicated", "operator": "Equal", "value": "art", "effect": "NoSchedule"}
    assert dedicated in slice_["tolerations"]
    assert dedicated in amd["tolerations"]


def test_each_replica_mounts_its_own_endpoints_pictures_and_nobody_elses(
    team: Team, objects: list[Manifest]
) -> None:
    """The team's models, its own pictures, and nothing of another endpoint; every claim is made or given."""
    target = target_of(team.spec)
    there = {each["metadata"]["name"] for each in objects if each["kind"] == "PersistentVolumeClaim"}
    models = target.models.claim or "models"
    seen: list[str] = []
    for name, pod in studios(objects):
        claims = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["volumes"]
            if "persistentVolumeClaim" in volume
        } - {models}
        own = target.outputs(name).claim or f"outputs-{name}"
        assert claims <= {own}
        seen += claims
        assert {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
    given = {target.models.claim, *(target.outputs(name).claim for name, _ in studios(objects))} - {None}
    assert set(seen) | {models} == there | given
    assert len(seen) == len(set(seen))


def test_every_pod_is_what_pod_securitys_strictest_level_lets_run(objects: list[Manifest]) -> None:
    """Not root, no way up, no capability; and of easel's own images a root that nobody writes to."""
    namespace = next(each for each in objects if each["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for _, pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["readOnlyRootFilesystem"] is ("acme/easel" in container["image"])


def test_only_the_gateway_may_ask_the_api(objects: list[Manifest]) -> None:
    """A studio's pod has no token, its account no right; the gateway's has those it uses, on its names."""
    for name, pod in studios(objects):
        assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("studio", False), name
    subjects = [each["subjects"] for each in objects if each["kind"].endswith("RoleBinding")]
    assert all([subject["name"] for subject in found] == ["gateway"] for found in subjects)
    (role,) = [each for each in objects if each["kind"] == "Role"]
    for rule in role["rules"]:
        assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
        if rule["resources"] == ["secrets"]:
            assert rule["resourceNames"]
            assert not {"list", "create", "delete"} & set(rule["verbs"])
    (nodes,) = [each for each in objects if each["kind"] == "ClusterRole"]
    assert [rule["verbs"] for rule in nodes["rules"]] == [["get", "list", "watch"]]


def test_of_the_users_secrets_the_gateway_reads_only_tokens_of_sources() -> None:
    """It fetches models with them; any other variable is the replica's alone."""
    (role,) = [each for each in objects_of(TEAMS["several"]) if each["kind"] == "Role"]
    read = [rule["resourceNames"] for rule in role["rules"] if rule["resources"] == ["secrets"]]
    assert read[1:] == [["civitai"]]
    (role,) = [each for each in objects_of(TEAMS["one"]) if each["kind"] == "Role"]
    assert sum(rule["resources"] == ["secrets"] for rule in role["rules"]) == 1


def test_a_replica_ends_its_work_before_it_is_killed(objects: list[Manifest]) -> None:
    """What runs before SIGTERM ends in time for the studio's own ten seconds."""
    for name, pod in studios(objects):
        (container,) = pod["containers"]
        before = container["lifecycle"]["preStop"]
        if "exec" in before:
            wait = int(before["exec"]["command"][-1])
            assert wait + 10 <= pod["terminationGracePeriodSeconds"], name
        else:
            assert before["sleep"]["seconds"] < pod["terminationGracePeriodSeconds"]


def test_a_start_has_as_long_as_a_request_waits_for_it(team: Team, objects: list[Manifest]) -> None:
    """And fifteen minutes at least: killed before, a replica would begin anew for ever."""
    for name, pod in studios(objects):
        probe = pod["containers"][0]["startupProbe"]
        budget = probe["periodSeconds"] * probe["failureThreshold"]
        assert budget >= max(900, team.spec.endpoints[name].timeouts.wake)


def test_the_gateway_tolerates_the_loss_of_a_node(objects: list[Manifest]) -> None:
    """Two, apart, one always there; and while another version comes."""
    gateway = one(objects, "Deployment", "gateway")["spec"]
    assert gateway["replicas"] == 2
    assert gateway["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spread = gateway["template"]["spec"]["topologySpreadConstraints"]
    keys = [each["topologyKey"] for each in spread]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}, "there may be one node only"
    assert one(objects, "PodDisruptionBudget", "gateway")["spec"]["minAvailable"] == 1


def test_where_nodes_can_be_had_two_gateways_are_in_two_zones() -> None:
    """No wish: a node that is there, with room for both, must not get both. Each version by itself, so that
    what is left of an update is apart too."""
    team = TEAMS["one"]
    objects = objects_of(team, Target(**{**vars(target_of(team.spec)), "apart": True}))
    pod = one(objects, "Deployment", "gateway")["spec"]["template"]["spec"]
    zones = pod["topologySpreadConstraints"][0]
    assert (zones["topologyKey"], zones["maxSkew"]) == ("topology.kubernetes.io/zone", 1)
    assert (zones["whenUnsatisfiable"], zones["minDomains"]) == ("DoNotSchedule", 2)
    assert zones["matchLabelKeys"] == ["pod-template-hash"]


def test_how_many_is_kedas(team: Team, objects: list[Manifest]) -> None:
    """The limits of the file, the gateway's word, no number in the Deployment; an error takes nobody away."""
    for name, endpoint in team.spec.endpoints.items():
        assert "replicas" not in one(objects, "Deployment", f"studio-{name}")["spec"]
        spec = one(objects, "ScaledObject", f"studio-{name}")["spec"]
        assert (spec["minReplicaCount"], spec["maxReplicaCount"], spec["cooldownPeriod"]) == (
            endpoint.replicas.min, endpoint.replicas.max, endpoint.idle,
        )  # fmt: skip
        (trigger,) = spec["triggers"]
        namespace = target_of(team.spec).namespace
        assert trigger["metadata"]["url"] == f"http://gateway-inner.{namespace}.svc:7861/scale/{name}"
        assert trigger["metadata"]["targetValue"] == str(endpoint.concurrency)
        assert "fallback" not in spec, "with one, KEDA wakes what sleeps while no gateway answers"


def test_the_quota_is_what_all_endpoints_may_take_at_once() -> None:
    """By resource; an address needs the one load balancer, and nobody gets a second."""
    hard = one(objects_of(TEAMS["several"]), "ResourceQuota", "team")["spec"]["hard"]
    assert hard == {"requests.nvidia.com/gpu": "5", "services.loadbalancers": "0"}
    hard = one(objects_of(TEAMS["address"]), "ResourceQuota", "team")["spec"]["hard"]
    assert hard["services.loadbalancers"] == "1"
    hard = one(objects_of(TEAMS["slices and taints"]), "ResourceQuota", "team")["spec"]["hard"]
    assert hard["requests.nvidia.com/mig-3g.20gb"] == hard["requests.amd.com/gpu"] == "1"


def test_the_gateway_can_read_what_it_is_told(team: Team, objects: list[Manifest]) -> None:
    """The same JSON as elsewhere, by the gateway's own model: host, link, port, Deployment."""
    for name in team.spec.endpoints:
        content = one(objects, "ConfigMap", f"config-{name}")
        assert content["metadata"]["labels"]["easel/config"] == "true"
        told = json.loads(content["data"][f"{name}.json"])
        endpoint = Endpoint.model_validate(told)
        assert endpoint.host == f"{name}.art.example.com"
        assert endpoint.link
        assert endpoint.container
        assert told["deployment"] == {"name": f"studio-{name}"}
    told = json.loads(one(objects, "ConfigMap", "config-team")["data"]["team.json"])
    assert (told["runs_on"], told["bind"], told["console"]["port"]) == ("kubernetes", "0.0.0.0", 8080)
    assert told["console"]["host"] == "console.art.example.com"
    assert told["edge"] == {"trusted": list(target_of(team.spec).edge.trusted)}
    assert not told["members"] or told["members"]["client_secret"] is None


def test_a_gateway_that_ends_may_answer_whom_it_holds(team: Team, objects: list[Manifest]) -> None:
    """A request that waits for a replica, and its picture, are within the pod's grace, with preStop and
    Caddy's own ten seconds."""
    pod = one(objects, "Deployment", "gateway")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    stays = int(told["EASEL_LEAVES_WITHIN"])
    assert all(stays > min(each.timeouts.wake, 3400) for each in team.spec.endpoints.values())
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before + stays + 10 < pod["terminationGracePeriodSeconds"]


def test_no_secret_is_in_a_manifest_that_is_not_one(objects: list[Manifest]) -> None:
    """Values of secrets come by reference; what the gateway writes has no data that an apply would undo."""
    for each in objects:
        if each["kind"] == "Secret" and each["metadata"]["name"].startswith("easel-"):
            assert not {"data", "stringData"} & each.keys()
    for _, pod in pods(objects):
        for container in pod["containers"]:
            names = [variable["name"] for variable in container["env"]]
            assert len(names) == len(set(names))


@pytest.mark.parametrize("kind", ["ingress", "alb", "gateway-api", "address"])
def test_every_host_leads_to_the_gateway(kind: Any) -> None:
    """The console's and each endpoint's, whatever the edge is made of."""
    team = TEAMS["several"]
    given = target_of(team.spec)
    edge = Edge(kind, class_name="nginx", parent="infra/public/https", address="10.0.0.80", tls_secret="tls")
    objects = objects_of(team, Target(**{**vars(given), "edge": edge}))
    hosts = {f"{name}.art.example.com" for name in ("console", *team.spec.endpoints)}
    if kind in ("ingress", "alb"):
        ingress = one(objects, "Ingress", "gateway")["spec"]
        led = {"*.art.example.com"} if kind == "alb" else hosts
        assert {rule["host"] for rule in ingress["rules"]} == set(ingress["tls"][0]["hosts"]) == led
    if kind == "gateway-api":
        route = one(objects, "HTTPRoute", "gateway")["spec"]
        assert set(route["hostnames"]) == hosts
        parent = route["parentRefs"][0]
        assert (parent["namespace"], parent["name"], parent["sectionName"]) == ("infra", "public", "https")
        assert route["rules"][0]["timeouts"] == {"request": "0s"}
    service = one(objects, "Service", "gateway")["spec"]
    assert (service.get("type") == "LoadBalancer") is (kind == "address")
    assert service.get("loadBalancerIP") == ("10.0.0.80" if kind == "address" else None)
    assert "type" not in one(objects, "Service", "gateway-inner")["spec"]


def test_on_one_node_claims_are_its_disks() -> None:
    """k3s's own class takes no others; unsaid, many nodes mount each."""
    for access in ("ReadWriteMany", "ReadWriteOnce"):
        team = Team({"studio": {"shape": "gpu.t4"}}, {"storage": {"access": access}}, {})
        claims = [each for each in objects_of(team) if each["kind"] == "PersistentVolumeClaim"]
        assert len(claims) == 2
        assert {tuple(each["spec"]["accessModes"]) for each in claims} == {(access,)}
    plain = [each for each in objects_of(TEAMS["several"]) if each["kind"] == "PersistentVolumeClaim"]
    assert {tuple(each["spec"]["accessModes"]) for each in plain} == {("ReadWriteMany",)}


def test_a_route_says_nothing_of_time_where_the_controller_would_refuse_it() -> None:
    """GKE's takes no route with `timeouts`: nobody would come in (kserve/kserve#5311)."""
    edge = {"gateway": "infra/public", "timeouts": False}
    team = Team({"studio": {"shape": "gpu.t4"}}, {"edge": edge}, {})
    (rule,) = one(objects_of(team), "HTTPRoute", "gateway")["spec"]["rules"]
    assert set(rule) == {"matches", "backendRefs"}


def test_as_many_hosts_as_there_are_endpoints_lead_to_the_gateway() -> None:
    """An Application Load Balancer has 100 rules, so all hosts are one; an HTTPRoute 16 host names, so that
    there are several."""
    names = [f"endpoint-{number}" for number in range(120)]
    team = Team({name: {"shape": "gpu.t4"} for name in names}, {"edge": {"gateway": "infra/public"}}, {})
    given = target_of(team.spec)
    balanced = objects_of(team, Target(**{**vars(given), "edge": Edge("alb", class_name="easel-art")}))
    assert len(one(balanced, "Ingress", "gateway")["spec"]["rules"]) == 1
    routes = [each for each in objects_of(team) if each["kind"] == "HTTPRoute"]
    assert [each["metadata"]["name"] for each in routes][:2] == ["gateway", "gateway-2"]
    led = [host for each in routes for host in each["spec"]["hostnames"]]
    assert sorted(led) == sorted(f"{name}.art.example.com" for name in ("console", *names))
    assert all(len(each["spec"]["hostnames"]) <= 16 for each in routes)


def test_a_volume_of_files_that_are_there_is_bound_to_this_team_alone() -> None:
    """It outlives its claim, no class provisions beside it, and no other namespace may take it."""
    team = TEAMS["one"]
    given = target_of(team.spec)
    static = Volume(csi_driver="efs.csi.aws.com", handle="fs-1::fsap-1", mount_options=("tls", "iam"))
    objects = objects_of(team, Target(**{**vars(given), "models": static, "outputs": lambda _: static}))
    volumes = [each["spec"] for each in objects if each["kind"] == "PersistentVolume"]
    assert [each["claimRef"]["name"] for each in volumes] == ["models", "outputs-studio"]
    for each in volumes:
        assert each["claimRef"]["namespace"] == "easel-art"
        assert each["persistentVolumeReclaimPolicy"] == "Retain"
        assert each["storageClassName"] == ""
        assert each["mountOptions"] == ["tls", "iam"]
    claim = one(objects, "PersistentVolumeClaim", "models")["spec"]
    assert (claim["volumeName"], claim["storageClassName"]) == ("easel-art-models", "")


@pytest.mark.parametrize(("surge", "strategy", "gpus"), [
    (0, {"maxSurge": 0, "maxUnavailable": 1}, "1"), (1, {"maxSurge": 1, "maxUnavailable": 0}, "2"),
])  # fmt: skip
def test_where_gpus_are_counted_the_old_version_goes_first(
    surge: int, strategy: dict[str, int], gpus: str
) -> None:
    """With every GPU taken, a new pod that waits for an old one to go would wait for ever."""
    team = TEAMS["one"]
    target = Target(**{**vars(target_of(team.spec)), "surge": surge})
    objects = objects_of(team, target)
    assert one(objects, "Deployment", "studio-studio")["spec"]["strategy"]["rollingUpdate"] == strategy
    hard = one(objects, "ResourceQuota", "team")["spec"]["hard"]
    assert hard["requests.nvidia.com/gpu"] == gpus
