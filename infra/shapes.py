"""Shapes: what a replica runs on, by the names the old hosted products used.

Prices are AWS's on-demand Linux prices in us-east-1, from `PRICED` and before; they label an estimate and
are looked up again before anything is bought.
"""

import math
from dataclasses import dataclass

PRICED = "2026-08-17"
"""The day the prices below were taken from AWS's price list."""

# GPU memory that drawing at native size takes in 16 bit with all resident that a step needs, in GiB. Text
# encoders of a transformer may come from main memory for each picture: its numbers are the last column of
# docs/reference/flows.md and 1 GiB for driver and CUDA (tests/studio/engine/test_flow_memory.py).
FAMILIES = {
    "SD 1.5": 4.0,
    "SD 2.1": 5.0,
    "SDXL": 9.0,
    "SD 3 Medium": 6.2,
    "SD 3.5 Medium": 6.7,
    "SD 3.5 Large": 18.2,
    "FLUX.1": 26.3,
    "Chroma": 20.4,
    "Z-Image": 15.2,
    "FLUX.2 klein 4B": 11.0,
    "FLUX.2 klein 9B": 21.8,
    "FLUX.2 dev": 68.3,
    "Qwen-Image": 43.4,
}


@dataclass(frozen=True)
class InstanceType:
    """An EC2 instance type that carries a shape."""

    name: str
    vcpu: int
    memory: int
    """Main memory in GiB."""
    price: float
    """Dollars per hour, on demand."""


@dataclass(frozen=True)
class Shape:
    """One GPU (or none) with what surrounds it. A replica is one of these."""

    name: str
    gpu: str | None
    memory: float
    """Memory that pictures are drawn in, GiB: the GPU's, or main memory where there is none."""
    instance_types: tuple[InstanceType, ...]
    """Types equal enough to replace each other: the preferred one, then the others by their vCPUs, as those
    are what an account's quota counts."""
    was: str
    """What the two old products called it."""
    only_by: int = 1
    """The fewest of these GPUs that AWS sells in one instance."""

    @property
    def holds(self) -> tuple[str, ...]:
        """The model families that fit."""
        return tuple(family for family, needs in FAMILIES.items() if needs <= self.memory)

    @property
    def price(self) -> float:
        """Dollars per hour of the preferred instance type."""
        return self.instance_types[0].price

    @property
    def vcpu(self) -> int:
        """vCPUs of the preferred instance type: what AWS's quota counts."""
        return self.instance_types[0].vcpu

    @property
    def least_vcpu(self) -> int:
        """vCPUs of the smallest type: with a quota below it none can start."""
        return min(kind.vcpu for kind in self.instance_types)

    @property
    def most_vcpu(self) -> int:
        """vCPUs of the largest type, if that one stands in."""
        return max(kind.vcpu for kind in self.instance_types)

    def machines(self, replicas: int) -> int:
        """How many instances so many replicas take, which share one where its GPUs are sold together."""
        return math.ceil(replicas / self.only_by)

    @property
    def tooltip(self) -> str:
        """The shape in one line."""
        gpu = f"{self.gpu}, {self.memory:g} GiB" if self.gpu else f"no GPU, {self.memory:g} GiB"
        return f"{gpu}: {', '.join(self.holds)}; ${self.price:.2f} an hour"


GATEWAY = InstanceType("t3.small", 2, 2, 0.0208)
"""What the gateway runs on: it carries bytes and asks AWS; 2 GiB hold Caddy, the gateway and the system."""

GATEWAY_BASELINE = 0.2
"""The share of its processors that is in its price; more is billed if the average over 24 hours is above it
(EC2 user guide, "Unlimited mode concepts for burstable instances")."""

SYSTEM = (
    InstanceType("t3.medium", 2, 4, 0.0416),
    InstanceType("m6i.large", 2, 8, 0.096),
    InstanceType("m7i.large", 2, 8, 0.1008),
)
"""What a cluster's gateways and KEDA run on, the cheapest first: EKS Auto Mode starts none below medium."""

_TYPES = {
    kind.name: kind
    for kind in (
        InstanceType("m7i.large", 2, 8, 0.1008),
        InstanceType("m6i.large", 2, 8, 0.096),
        InstanceType("g4dn.xlarge", 4, 16, 0.526),
        InstanceType("g4dn.2xlarge", 8, 32, 0.752),
        InstanceType("g6.2xlarge", 8, 32, 0.9776),
        InstanceType("g6.xlarge", 4, 16, 0.8048),
        InstanceType("g6.4xlarge", 16, 64, 1.3232),
        InstanceType("g5.2xlarge", 8, 32, 1.212),
        InstanceType("g5.xlarge", 4, 16, 1.006),
        InstanceType("g5.4xlarge", 16, 64, 1.624),
        InstanceType("g6e.2xlarge", 8, 64, 2.24208),
        InstanceType("g6e.xlarge", 4, 32, 1.861),
        InstanceType("g6e.4xlarge", 16, 128, 3.00424),
        InstanceType("p4d.24xlarge", 96, 1152, 21.957642),
        InstanceType("p5.4xlarge", 16, 256, 6.88),
    )
}


def _shape(
    name: str, gpu: str | None, memory: float, *instance_types: str, was: str, only_by: int = 1
) -> Shape:
    return Shape(name, gpu, memory, tuple(_TYPES[each] for each in instance_types), was, only_by)


# 4 vCPU and 16 GiB are tight for loading SDXL without mmap (the whole file passes through memory), so l4, a10
# and l40s prefer the type with 8 vCPU; the smaller one stands in when the others are sold out.
_ALL = (
    _shape("cpu.small", None, 8.0, "m7i.large", "m6i.large", was="Lepton cpu.small"),
    _shape("gpu.t4", "NVIDIA T4", 15.0, "g4dn.xlarge", "g4dn.2xlarge", was="Lepton gpu.t4, OctoAI small"),
    _shape(
        "gpu.l4", "NVIDIA L4", 22.5, "g6.2xlarge", "g6.xlarge", "g6.4xlarge",
        was="no counterpart; between Lepton gpu.t4 and gpu.a10",
    ),
    _shape(
        "gpu.a10", "NVIDIA A10G", 22.4, "g5.2xlarge", "g5.xlarge", "g5.4xlarge",
        was="Lepton gpu.a10, OctoAI medium",
    ),
    _shape(
        "gpu.l40s", "NVIDIA L40S", 45.0, "g6e.2xlarge", "g6e.xlarge", "g6e.4xlarge",
        was="no counterpart; takes the place of OctoAI large",
    ),
    _shape(
        "gpu.a100-40gb", "NVIDIA A100", 40.0, "p4d.24xlarge",
        was="Lepton gpu.a100-40gb, OctoAI large", only_by=8,
    ),
    _shape("gpu.h100", "NVIDIA H100", 80.0, "p5.4xlarge", was="Lepton gpu.h100-sxm"),
)  # fmt: skip

SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ALL}
"""Every shape by name."""
