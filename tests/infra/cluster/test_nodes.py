"""Nodes and the pods that go there: what a pod asks for is what its pool's smallest machine has."""

from typing import Any

import pytest

from infra.cluster.capacity import allocatable, memory
from infra.cluster.load_balancer import edge
from infra.cluster.nodes import (
    GPU,
    Ground,
    Pool,
    disk_of,
    front,
    node_class,
    node_pool,
    pools,
    system_class,
    system_pool,
)
from infra.cluster.tenancy import placement
from infra.cluster.volumes import DRIVER, OPTIONS
from infra.namespace import Target, Volume, manifests
from infra.offers import Offers
from infra.shapes import SHAPES, SYSTEM, Shape
from infra.spec import Spec
from infra.stackfile import read_spec

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
GROUND = Ground("easel-art-nodes-1a2b3c4", "sg-1", {zone: f"subnet-{zone[-1]}" for zone in ZONES})
TEAM = {
    "runs_on": "cluster",
    "domain": "art.example.com",
    "cluster": {"admins": ["arn:aws:iam::111122223333:role/Admin"]},
}
ENDPOINTS: dict[str, Any] = {
    **{name.replace(".", "-"): {"shape": name, "replicas": {"max": 3}} for name in SHAPES},
    "cheap": {"shape": "gpu.l4", "capacity": "spot-first", "replicas": {"max": 2}},
    "more": {"shape": "gpu.l4", "replicas": {"max": 2}, "storage": {"disk": "300GB"}},
}


def spec(endpoints: dict[str, Any] | None = None, name: str = "art") -> Spec:
    config = {"easel:team": TEAM, "easel:endpoints": ENDPOINTS if endpoints is None else endpoints}
    return read_spec(name, config, "x")


def offers(**zones: tuple[str, ...]) -> Offers:
    """Every type in every zone, but those that are named."""
    kinds = {kind.name for shape in SHAPES.values() for kind in shape.instance_types} | {
        kind.name for kind in SYSTEM
    }
    given = {name.replace("_", "."): where for name, where in zones.items()}
    return Offers("us-east-1", {kind: frozenset(given.get(kind, ZONES)) for kind in kinds})


def made(pool: Pool, sold: Offers | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The NodeClass and the NodePool of a pool."""
    found = (sold or offers()).replicas(pool.endpoint, pool.shape, ZONES)
    return node_class(pool, found.zones, GROUND), node_pool(pool, found)


def pods(which: Spec) -> dict[str, tuple[Pool, dict[str, Any]]]:
    """Each endpoint's pod with the pool it is for, from the very manifests of its namespace."""
    by_kind = pools(which)

    def pool(endpoint: str) -> Pool:
        asked = which.endpoints[endpoint]
        return by_kind[asked.shape, asked.capacity]

    target = Target(
        namespace="easel-art",
        studio_image="studio@sha256:1",
        gateway_image="gateway@sha256:2",
        placement=lambda endpoint: placement(pool(endpoint)),
        models=Volume(csi_driver=DRIVER, handle="fs-1::fsap-models", mount_options=OPTIONS),
        outputs=lambda name: Volume(csi_driver=DRIVER, handle=f"fs-1::fsap-{name}", mount_options=OPTIONS),
        secrets=lambda _: {},
        edge=edge("art", ["10.71.0.0/16"], drain=100),
        apart=True,
    )
    links = {name: "0" * 64 for name in (*which.endpoints, "console")}
    found = manifests(which, target, links)
    OBJECTS[which.name] = found
    return {
        name: (pool(name), one["spec"]["template"]["spec"])
        for name in which.endpoints
        for one in found
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", f"studio-{name}")
    }


OBJECTS: dict[str, list[dict[str, Any]]] = {}
PODS = pods(spec())


@pytest.fixture(params=PODS)
def pod(request: pytest.FixtureRequest) -> tuple[str, Pool, dict[str, Any]]:
    """The pod of each endpoint, with the pool that it is for."""
    return request.param, *PODS[request.param]


def test_a_pod_goes_to_its_own_pool_and_to_no_other(pod: tuple[str, Pool, dict[str, Any]]) -> None:
    """It tolerates each taint of its pool's nodes and no other one, and asks for what only they are."""
    _, pool, asked = pod
    labelled = made(pool)[1]["spec"]["template"]
    taints = labelled["spec"]["taints"]
    assert len(asked["tolerations"]) == len(taints)
    for taint, toleration in zip(taints, asked["tolerations"], strict=True):
        assert {key: toleration[key] for key in ("key", "value", "effect")} == taint
    assert asked["nodeSelector"] == labelled["metadata"]["labels"]
    others = [one for one in pools(spec()).values() if one.name != pool.name]
    assert all(
        made(one)[1]["spec"]["template"]["metadata"]["labels"] != asked["nodeSelector"] for one in others
    )


def test_a_pod_fits_the_smallest_machine_beside_what_every_node_runs(
    pod: tuple[str, Pool, dict[str, Any]],
) -> None:
    """Else it waits for ever: `no instance type satisfied resources`. Those that share a machine all fit."""
    _, pool, asked = pod
    (studio,) = [one for one in asked["containers"] if one["name"] == "studio"]
    requests = studio["resources"]["requests"]
    for kind in pool.shape.instance_types:
        together = pool.shape.only_by * int(requests["memory"].removesuffix("Mi"))
        assert together <= allocatable(kind), kind.name
        assert pool.shape.only_by * int(requests["cpu"].removesuffix("m")) <= kind.vcpu * 1000 - 1000
    if pool.shape.gpu:
        assert studio["resources"]["limits"][GPU] in (1, "1")
    else:
        assert GPU not in studio["resources"].get("limits", {})


def test_a_pod_mounts_its_own_endpoints_pictures(pod: tuple[str, Pool, dict[str, Any]]) -> None:
    """By the claim, the volume and the access point of its name, bound to each other and to nobody else."""
    name, _, asked = pod
    claims = {
        one["persistentVolumeClaim"]["claimName"]
        for one in asked["volumes"]
        if "persistentVolumeClaim" in one
    }
    assert claims == {"models", f"outputs-{name}"}
    by_name = {(one["kind"], one["metadata"]["name"]): one for one in OBJECTS["art"]}
    claim = by_name["PersistentVolumeClaim", f"outputs-{name}"]["spec"]
    volume = by_name["PersistentVolume", claim["volumeName"]]["spec"]
    assert volume["csi"] == {"driver": "efs.csi.aws.com", "volumeHandle": f"fs-1::fsap-{name}"}
    assert volume["claimRef"]["name"] == f"outputs-{name}"
    assert volume["mountOptions"] == ["iam"], "who shows no identity is not let in"


def test_a_pool_holds_the_most_of_all_its_endpoints_and_no_more() -> None:
    """Two endpoints of one shape share it; whoever buys in another way has another."""
    by_name = {pool.name: made(pool)[1]["spec"]["limits"] for pool in pools(spec()).values()}
    assert by_name["gpu-l4"] == {GPU: "5"}
    assert by_name["gpu-l4-spot-first"] == {GPU: "2"}
    assert by_name["gpu-a100-40gb"] == {GPU: "8"}, "a machine is bought whole"
    assert by_name["cpu-small"] == {"cpu": "6"}


def test_a_pool_asks_for_what_the_region_sells_where_it_sells_it() -> None:
    """A type or a zone that is not sold would be asked for in vain, again and again."""
    pool = pools(spec({"a": {"shape": "gpu.l4", "capacity": "spot"}}))["gpu.l4", "spot"]
    sold = offers(**{"g6_xlarge": (ZONES[0],), "g6_2xlarge": (), "g6_4xlarge": (ZONES[1],)})
    how, which = made(pool, sold)
    asked = {one["key"]: one["values"] for one in which["spec"]["template"]["spec"]["requirements"]}
    assert asked["node.kubernetes.io/instance-type"] == ["g6.xlarge", "g6.4xlarge"]
    assert asked["topology.kubernetes.io/zone"] == list(ZONES[:2])
    assert asked["karpenter.sh/capacity-type"] == ["spot"]
    assert how["spec"]["subnetSelectorTerms"] == [{"id": "subnet-a"}, {"id": "subnet-b"}]


def budgets(wanted: dict[str, Any]) -> dict[str, str]:
    """How many nodes of a pool may go at once, by the reason."""
    return {reason: one["nodes"] for one in wanted["disruption"]["budgets"] for reason in one["reasons"]}


def test_a_pool_is_given_back_when_it_is_empty_and_never_while_it_draws() -> None:
    """And no node is older than Auto Mode lets it be, 21 days, with what its pods have to end in."""
    for pool in pools(spec()).values():
        wanted = made(pool)[1]["spec"]
        assert wanted["disruption"]["consolidationPolicy"] == "WhenEmpty"
        assert budgets(wanted)["Empty"] == "100%", "a tenth of them at a time leaves the rest to be paid for"
        assert budgets(wanted)["Drifted"] == "0", "drift heeds no do-not-disrupt where pods have a last day"
        times = (wanted["template"]["spec"][key] for key in ("expireAfter", "terminationGracePeriod"))
        assert sum(int(one.removesuffix("h")) for one in times) <= 21 * 24
        assert placement(pool).annotations == {"karpenter.sh/do-not-disrupt": "true"}


def test_a_disk_holds_image_and_models_before_the_kubelet_evicts() -> None:
    """15 % must stay free; on a machine of eight GPUs there are eight replicas' files, and of endpoints that
    share a pool the one counts that is given most."""
    l4, a100 = SHAPES["gpu.l4"], SHAPES["gpu.a100-40gb"]
    assert disk_of(l4, 100 * 10**9) * 0.85 >= 100e9 / 2**30 + 20
    assert disk_of(a100, 100 * 10**9) > 8 * 100e9 / 2**30
    assert pools(spec())["gpu.l4", "on-demand"].disk == disk_of(l4, 300 * 10**9), (
        "the largest of its endpoints"
    )


def test_teams_of_a_platform_meet_on_no_machine() -> None:
    """The same endpoints of another team have other names, labels and taints."""
    ours, theirs = pools(spec()), pools(spec(name="music"))
    for key, pool in ours.items():
        assert pool.object_name != theirs[key].object_name
        mine, other = (made(one)[1]["spec"]["template"] for one in (pool, theirs[key]))
        assert mine["metadata"]["labels"] != other["metadata"]["labels"]
        assert {"key": "easel/team", "value": "art", "effect": "NoSchedule"} in mine["spec"]["taints"]
        assert {"key": "easel/team", "value": "music", "effect": "NoSchedule"} in other["spec"]["taints"]


def test_names_keep_within_a_labels_63_characters() -> None:
    """Karpenter writes a NodePool's name into a label of its nodes."""
    longest = max(pools(spec(name="t" * 16)).values(), key=lambda pool: len(pool.object_name))
    assert len(longest.object_name) <= 63


def test_gateways_stand_where_the_balancer_does_and_fit() -> None:
    """What is in a zone that the balancer is not in would get nothing; three zones are three addresses."""
    sold = offers().system(front(GROUND.subnets))
    wanted = system_pool("art", sold)["spec"]
    zones = {one["key"]: one["values"] for one in wanted["template"]["spec"]["requirements"]}
    assert zones["topology.kubernetes.io/zone"] == list(ZONES[:3]) == front(GROUND.subnets)
    assert "taints" not in wanted["template"]["spec"], "KEDA and the drivers' controllers run here too"
    assert budgets(wanted)["Drifted"] == "10%", "gateways go one by one, by their disruption budget"
    how = system_class("art", sold.zones, GROUND)["spec"]
    assert [one["id"] for one in how["subnetSelectorTerms"]] == ["subnet-a", "subnet-b", "subnet-c"]
    (gateway,) = [
        one["spec"]["template"]["spec"]["containers"][0]
        for one in OBJECTS["art"]
        if (one["kind"], one["metadata"]["name"]) == ("Deployment", "gateway")
    ]
    asked = gateway["resources"]["requests"]
    assert int(asked["memory"].removesuffix("Mi")) < allocatable(SYSTEM[0]) / 2
    assert int(asked["cpu"].removesuffix("m")) < SYSTEM[0].vcpu * 1000 / 2


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_replica_is_given_most_of_its_machine(shape: Shape) -> None:
    """What is not asked for is paid for all the same: at least half of the smallest machine."""
    least = min(kind.memory for kind in shape.instance_types) * 1024
    assert least / 2 <= int(memory(shape).removesuffix("Mi")) * shape.only_by < least
