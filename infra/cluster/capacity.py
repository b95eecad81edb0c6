"""What a node of EKS Auto Mode has for pods, as Karpenter reckons before it has started one."""

from infra.namespace.requests import mebibytes
from infra.shapes import InstanceType, Shape

OVERHEAD = 0.075
"""Share of an instance's memory that Karpenter holds for lost before it has seen one (its setting
`vmMemoryOverheadPercent`): the hypervisor and the kernel have it."""
MOST_PODS = 110
"""Of a node ("Create a Node Class for Amazon EKS", Considerations)."""
RESERVED = 255 + 11 * MOST_PODS + 100
"""MiB: what EKS keeps of a node for the kubelet by its number of pods, and the threshold of eviction."""
DAEMONS = 64
"""MiB: the driver of volumes, as `infra.cluster.volumes` has it ask. Auto Mode's own are no pods."""


def allocatable(kind: InstanceType) -> int:
    """MiB that Karpenter takes a node of this type to have for pods, our daemons taken off."""
    return int(kind.memory * 1024 * (1 - OVERHEAD)) - RESERVED - DAEMONS


def memory(shape: Shape) -> str:
    """What a replica asks for, whichever of the types it is and however many share it: `12185Mi`.

    The rule of `infra.namespace.requests` leaves 0.05 of the memory and 3.3 GiB. Above 100 GiB that is less
    than Karpenter's overhead, and a pod by it would wait for ever.
    """
    least = min(allocatable(kind) for kind in shape.instance_types) // shape.only_by
    return f"{min(mebibytes(shape.name), least)}Mi"
