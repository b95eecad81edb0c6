"""`easel doctor` for a Kubernetes that is there: its own client against a stand-in of the API."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.checks import kubernetes_cluster
from scripts.checks.check import Check
from scripts.settings import Settings
from tests.scripts.kubernetes_stand_in import ClusterStandIn, claim, node, storage_class

Look = Callable[..., list[Check]]
NODES = "/api/v1/nodes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
KEDA = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/scaledobjects.keda.sh"
TAINT = {"key": "nvidia.com/gpu", "effect": "NoSchedule"}


@pytest.fixture
def api() -> Iterator[ClusterStandIn]:
    server = ClusterStandIn()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def look(api: ClusterStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """The checks of a stack with these fields of `kubernetes`."""
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path)))

    def looked(
        endpoint: dict[str, Any] | None = None, runs_on: str = "kubernetes", **fields: Any
    ) -> list[Check]:
        given = {
            "context": "mine",
            "edge": {"ingress": "traefik", "trusted": ["10.42.0.0/16"]},
            "storage": {"storage_class": "nfs"},
        }
        team = {"runs_on": runs_on, "domain": "art.example.com"}
        if runs_on == "kubernetes":
            team |= {"image": "r.example.com/e:{target}-1", "kubernetes": given | fields}
        file = tmp_path / "Pulumi.art.yaml"
        endpoints = {"studio": {"shape": "gpu.a10", **(endpoint or {})}}
        file.write_text(yaml.safe_dump({"config": {"easel:team": team, "easel:endpoints": endpoints}}))
        return list(kubernetes_cluster.of_stack(Settings(tmp_path / ".easel", 7860, file)))

    return looked


def one(checks: list[Check], what: str) -> Check:
    """The only check of this name."""
    (found,) = [check for check in checks if check.what == what]
    return found


def test_a_cluster_that_has_everything(look: Look, api: ClusterStandIn) -> None:
    """All is well: what was seen is said, nothing advised, and nothing changed."""
    checks = look()
    assert [check.what for check in checks] == ["cluster", "rights", "keda", "storage", "gpus", "edge"]
    assert {check.verdict for check in checks} == {"ok"}, checks
    assert not any(check.advice for check in checks)
    assert one(checks, "cluster").seen == "Kubernetes v1.33.2, context mine"
    wrote = {path for method, path in api.asked if method != "GET"}
    assert wrote == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}, "which is a question"


@pytest.mark.parametrize("runs_on", ["local", "instances"])
def test_a_stack_that_runs_elsewhere_asks_nothing(look: Look, api: ClusterStandIn, runs_on: str) -> None:
    """No cluster is needed, so none is looked at."""
    assert look(runs_on=runs_on) == []
    assert api.asked == []


def test_a_context_that_is_not_there(look: Look) -> None:
    """One line, with where the names are; nothing else is asked."""
    (check,) = look(context="other")
    assert check.verdict == "failed"
    assert "context other" in check.seen
    assert "kubectl config get-contexts" in check.advice


def test_a_cluster_that_does_not_answer(look: Look, tmp_path: Path, api: ClusterStandIn) -> None:
    """Said once, and the rest left out."""
    api.shutdown()
    api.server_close()
    (check,) = look()
    assert check.verdict == "failed"
    assert "does not answer" in check.seen


def test_credentials_that_are_refused(look: Look, api: ClusterStandIn) -> None:
    """The same."""
    api.has["/version/"] = 401
    (check,) = look()
    assert (check.verdict, "401" in check.seen) == ("failed", True)


def test_a_cluster_that_is_too_old(look: Look, api: ClusterStandIn) -> None:
    """Its API would refuse the pods."""
    api.has["/version/"]["minor"] = "29"
    (check,) = look()
    assert check.verdict == "failed"
    assert "1.30 or newer" in check.advice


def test_what_may_not_be_looked_at_is_no_failure(look: Look, api: ClusterStandIn) -> None:
    """A team may deploy without reading nodes; what it may not write is one."""
    api.has[NODES] = 403
    assert one(look(), "gpus").verdict == "warning"
    api.has["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]["status"]["allowed"] = False
    rights = one(look(), "rights")
    assert rights.verdict == "failed"
    assert "may not write namespaces, deployments" in rights.seen


def test_a_namespace_of_others_is_told(look: Look, api: ClusterStandIn) -> None:
    """What runs there would be cut off; the team's own, of an earlier `pulumi up`, is no news."""
    at = "/api/v1/namespaces/easel-art"
    api.has[at] = {"metadata": {"name": "easel-art", "labels": {"team": "web"}}}
    found = one(look(), "namespace")
    assert (found.verdict, found.seen) == ("warning", "easel-art is there already, and not easel's")
    api.has[at]["metadata"]["labels"] = {"app.kubernetes.io/part-of": "easel"}
    assert not [check for check in look() if check.what == "namespace"]


def test_keda_is_there_or_comes(look: Look, api: ClusterStandIn) -> None:
    """Never twice in a cluster, and never missing."""
    assert one(look(keda="there"), "keda").verdict == "ok"
    twice = one(look(keda="install"), "keda")
    assert (twice.verdict, "keda: there" in twice.advice) == ("failed", True)
    api.has[KEDA]["metadata"]["managedFields"] = [{"manager": "pulumi-kubernetes-1a2b3c4d"}]
    assert one(look(keda="install"), "keda").verdict == "ok", "its own, of an earlier `pulumi up`"
    del api.has[KEDA]
    missing = one(look(keda="there"), "keda")
    assert (missing.verdict, "keda: install" in missing.advice) == ("failed", True)
    assert one(look(keda="install"), "keda").verdict == "ok"


def test_files_are_somewhere_that_many_nodes_mount(look: Look, api: ClusterStandIn) -> None:
    """A class that is there, not of disks; the default where none is named."""
    missing = one(look(storage={"storage_class": "nsf"}), "storage")
    assert (missing.verdict, "one of nfs" in missing.advice) == ("failed", True)
    assert one(look(storage={}), "storage").seen == "there is no default storage class"
    api.has[CLASSES]["items"].append(storage_class("disk", "ebs.csi.aws.com", default=True))
    disk = one(look(storage={}), "storage")
    assert disk.verdict == "warning"
    assert "disk (ebs.csi.aws.com): disks that one node mounts at a time" in disk.seen


def test_k3ss_own_class_is_for_a_cluster_of_one_node(look: Look, api: ClusterStandIn) -> None:
    """It refuses every claim but ReadWriteOnce, which waits for ever (rancher/local-path-provisioner#70)."""
    api.has[CLASSES] = {"items": [storage_class("local-path", "rancher.io/local-path", default=True)]}
    many = one(look(storage={}), "storage")
    assert (many.verdict, "storage.access: ReadWriteOnce" in many.advice) == ("failed", True)
    once = {"storage": {"access": "ReadWriteOnce"}}
    api.has[NODES] = {"items": [node("a", {"nvidia.com/gpu": "1"})]}
    assert one(look(**once), "storage").verdict == "ok"
    api.has[NODES]["items"].append(node("b", {}))
    two = one(look(**once), "storage")
    assert (two.verdict, "there are 2 nodes" in two.seen) == ("failed", True)


def test_claims_that_are_named_are_there(look: Look, api: ClusterStandIn) -> None:
    """In the team's namespace, for many at once; then no class is needed."""
    claims = "/api/v1/namespaces/easel-art/persistentvolumeclaims"
    api.has[CLASSES] = {"items": []}
    api.has[f"{claims}/art-models"] = claim("ReadWriteMany")
    api.has[f"{claims}/art-pictures"] = claim("ReadWriteOnce")
    given = {"models": "art-models", "outputs": {"studio": "art-pictures"}}
    models, pictures = [check for check in look(storage=given) if check.what == "storage"]
    assert (models.verdict, models.seen) == ("ok", "claim art-models")
    assert (pictures.verdict, pictures.seen) == ("failed", "claim art-pictures is ReadWriteOnce")
    del api.has[f"{claims}/art-models"]
    assert "there is no claim art-models in namespace easel-art" in look(storage=given)[3].seen


@pytest.mark.parametrize(
    ("nodes", "fields", "verdict", "seen"),
    [
        (
            [node("a", {"nvidia.com/gpu": "2"}, taints=[TAINT])],
            {},
            "ok",
            "2 of nvidia.com/gpu on 1 nodes, 2 wanted",
        ),
        ([node("a", {"nvidia.com/gpu": "1"})], {}, "warning", "1 of nvidia.com/gpu on 1 nodes"),
        ([node("a", {"amd.com/gpu": "8"})], {}, "warning", "0 of nvidia.com/gpu"),
        ([node("a", {"amd.com/gpu": "8"})], {"gpu": "amd.com/gpu"}, "ok", "8 of amd.com/gpu"),
        ([node("a", {"nvidia.com/gpu": "8"})], {"node_selector": {"pool": "gpu"}}, "warning", "on 0 nodes"),
        (
            [node("a", {"nvidia.com/gpu": "8"}, {"pool": "gpu"})],
            {"node_selector": {"pool": "gpu"}},
            "ok",
            "8 of",
        ),
        (
            [
                node(
                    "a",
                    {"nvidia.com/gpu": "8"},
                    taints=[{"key": "team", "value": "b", "effect": "NoSchedule"}],
                )
            ],
            {"tolerations": [{"key": "team", "operator": "Equal", "value": "a"}]},
            "warning",
            "on 0 nodes",
        ),
        (
            [
                node(
                    "a",
                    {"nvidia.com/gpu": "8"},
                    taints=[{"key": "team", "value": "a", "effect": "NoSchedule"}],
                )
            ],
            {"tolerations": [{"key": "team", "operator": "Equal", "value": "a"}]},
            "ok",
            "8 of",
        ),
    ],
)
def test_gpus_are_counted_where_replicas_may_run(
    look: Look, api: ClusterStandIn, nodes: Any, fields: dict[str, Any], verdict: str, seen: str
) -> None:
    """On nodes of the labels, with taints that are tolerated; too few is a warning, as nodes may come."""
    api.has[NODES] = {"items": nodes}
    check = one(look({"replicas": {"max": 2}}, **fields), "gpus")
    assert (check.verdict, seen in check.seen) == (verdict, True), check


def test_a_disk_that_a_replica_would_fill_is_told(look: Look, api: ClusterStandIn) -> None:
    """A full one evicts its pod in the middle of a picture; which nodes count is as for GPUs."""

    def told(disk: str, **endpoint: Any) -> list[Check]:
        room = {"nvidia.com/gpu": "1", "ephemeral-storage": disk}
        api.has[NODES] = {"items": [node("a", room), node("b", {**room, "ephemeral-storage": "900Gi"})]}
        return [check for check in look(endpoint) if check.what == "disks"]

    assert told("130Gi") == []
    (small,) = told("94477937300")
    assert small.verdict == "warning"
    assert "storage.disk is 100GB, and of 2 nodes" in small.seen
    assert "easel:endpoints.studio.storage.disk: 73GB" in small.advice
    assert told("94477937300", storage={"disk": "70GB"}) == []
    assert "larger disks" in told("40Gi")[0].advice


def test_a_runtime_class_is_there(look: Look, api: ClusterStandIn) -> None:
    """Without it every pod is turned away."""
    missing, _ = [check for check in look(runtime_class="nvidia") if check.what == "gpus"]
    assert (missing.verdict, missing.seen) == ("failed", "there is no runtime class nvidia")
    found = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    api.has["/apis/node.k8s.io/v1/runtimeclasses/nvidia"] = found
    assert one(look(runtime_class="nvidia"), "gpus").verdict == "ok"


def test_the_edge_is_there(look: Look, api: ClusterStandIn) -> None:
    """The class, the Gateway; and what is trusted is said, or every caller is the edge."""
    missing = one(look(edge={"ingress": "nginx"}), "edge")
    assert (missing.verdict, missing.seen) == ("failed", "there is no ingress class nginx")
    assert "edge.trusted" in one(look(edge={"ingress": "traefik"}), "edge").advice
    api.has["/apis/gateway.networking.k8s.io/v1/namespaces/infra/gateways/public"] = {"metadata": {}}
    found = one(look(edge={"gateway": "infra/public/https", "trusted": ["10.0.0.0/8"]}), "edge")
    assert (found.verdict, found.seen) == ("ok", "Gateway infra/public")
    assert one(look(edge={"address": "10.0.0.80"}), "edge").verdict == "ok"


def test_gkes_gateway_takes_no_timeouts(look: Look, api: ClusterStandIn) -> None:
    """It says of the whole route that it is not accepted, so nobody would come in."""
    gateway = {"metadata": {}, "spec": {"gatewayClassName": "gke-l7-global-external-managed"}}
    api.has["/apis/gateway.networking.k8s.io/v1/namespaces/infra/gateways/public"] = gateway
    edge = {"gateway": "infra/public", "trusted": ["35.191.0.0/16"]}
    found = one(look(edge=edge), "edge")
    assert found.verdict == "failed"
    assert "edge.timeouts: false" in found.advice
    assert one(look(edge={**edge, "timeouts": False}), "edge").verdict == "ok"
