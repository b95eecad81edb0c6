"""What a replica asks of its node."""

import pytest

from infra.namespace.requests import cpu, memory
from infra.shapes import SHAPES


@pytest.mark.parametrize("shape", SHAPES)
def test_the_smallest_machine_of_a_shape_holds_a_replica_beside_what_every_node_runs(shape: str) -> None:
    """Asked for whole, a machine of the right size is never right; too little, and two share its memory."""
    types, sharing = SHAPES[shape].instance_types, SHAPES[shape].only_by
    processors = min(kind.vcpu for kind in types) / sharing
    gib = min(kind.memory for kind in types) / sharing
    asked, held = int(cpu(shape).removesuffix("m")) / 1000, int(memory(shape).removesuffix("Mi")) / 1024
    assert processors / 2 <= asked <= processors - 1
    # As others found on such machines: a twentieth and 3.3 GiB are not for pods.
    assert gib / 2 <= held <= 0.95 * gib - 3.2
