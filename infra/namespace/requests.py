"""What a replica asks of its node, so that the smallest machine of its shape holds it."""

from infra.shapes import SHAPES

# What every node runs beside (kubelet, network, volumes, the GPU's plugin): a processor, and of memory a
# twentieth and 3.3 GiB. Asked for whole, a machine of the right size is never right.
PROCESSORS = 1
SHARE = 0.95
MEMORY = 3.3


def cpu(shape: str) -> str:
    """Processors, as a quantity of Kubernetes: `3`."""
    # A machine that carries several GPUs is shared by as many replicas.
    least = min(kind.vcpu / SHAPES[shape].only_by for kind in SHAPES[shape].instance_types)
    return f"{int(max(least - PROCESSORS, least / 2) * 1000)}m"


def memory(shape: str) -> str:
    """Main memory, as a quantity of Kubernetes: `12185Mi`."""
    return f"{mebibytes(shape)}Mi"


def mebibytes(shape: str) -> int:
    """Main memory, in MiB."""
    least = min(kind.memory / SHAPES[shape].only_by for kind in SHAPES[shape].instance_types)
    return int((SHARE * least - MEMORY) * 1024)
