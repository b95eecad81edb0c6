"""Where the replicas of a shape run in a Kubernetes that is there already, as its stack file says."""

from typing import Any

from infra.kubernetes_spec import KubernetesSpec, ShapePlacementSpec
from infra.shapes import SHAPES


def own(given: KubernetesSpec, shape: str) -> ShapePlacementSpec:
    """What the file says of this shape alone."""
    return given.shapes.get(shape, ShapePlacementSpec())


def gpu(given: KubernetesSpec, shape: str) -> str | None:
    """The resource that is one GPU of a shape; None for one without."""
    return (own(given, shape).gpu or given.gpu) if SHAPES[shape].gpu else None


def runtime_class(given: KubernetesSpec, shape: str) -> str | None:
    """The RuntimeClass that gives a shape's containers their GPU; None where the default one does."""
    return (own(given, shape).runtime_class or given.runtime_class) if SHAPES[shape].gpu else None


def node_selector(given: KubernetesSpec, shape: str) -> dict[str, str]:
    """Labels that nodes of a shape have."""
    return {**given.node_selector, **own(given, shape).node_selector}


def tolerations(given: KubernetesSpec, shape: str) -> list[dict[str, Any]]:
    """What the file says, and the taint that keeps nodes with GPUs for those who ask for one.

    It has the vendor's usual name, also where the GPU is a slice (nvidia.com/mig-…).
    """
    said = [*given.tolerations, *own(given, shape).tolerations]
    found = [one.model_dump(exclude_none=True) for one in said]
    if resource := gpu(given, shape):
        vendor = resource.partition("/")[0]
        found.append({"key": f"{vendor}/gpu", "operator": "Exists", "effect": "NoSchedule"})
    return found
