"""What the objects of a team's namespace stand on: a cluster, told in the few facts that differ between them.

`runs_on: kubernetes` makes a `Target` of what the stack file says, `runs_on: cluster` of what it provisions;
everything else in this package is the same for both. Values that are known only once something is made may be
outputs of Pulumi.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi

KEDA = "keda"
"""The namespace that KEDA's chart goes to by default."""


EdgeKind = Literal["alb", "ingress", "gateway-api", "address"]
"""An Ingress of AWS's controller, one of any other, an HTTPRoute, or a Service of type LoadBalancer."""


@dataclass(frozen=True)
class Placement:
    """Where the replicas of an endpoint go, and what one asks of its node."""

    node_selector: Mapping[str, str]
    tolerations: Sequence[Mapping[str, Any]]
    """As a pod's: `{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}`."""
    gpu: str | None
    """The resource that is one GPU, `nvidia.com/gpu`; None for a shape without."""
    cpu: str
    memory: str
    """Requests that fit the smallest node of the shape beside what every node runs."""
    runtime_class: str | None = None
    """The RuntimeClass that gives containers the GPU, where the default one does not."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the pod: what the cluster's provisioner of nodes reads there."""


@dataclass(frozen=True)
class Volume:
    """What a claim is bound to. One of: `claim`; `csi_driver` with `handle`; else a class provisions it."""

    claim: str | None = None
    """A claim that is there already; nothing is made."""
    storage_class: str | None = None
    """None: the cluster's default class."""
    size: str = "100Gi"
    access: str = "ReadWriteMany"
    """`ReadWriteOnce` where there is one node, whose disk is every pod's: some provisioners make no other."""
    csi_driver: str | None = None
    """With `handle`: a static volume, `efs.csi.aws.com`. Its files outlive the objects."""
    handle: pulumi.Input[str] | None = None
    """`fs-…::fsap-…`."""
    mount_options: Sequence[str] = ()
    """Of a static volume, such as `iam`."""

    @property
    def static(self) -> bool:
        """Whether the files are somewhere that no object's end touches."""
        return self.csi_driver is not None


@dataclass(frozen=True)
class Edge:
    """How people come to Service `gateway`. TLS ends there, before the pods."""

    kind: EdgeKind
    class_name: str | None = None
    """Of an Ingress."""
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Of the Ingress, the HTTPRoute, or with an address of the Service."""
    service_annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Of Service `gateway`, in front of which an Ingress stands."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Of the team's namespace, where the balancer's controller looks what it is to do with pods."""
    health_checks: Sequence[pulumi.Input[str]] = ()
    """Networks (CIDR) that a balancer asks `/healthz` of 7861 from; kubelets need none."""
    trusted: Sequence[pulumi.Input[str]] = ()
    """Networks (CIDR) of the proxies whose `X-Forwarded-For` counts."""
    tls_secret: str | None = None
    """The Secret with an Ingress's certificate."""
    parent: str | None = None
    """Of an HTTPRoute: `<namespace>/<gateway>`, or `<namespace>/<gateway>/<listener>`."""
    timeouts: bool = True
    """Of an HTTPRoute: whether it says that requests have no limit."""
    address: str | None = None
    """Of a Service of type LoadBalancer: the address that it asks for."""


@dataclass(frozen=True)
class SecretKey:
    """One entry of a Secret in the team's namespace that somebody else keeps."""

    name: str
    key: str


SecretValue = SecretKey | pulumi.Output[str] | str
"""A secret variable: an entry that is there, or its value, which goes into Secret `env-<endpoint>`."""


@dataclass(frozen=True)
class Target:
    """What a team's objects stand on."""

    namespace: str
    studio_image: pulumi.Input[str]
    gateway_image: pulumi.Input[str]
    placement: Callable[[str], Placement]
    """By the endpoint's name."""
    models: Volume
    outputs: Callable[[str], Volume]
    """By the endpoint's name."""
    secrets: Callable[[str], Mapping[str, SecretValue]]
    """By the endpoint's name: variable → where its value is."""
    edge: Edge
    client_secret: SecretValue | None = None
    """What single sign-on shows the identity provider (`members.client_secret`)."""
    pull_secrets: Sequence[str] = ()
    """Secrets of the namespace that images are pulled by."""
    keda_namespace: str = KEDA
    """Where KEDA's operator runs, which asks the gateway how many."""
    apart: bool = False
    """Whether a gateway rather waits for a node in another zone than share one: where nodes can be had."""
    surge: int = 0
    """Replicas beyond `max` while a new version comes: 1 where a node can be had for it, 0 where GPUs are
    counted."""
    region: str | None = None
    """Of AWS, where there is one: for models by s3://."""
    machines: Mapping[str, float] = field(default_factory=dict)
    """Where nodes are bought: dollars an hour of each type of machine that may be. The gateways count by it
    what is spent (`budget.stop`)."""
    rights_at: str | None = None
    """A link-local network (CIDR) where the gateway gets its rights in the cloud, by HTTP."""
    provider: pulumi.ProviderResource | None = None
    adopting: pulumi.ProviderResource | None = None
    """The same, but what is there already it takes (`upsert_existing_objects`): for what outlives a stack."""
    depends_on: Sequence[pulumi.Resource] = ()
    """What must be there before the first object: KEDA, nodes, the driver of volumes."""


Links = Mapping[str, pulumi.Input[str]]
"""SHA-256 of the first token of each endpoint, and of the console's under `console`."""
