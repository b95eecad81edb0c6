"""What a Kubernetes has for a stack that runs on it, check by check, before `pulumi up` needs it.

Each check asks and changes nothing. One that may not ask says so and is no reason to stop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from infra import kubernetes_placement
from infra.quantities import size
from scripts.checks.check import Check, Verdict
from scripts.checks.stack_cluster import PATIENCE, StackCluster, opened
from scripts.settings import CommandRefused, Settings

OLDEST = (1, 30)
"""The first Kubernetes that lets a container sleep before SIGTERM without a shell in its image."""

ONE_NODE = (
    *("ebs.csi.", "ebs.csi.eks.", "pd.csi.storage.gke.io", "disk.csi.azure.com", "rancher.io/local-path"),
    *("k8s.io/minikube-hostpath", "docker.io/hostpath", "microk8s.io/hostpath", "topolvm.io", "local.csi."),
    *(
        "csi.hetzner.cloud",
        "dobs.csi.digitalocean.com",
        "cinder.csi.openstack.org",
        "kubernetes.io/no-provisioner",
    ),
)
"""How provisioners of disks are called, which one node at a time mounts. The API tells it of none."""

LOCAL_PATH = "rancher.io/local-path"
"""Of k3s and kind: it refuses whatever is not ReadWriteOnce, and the claim waits for ever."""
_ONE = (
    "cluster of one node write easel:team.kubernetes.storage.access: ReadWriteOnce; on any other take a "
    "class of NFS, CephFS, Longhorn"
)
IMAGE = 20 * 2**30
"""Bytes of the studio's image, unpacked, which lies on the same disk."""
LEAST_DISK = 30
"""GB: the least that a stack file may say."""
GKE = "gke-"
"""How classes of GKE's Gateway controller begin, which takes no `timeouts` of a route ("GatewayClass
capabilities", GKE)."""

SCALED_OBJECTS = "scaledobjects.keda.sh"
_FORBIDDEN, _NOT_FOUND = 403, 404


def of_stack(here: Settings) -> Iterator[Check]:
    """Every check, for a stack that runs on Kubernetes; none for another, or for one that cannot be read."""
    from scripts.stacks.loading import spec_at

    try:
        spec = spec_at(here.stack)
    except CommandRefused:
        return  # told by the check of the stack file
    if spec.team.runs_on != "kubernetes":
        return
    found = opened(spec)
    if isinstance(found, Check):
        yield found
        return
    for check in (cluster, rights, namespace, keda, storage, gpus, disks, edge):
        checks = list(_asked(check, found))
        yield from checks
        if check is cluster and any(one.verdict == "failed" for one in checks):
            return


def cluster(at: StackCluster) -> Iterator[Check]:
    """Which cluster it is, and how old."""
    from kubernetes.client import VersionApi

    found = VersionApi(at.client).get_code(_request_timeout=PATIENCE)
    version = tuple(int(re.sub(r"\D.*", "", part) or 0) for part in (found.major, found.minor))
    seen = f"Kubernetes {found.git_version}, context {at.given.context}"
    if version < OLDEST:
        yield Check("cluster", "failed", seen, "easel's containers need Kubernetes 1.30 or newer: upgrade it")
    else:
        yield Check("cluster", "ok", seen)


def rights(at: StackCluster) -> Iterator[Check]:
    """What whoever runs Pulumi may make there."""
    from kubernetes.client import AuthorizationV1Api

    api = AuthorizationV1Api(at.client)
    wanted = {
        "namespaces": ("", None),
        "deployments": ("apps", at.namespace),
        "roles": ("rbac.authorization.k8s.io", at.namespace),
        "clusterrolebindings": ("rbac.authorization.k8s.io", None),
        "scaledobjects": ("keda.sh", at.namespace),
    }
    lacking = []
    for resource, (group, namespace) in wanted.items():
        asked = {"group": group, "resource": resource, "verb": "patch", "namespace": namespace}
        answer = api.create_self_subject_access_review(
            {"spec": {"resourceAttributes": asked}}, _request_timeout=PATIENCE
        )
        lacking += [] if answer.status.allowed else [resource]
    if lacking:
        yield Check(
            "rights", "failed", f"may not write {', '.join(lacking)}", "take a context with more rights"
        )
    else:
        yield Check("rights", "ok", f"may write what a team is made of, in namespace {at.namespace}")


def namespace(at: StackCluster) -> Iterator[Check]:
    """Whether the team's namespace is its own. Nothing is said of one that is, or is not there yet."""
    from kubernetes.client import CoreV1Api

    read = partial(CoreV1Api(at.client).read_namespace, at.namespace, _request_timeout=PATIENCE)
    found = _or_none(read)
    if found is not None and (found.metadata.labels or {}).get("app.kubernetes.io/part-of") != "easel":
        advice = (
            "`pulumi up` closes it: policies that deny all traffic, Pod Security's level restricted, a "
            "quota. Take one of the team's own: easel:team.kubernetes.namespace"
        )
        yield Check("namespace", "warning", f"{at.namespace} is there already, and not easel's", advice)


def keda(at: StackCluster) -> Iterator[Check]:
    """Whether KEDA is there, which scales."""
    from kubernetes.client import ApiextensionsV1Api

    api = ApiextensionsV1Api(at.client)
    there = _or_none(lambda: api.read_custom_resource_definition(SCALED_OBJECTS, _request_timeout=PATIENCE))
    if there is None and at.given.keda == "there":
        yield Check(
            "keda", "failed", "KEDA is not there", "install it, or write easel:team.kubernetes.keda: install"
        )
    elif there is None:
        yield Check("keda", "ok", "not there yet: `pulumi up` installs it")
    elif at.given.keda == "install" and not _ours(there):
        yield Check(
            "keda",
            "failed",
            "KEDA is there already, and one cluster has one",
            "write easel:team.kubernetes.keda: there",
        )
    else:
        yield Check("keda", "ok", "KEDA is there")


def storage(at: StackCluster) -> Iterator[Check]:
    """Whether models and pictures have somewhere to be that many nodes mount at once."""
    volumes = at.given.storage
    for claim in sorted({*filter(None, (volumes.models, *volumes.outputs.values()))}):
        yield _claim(at, claim)
    if volumes.models and set(at.spec.endpoints) <= set(volumes.outputs):
        return
    yield _storage_class(at, volumes.storage_class)


def gpus(at: StackCluster) -> Iterator[Check]:
    """Whether the cluster's nodes have the GPUs that the endpoints ask for."""
    from kubernetes.client import CoreV1Api, NodeV1Api

    shapes = {endpoint.shape for endpoint in at.spec.endpoints.values()}
    classes = {kubernetes_placement.runtime_class(at.given, shape) for shape in shapes}
    for name in sorted(filter(None, classes)):
        read = partial(NodeV1Api(at.client).read_runtime_class, name, _request_timeout=PATIENCE)
        if _or_none(read) is None:
            advice = "`kubectl get runtimeclass` lists those there are; without it no pod is let in"
            yield Check("gpus", "failed", f"there is no runtime class {name}", advice)
    nodes = CoreV1Api(at.client).list_node(_request_timeout=PATIENCE).items
    wanted: dict[str, list[str]] = {}
    for name, endpoint in at.spec.endpoints.items():
        wanted.setdefault(endpoint.shape, []).append(name)
    for shape, names in wanted.items():
        resource = kubernetes_placement.gpu(at.given, shape)
        if resource is None:
            continue
        most = sum(at.spec.endpoints[name].replicas.max for name in names)
        fitting = [node for node in nodes if _fits(node, at, shape)]
        have = sum(int((node.status.allocatable or {}).get(resource, 0)) for node in fitting)
        yield _gpu_check(shape, resource, most, have, len(fitting))


def disks(at: StackCluster) -> Iterator[Check]:
    """Whether nodes have the disk that replicas may fill. Nothing is said where they have, or none is."""
    from kubernetes.client import CoreV1Api
    from kubernetes.utils.quantity import parse_quantity

    nodes = CoreV1Api(at.client).list_node(_request_timeout=PATIENCE).items
    for name, endpoint in at.spec.endpoints.items():
        have = [
            int(parse_quantity(found))
            for node in nodes
            if _fits(node, at, endpoint.shape)
            and (found := (node.status.allocatable or {}).get("ephemeral-storage"))
        ]
        if not have or min(have) >= endpoint.storage.disk + IMAGE:
            continue
        room = (min(have) - IMAGE) // 10**9
        seen = (
            f"{name}: storage.disk is {size(endpoint.storage.disk)}, and of {len(have)} nodes that it may "
            f"run on the smallest has {min(have) / 1e9:.0f} GB, with the image"
        )
        advice = (
            f"easel:endpoints.{name}.storage.disk: {room}GB"
            if room >= LEAST_DISK
            else "give nodes larger disks"
        )
        yield Check("disks", "warning", seen, f"{advice}: the kubelet evicts who fills its node's disk")


def edge(at: StackCluster) -> Iterator[Check]:
    """Whether what people come by is there."""
    from kubernetes.client import CustomObjectsApi, NetworkingV1Api

    way = at.given.edge
    if way.ingress is not None:
        api = NetworkingV1Api(at.client)
        found = _or_none(lambda: api.read_ingress_class(way.ingress, _request_timeout=PATIENCE))
        what, advice = f"ingress class {way.ingress}", "`kubectl get ingressclass` lists those there are"
    elif way.gateway is not None:
        namespace, name, *_ = way.gateway.split("/")
        group = ("gateway.networking.k8s.io", "v1", namespace, "gateways", name)
        found = _or_none(
            lambda: CustomObjectsApi(at.client).get_namespaced_custom_object(
                *group, _request_timeout=PATIENCE
            )
        )
        what, advice = f"Gateway {namespace}/{name}", "`kubectl get gateways -A` lists those there are"
    else:
        yield Check("edge", "ok", f"a load balancer at {way.address}; TLS is your proxy's, in front of it")
        return
    if found is None:
        yield Check("edge", "failed", f"there is no {what}", advice)
    elif way.gateway is not None and way.timeouts and (kind := _class_of(found)).startswith(GKE):
        advice = (
            "write easel:team.kubernetes.edge.timeouts: false, and give Service gateway a GCPBackendPolicy"
        )
        seen = f"{what} is of GKE's class {kind}, which refuses a route with timeouts"
        yield Check("edge", "failed", seen, advice)
    elif not way.trusted:
        advice = "name its network in edge.trusted, or every caller seems to be the edge itself"
        yield Check("edge", "warning", f"{what}: nothing is said of where its requests come from", advice)
    else:
        yield Check("edge", "ok", what)


def _asked(check: Callable[[StackCluster], Iterator[Check]], at: StackCluster) -> Iterator[Check]:
    """A check, or what kept it from asking."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    name = check.__name__
    what = (check.__doc__ or "").split(",")[0].rstrip(".")
    try:
        yield from check(at)
    except ApiException as error:
        if check is cluster:
            advice = "sign in again, or look at the context's user"
            yield Check(name, "failed", f"context {at.given.context}: {error.status} {error.reason}", advice)
        else:
            seen = "not allowed to look" if error.status == _FORBIDDEN else f"could not look ({error.status})"
            yield Check(name, "warning", f"{seen}: {what}", "the rest does not depend on it")
    except (HTTPError, OSError) as error:
        verdict: Verdict = "failed" if check is cluster else "warning"
        why = str(getattr(error, "reason", error)).rpartition(": ")[2]
        advice = "does it run, and is there a way to it from here?"
        yield Check(name, verdict, f"context {at.given.context} does not answer: {why}", advice)


def _or_none(ask: Callable[[], Any]) -> Any:
    from kubernetes.client import ApiException

    try:
        return ask()
    except ApiException as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _class_of(gateway: Any) -> str:
    """The GatewayClass of a Gateway."""
    return str(gateway.get("spec", {}).get("gatewayClassName", ""))


def _ours(definition: Any) -> bool:
    """Whether Pulumi applied it, as an earlier `pulumi up` does."""
    managers = [field.manager or "" for field in definition.metadata.managed_fields or ()]
    return any(manager.startswith("pulumi-kubernetes") for manager in managers)


def _claim(at: StackCluster, name: str) -> Check:
    from kubernetes.client import CoreV1Api

    read = CoreV1Api(at.client).read_namespaced_persistent_volume_claim
    found = _or_none(lambda: read(name, at.namespace, _request_timeout=PATIENCE))
    if found is None:
        return Check(
            "storage", "failed", f"there is no claim {name} in namespace {at.namespace}", "make it first"
        )
    if at.given.storage.access not in found.spec.access_modes:
        modes = ", ".join(found.spec.access_modes)
        advice = (
            "two gateways and the replicas mount it at once: take one with ReadWriteMany, or on a " + _ONE
        )
        return Check("storage", "failed", f"claim {name} is {modes}", advice)
    return Check("storage", "ok", f"claim {name}")


def _storage_class(at: StackCluster, name: str | None) -> Check:
    from kubernetes.client import CoreV1Api, StorageV1Api

    found = StorageV1Api(at.client).list_storage_class(_request_timeout=PATIENCE).items
    default = "storageclass.kubernetes.io/is-default-class"
    fitting = [
        one
        for one in found
        if (one.metadata.name == name if name else (one.metadata.annotations or {}).get(default) == "true")
    ]
    names = ", ".join(sorted(one.metadata.name for one in found)) or "none"
    if not fitting:
        seen = f"there is no storage class {name}" if name else "there is no default storage class"
        return Check(
            "storage", "failed", seen, f"easel:team.kubernetes.storage.storage_class: one of {names}"
        )
    (one, *_) = fitting
    seen = f"storage class {one.metadata.name} ({one.provisioner})"
    once = at.given.storage.access == "ReadWriteOnce"
    if one.provisioner == LOCAL_PATH and not once:
        return Check("storage", "failed", f"{seen}: it makes no claim for many nodes", f"on a {_ONE}")
    if one.provisioner.startswith(ONE_NODE) and not once:
        advice = "gateways and replicas mount it at once: take a class of NFS, CephFS, Filestore, Azure Files"
        return Check("storage", "warning", f"{seen}: disks that one node mounts at a time", advice)
    if once and (nodes := len(CoreV1Api(at.client).list_node(_request_timeout=PATIENCE).items)) > 1:
        advice = "write easel:team.kubernetes.storage.access: ReadWriteMany, and a class that can"
        return Check("storage", "failed", f"{seen}: ReadWriteOnce, and there are {nodes} nodes", advice)
    return Check("storage", "ok", seen)


def _fits(node: Any, at: StackCluster, shape: str) -> bool:
    labels = node.metadata.labels or {}
    selected = kubernetes_placement.node_selector(at.given, shape).items() <= labels.items()
    tolerated = kubernetes_placement.tolerations(at.given, shape)
    taints = [taint for taint in node.spec.taints or () if taint.effect != "PreferNoSchedule"]
    return selected and all(any(_tolerates(one, taint) for one in tolerated) for taint in taints)


def _tolerates(toleration: Mapping[str, Any], taint: Any) -> bool:
    """As the scheduler compares them: what is left out of a toleration is every key, every effect."""
    if toleration.get("key") not in (None, taint.key) or toleration.get("effect") not in (None, taint.effect):
        return False
    return toleration.get("operator") != "Equal" or toleration.get("value") == (taint.value or "")


def _gpu_check(shape: str, resource: str, most: int, have: int, nodes: int) -> Check:
    seen = f"{shape}: {have} of {resource} on {nodes} nodes, {most} wanted at most"
    if have >= most:
        return Check("gpus", "ok", seen)
    if have == 0:
        return Check(
            "gpus",
            "warning",
            seen,
            "where no autoscaler brings nodes: look at the device plugin, easel:team.kubernetes.gpu, "
            "node_selector and tolerations",
        )
    advice = "where no autoscaler brings nodes, those over it wait: lower replicas.max"
    return Check("gpus", "warning", seen, advice)
