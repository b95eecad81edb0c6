"""What a stack file says of a Kubernetes that is there already (`runs_on: kubernetes`)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from infra.kubernetes_names import (
    AnnotationKey,
    IpAddress,
    KubernetesName,
    LabelKey,
    LabelValue,
    Network,
    ParentGateway,
    Processors,
    ResourceName,
    Subdomain,
)
from infra.quantities import Weighs
from infra.section import Section
from infra.shapes import SHAPES

ClaimSize = Annotated[int, Weighs("1GB", "1000TB")]
Memory = Annotated[int, Weighs("100MB", "16TB")]
GPU = "nvidia.com/gpu"


def _shape(value: str) -> str:
    if value not in SHAPES:
        raise ValueError(f"is not a shape: take one of {', '.join(SHAPES)}")
    return value


class TolerationSpec(Section):
    """A taint of nodes that pods may run beside."""

    key: LabelKey | None = Field(default=None, description="The taint's key; without it every key.")
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="Whether the key is enough, or the value must be equal."
    )
    value: LabelValue | None = Field(default=None, description="With Equal: the taint's value.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect; without it every effect."
    )


class ShapePlacementSpec(Section):
    """Where the replicas of one shape run; what is left out is as for all."""

    gpu: ResourceName | None = Field(
        default=None, description="The resource that is one GPU of this shape, as nvidia.com/mig-3g.20gb."
    )
    runtime_class: Subdomain | None = Field(
        default=None, description="The RuntimeClass of this shape's replicas."
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=20, description="Labels that nodes must have, beside those for all."
    )
    tolerations: list[TolerationSpec] = Field(
        default=[], max_length=20, description="Taints that pods tolerate, beside those for all."
    )
    cpu: Processors | None = Field(
        default=None, description="Processors that a replica asks for, such as 3 or 2500m."
    )
    memory: Memory | None = Field(
        default=None, description="Main memory that a replica asks for, such as 12GiB."
    )


class EdgeSpec(Section):
    """How people come to the gateway. One of ingress, gateway and address; TLS ends there."""

    ingress: Subdomain | None = Field(default=None, description="An Ingress of this class.")
    gateway: ParentGateway | None = Field(
        default=None,
        description="An HTTPRoute of the Gateway API at this Gateway: namespace/name, or "
        "namespace/name/listener.",
    )
    address: IpAddress | None = Field(
        default=None,
        description="A load balancer's address, plain HTTP (Service): for a proxy of your own with TLS.",
    )
    tls: KubernetesName | None = Field(
        default=None,
        description="With ingress: the Secret with the certificate of console.<domain> and each endpoint's.",
    )
    annotations: dict[AnnotationKey, str] = Field(
        default={},
        max_length=50,
        description="Annotations of the Ingress, the HTTPRoute, or with address the Service.",
    )
    service_annotations: dict[AnnotationKey, str] = Field(
        default={}, max_length=50, description="Annotations of the Service that an Ingress leads to."
    )
    timeouts: bool = Field(
        default=True,
        description="With gateway: HTTPRoutes say that requests have no limit; false for a controller that "
        "refuses it, as GKE's.",
    )
    trusted: list[Network] = Field(
        default=[],
        max_length=50,
        description="Networks that the edge's own requests come from, such as 10.42.0.0/16: their word on a "
        "caller's address counts.",
    )
    health_checks: list[Network] = Field(
        default=[],
        max_length=20,
        description="Networks that a balancer outside the cluster asks `/healthz` of port 7861 from.",
    )


class VolumesSpec(Section):
    """What models and pictures are kept on: claims that all nodes of the cluster mount at once."""

    storage_class: Subdomain | None = Field(
        default=None, description="The class that claims are made of; without it the cluster's default."
    )
    access: Literal["ReadWriteMany", "ReadWriteOnce"] = Field(
        default="ReadWriteMany",
        description="How claims are mounted; ReadWriteOnce is for a cluster of one node, such as k3s's own.",
    )
    models_size: ClaimSize = Field(default=500 * 10**9, description="Size of the claim of the models.")
    outputs_size: ClaimSize = Field(
        default=100 * 10**9, description="Size of each endpoint's claim of pictures."
    )
    models: Subdomain | None = Field(
        default=None, description="A claim of the namespace that is there already, for the models."
    )
    outputs: dict[str, Subdomain] = Field(
        default={}, description="Claims that are there already, for pictures, by endpoint."
    )


class KubernetesSpec(Section):
    """A Kubernetes that is there already, with runs_on: kubernetes."""

    context: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="The context of the kubeconfig: which cluster, as whom.",
    )
    kubeconfig: str | None = Field(
        default=None,
        pattern=r"^(/|~/)\S+$",
        max_length=500,
        description="The file with the context; without it KUBECONFIG says, else ~/.kube/config.",
    )
    namespace: KubernetesName | None = Field(
        default=None, description="The team's namespace; without it easel-<team>."
    )
    edge: EdgeSpec = Field(default=EdgeSpec(), description="How people come to the gateway.")
    storage: VolumesSpec = Field(default=VolumesSpec(), description="What models and pictures are kept on.")
    gpu: ResourceName = Field(
        default=GPU, description="The resource that is one GPU: nvidia.com/gpu, amd.com/gpu."
    )
    runtime_class: Subdomain | None = Field(
        default=None,
        description="The RuntimeClass of replicas with a GPU, such as nvidia where that is not the default.",
    )
    node_selector: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=20, description="Labels that nodes of replicas must have."
    )
    tolerations: list[TolerationSpec] = Field(
        default=[],
        max_length=20,
        description="Taints that replicas tolerate; that of the GPU's own vendor they always do.",
    )
    shapes: dict[Annotated[str, AfterValidator(_shape)], ShapePlacementSpec] = Field(
        default={}, description="What differs by shape."
    )
    pull_secrets: list[Subdomain] = Field(
        default=[], max_length=10, description="Secrets of the namespace that images are pulled by."
    )
    keda: Literal["install", "there"] = Field(
        default="there", description="Whether `pulumi up` installs KEDA by its chart, or it is there already."
    )
    keda_namespace: KubernetesName = Field(default="keda", description="Where KEDA runs.")
