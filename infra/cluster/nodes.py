"""Nodes: a NodeClass and a NodePool of EKS Auto Mode for each kind of machine that a team uses.

Pure functions from a spec to the manifests. Fields are those of "Create a Node Class for Amazon EKS" and
"Create a Node Pool for EKS Auto Mode".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.shapes import SHAPES, Shape
from infra.spec import EndpointSpec, Spec
from infra.tags import TEAM as TEAM_TAG

if TYPE_CHECKING:
    from infra.offers import Sold

Manifest = dict[str, Any]

TEAM, POOL = "easel/team", "easel/pool"
"""Labels of nodes; the first is a taint too, so that a platform's teams do not meet on one machine."""
GPU = "nvidia.com/gpu"

LIFE = "336h"
"""Two weeks, after which a node makes way for one with the newest image: Auto Mode's own default."""
LAST_WORK = "24h"
"""What a node's pods have to end by themselves; together with `LIFE` Auto Mode allows 21 days."""
EMPTY_FOR = "60s"
"""How long a node without pods stays: the endpoint's `idle` has been waited for before."""
EMPTY_AT_ONCE = "100%"
"""Of a pool's empty nodes, how many may go at once. Unsaid it is a tenth of the pool, for whatever reason: of
eight nodes that nobody needs any more seven would be paid for until the one before is gone."""
NEVER, ONE_BY_ONE = "0", "10%"
"""How many may go for a newer machine image or another NodeClass (drift). Where there is `LAST_WORK` drift
heeds no `do-not-disrupt` (Karpenter 1.13, `EventualDisruptionClass`), and each new image, weekly, would take
its node from who draws."""
THROUGHPUT, SYSTEM_THROUGHPUT, IOPS = 500, 125, 3000
"""MiB/s and operations of the disk that images are unpacked to; Auto Mode's default is 125 and 3000. Where
the instance has an NVMe disk that is larger than what is asked for, that is taken instead, and this is not
used ("Learn about Amazon EKS Auto Mode Managed instances", Considerations)."""
IMAGE, FULL = 20, 0.85
"""GiB of an image, unpacked; and the share of a disk that may be used: the kubelet evicts pods where less
than 15 % is left."""
CAPACITY = {"on-demand": ["on-demand"], "spot": ["spot"], "spot-first": ["spot", "on-demand"]}
"""Karpenter prefers spot where both are allowed, and takes on-demand where spot is refused."""

SYSTEM = "system"
"""The pool of gateways, KEDA and the drivers' controllers."""
SYSTEM_DISK = 30
"""GiB: the images of gateways and KEDA."""
FRONT_ZONES = 3
"""Zones, the first ones, that the balancer and those who answer it are in: each costs an address, and what is
in another zone than the balancer would get nothing."""
SYSTEM_MOST = 32
"""Processors: two gateways for each of a platform's teams."""


@dataclass(frozen=True)
class Pool:
    """Machines of one shape, bought in one way, for one team."""

    team: str
    shape: Shape
    capacity: str
    most: int
    """Replicas at most, of all its endpoints together."""
    disk: int
    """GiB."""
    endpoint: str
    """One of those that run here, to name where something is wrong."""

    @property
    def name(self) -> str:
        """`gpu-l4-spot`, as the label `POOL` says it."""
        bought = "" if self.capacity == "on-demand" else f"-{self.capacity}"
        return f"{self.shape.name.replace('.', '-')}{bought}"

    @property
    def object_name(self) -> str:
        """The name of its NodePool and NodeClass, which are nobody's namespace's."""
        return f"easel-{self.team}-{self.name}"


def pools(spec: Spec) -> dict[tuple[str, str], Pool]:
    """Every pool of a team, by shape and capacity."""
    alike: dict[tuple[str, str], dict[str, EndpointSpec]] = {}
    for name, endpoint in spec.endpoints.items():
        alike.setdefault((endpoint.shape, endpoint.capacity), {})[name] = endpoint
    return {
        (shape, capacity): Pool(
            spec.name,
            SHAPES[shape],
            capacity,
            sum(one.replicas.max for one in found.values()),
            disk_of(SHAPES[shape], max(one.storage.disk for one in found.values())),
            next(iter(found)),
        )
        for (shape, capacity), found in alike.items()
    }


def disk_of(shape: Shape, each: int) -> int:
    """GiB of a machine's disk, where each replica on it is given so many bytes."""
    return math.ceil((shape.only_by * each / 2**30 + IMAGE) / FULL)


def tolerations(pool: Pool) -> list[dict[str, str]]:
    """What pods of the pool's endpoints tolerate: exactly its taints."""
    return [
        {"key": one["key"], "operator": "Equal", "value": one["value"], "effect": one["effect"]}
        for one in _taints(pool)
    ]


def node_selector(pool: Pool) -> dict[str, str]:
    """Where pods of the pool's endpoints go."""
    return {TEAM: pool.team, POOL: pool.name}


@dataclass(frozen=True)
class Ground:
    """What nodes are made on."""

    role: str
    """The name of their role."""
    security_group: str
    subnets: Mapping[str, str]
    """By zone."""


def node_class(pool: Pool, zones: Sequence[str], ground: Ground) -> Manifest:
    """How the pool's machines are made."""
    return _class(pool.object_name, pool.team, (pool.disk, THROUGHPUT), zones, ground)


def node_pool(pool: Pool, sold: "Sold") -> Manifest:
    """Which machines the pool may start, where and how many. `sold` is what the region has of the shape."""
    shape = pool.shape
    # A machine is bought whole: three replicas of a GPU that comes by eight are eight GPUs.
    machines = shape.machines(pool.most)
    limits = {GPU: str(machines * shape.only_by)} if shape.gpu else {"cpu": str(machines * shape.most_vcpu)}
    labels = node_selector(pool)
    return _pool(pool.object_name, labels, _taints(pool), CAPACITY[pool.capacity], sold, limits, NEVER)


def system_class(team: str, zones: Sequence[str], ground: Ground) -> Manifest:
    """How the machines of `SYSTEM` are made."""
    return _class(system_name(team), team, (SYSTEM_DISK, SYSTEM_THROUGHPUT), zones, ground)


def system_pool(team: str, sold: "Sold") -> Manifest:
    """The untainted pool: what says nothing else runs here."""
    limits = {"cpu": str(SYSTEM_MOST)}
    return _pool(system_name(team), {POOL: SYSTEM}, [], ["on-demand"], sold, limits, ONE_BY_ONE)


def front(subnets: Mapping[str, str]) -> list[str]:
    """The zones of `FRONT_ZONES`."""
    return sorted(subnets)[:FRONT_ZONES]


def system_name(team: str) -> str:
    """The name of the pool of `SYSTEM`, by the team that has the cluster."""
    return f"easel-{team}-{SYSTEM}"


def _taints(pool: Pool) -> list[dict[str, str]]:
    gpu = [{"key": GPU, "value": "true", "effect": "NoSchedule"}] if pool.shape.gpu else []
    return [*gpu, {"key": TEAM, "value": pool.team, "effect": "NoSchedule"}]


def _class(name: str, team: str, disk: tuple[int, int], zones: Sequence[str], ground: Ground) -> Manifest:
    return {
        "apiVersion": "eks.amazonaws.com/v1",
        "kind": "NodeClass",
        "metadata": {"name": name},
        "spec": {
            "role": ground.role,
            "subnetSelectorTerms": [{"id": ground.subnets[zone]} for zone in zones],
            "securityGroupSelectorTerms": [{"id": ground.security_group}],
            # Policies are enforced where one selects a pod; "deny all" is the namespace's own.
            "networkPolicy": "DefaultAllow",
            "ephemeralStorage": {"size": f"{disk[0]}Gi", "iops": IOPS, "throughput": disk[1]},
            # Of instances, their disks and addresses: by it the bill and the team's budget count them.
            "tags": {TEAM_TAG: team},
        },
    }


def _pool(
    name: str,
    labels: Mapping[str, str],
    taints: Sequence[Mapping[str, str]],
    capacity: Sequence[str],
    sold: "Sold",
    limits: Mapping[str, str],
    drifts: str,
) -> Manifest:
    requirements = {
        "node.kubernetes.io/instance-type": [kind.name for kind in sold.types],
        "topology.kubernetes.io/zone": list(sold.zones),
        "karpenter.sh/capacity-type": list(capacity),
        "kubernetes.io/arch": ["amd64"],
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": name},
                    "requirements": [
                        {"key": key, "operator": "In", "values": values}
                        for key, values in requirements.items()
                    ],
                    "expireAfter": LIFE,
                    "terminationGracePeriod": LAST_WORK,
                    **({"taints": [dict(one) for one in taints]} if taints else {}),
                },
            },
            # Whoever draws is not moved to save a machine.
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": EMPTY_FOR,
                "budgets": [
                    {"nodes": EMPTY_AT_ONCE, "reasons": ["Empty"]},
                    {"nodes": drifts, "reasons": ["Drifted", "Underutilized"]},
                ],
            },
            "limits": dict(limits),
        },
    }
