"""What a pod may ask for so that it fits every instance type of a shape, beside what each node runs."""

from collections.abc import Iterable
from dataclasses import dataclass

from infra.shapes import InstanceType

GIB = 1024
"""MiB."""

OVERHEAD = 0.075
"""Share of an instance's memory that Karpenter holds for lost before it has seen one (its setting
`vmMemoryOverheadPercent`): the hypervisor and the kernel have it."""
MOST_PODS = 110
"""Of a node ("Create a Node Class for Amazon EKS", Considerations)."""
RESERVED = 255 + 11 * MOST_PODS + 100
"""MiB: what EKS keeps of a node for the kubelet by its number of pods, and the threshold of eviction."""
DAEMONS = 64 + 2 * 32
"""MiB: the driver of volumes with its two helpers, as `infra.cluster.volumes` has them ask."""

RULE_SHARE, RULE_REST, RULE_CPU = 0.95, 3.3 * GIB, 1000
"""A rule found by trial: 0.95 of the memory less 3.3 GiB, one processor less. Up to 64 GiB it asks for less
than Karpenter's arithmetic; above, for more, and a pod by this rule alone would wait for ever."""


@dataclass(frozen=True)
class Room:
    """What one pod may ask for."""

    millicpu: int
    mebibytes: int

    @property
    def cpu(self) -> str:
        """`3000m`."""
        return f"{self.millicpu}m"

    @property
    def memory(self) -> str:
        """`12185Mi`."""
        return f"{self.mebibytes}Mi"


def room(types: Iterable[InstanceType], sharers: int = 1) -> Room:
    """What each of `sharers` pods on one instance may ask for, whichever of the types it is."""
    all_types = tuple(types)
    cpu = min(kind.vcpu for kind in all_types) * 1000 - RULE_CPU
    return Room(cpu // sharers, min(_memory(kind) for kind in all_types) // sharers)


def allocatable(kind: InstanceType) -> int:
    """MiB that Karpenter takes a node of this type to have for pods, the daemons of ours taken off."""
    return int(kind.memory * GIB * (1 - OVERHEAD)) - RESERVED - DAEMONS


def _memory(kind: InstanceType) -> int:
    return min(int(kind.memory * GIB * RULE_SHARE - RULE_REST), allocatable(kind))
