"""What a team on a cluster costs: as `infra.cost` for instances, and with the same names.

Prices are AWS's in us-east-1, from its pages for EKS, Elastic Load Balancing and KMS, of 2026-08 or before.
"""

from infra.cluster.nodes import FRONT_ZONES, SYSTEM_DISK, THROUGHPUT, disk_of
from infra.cluster.rules import OWN
from infra.cost import (
    HOURS,
    RATES,
    Hourly,
    VcpuQuota,
    Vcpus,
    beside_told,
    lines,
    quotas_of,
    secrets_of,
)
from infra.shapes import SHAPES, SYSTEM, InstanceType, Shape
from infra.spec import EndpointSpec, Spec

CONTROL_PLANE = 0.10
"""An hour of a cluster whose version is in standard support."""
FEE = 0.12
"""EKS Auto Mode's fee for each of its instances, a share of the price on demand, for spot too. AWS lists it
by type; 12 % is what those looked at have, and none of it was read off a bill."""
BALANCER = 0.0225
"""An hour of an Application Load Balancer, without what passes it."""
BALANCER_UNIT = 0.008
"""A capacity unit (LCU) of it, an hour: 1 GB that passes, or 3,000 connections a minute that stand."""
GATEWAYS = 2
"""Nodes that stand all the time: one for each gateway."""


def first_type(shape: Shape) -> InstanceType:
    """The type that Karpenter takes first: of those that a replica fits, the cheapest."""
    return min(shape.instance_types, key=lambda one: one.price)


def machines(spec: Spec) -> dict[str, float]:
    """Dollars an hour of each type of machine that the team's replicas may be on, as if none were spot."""
    return {
        kind.name: round(kind.price * (1 + FEE), 4)
        for endpoint in spec.endpoints.values()
        for kind in SHAPES[endpoint.shape].instance_types
    }


def hourly(endpoint: EndpointSpec) -> Hourly:
    """What an endpoint costs an hour asleep, with its fewest and with its most replicas.

    Asleep it is nothing: its nodes are gone. Where GPUs are sold together the whole machine is paid for, as
    if no other endpoint shared it.
    """
    shape = SHAPES[endpoint.shape]
    gigabytes = disk_of(shape, endpoint.storage.disk)
    disk = (gigabytes * RATES.disk + (THROUGHPUT - 125) * RATES.throughput) / HOURS
    machine = first_type(shape).price * (1 + FEE) + RATES.address + disk
    low, high = endpoint.replicas.min, endpoint.replicas.max
    return Hourly(0, shape.machines(low) * machine, shape.machines(high) * machine)


def of_the_cluster() -> list[tuple[str, float]]:
    """What stands for a cluster, whoever shares it, each with dollars an hour."""
    small = SYSTEM[0]
    node = small.price * (1 + FEE) + RATES.address + SYSTEM_DISK * RATES.disk / HOURS
    return [
        ("control plane", CONTROL_PLANE),
        (
            f"{GATEWAYS} nodes for gateways and KEDA, {SYSTEM[0].name}, with fee, address, disk",
            GATEWAYS * node,
        ),
        ("key that Kubernetes' secrets are under", RATES.key / HOURS),
    ]


def of_the_team() -> list[tuple[str, float]]:
    """What stands for each team on a cluster, each with dollars an hour."""
    return [
        ("load balancer", BALANCER),
        (f"its public addresses, {FRONT_ZONES}", FRONT_ZONES * RATES.address),
    ]


def at_rest(spec: Spec) -> list[tuple[str, float]]:
    """What stands for a team that sleeps, each with dollars an hour."""
    return [*(of_the_cluster() if spec.team.platform == OWN else []), *of_the_team()]


def floor_monthly(spec: Spec) -> float:
    """Dollars a month if nobody draws."""
    standing = sum(dollars for _, dollars in at_rest(spec))
    running = standing + sum(hourly(endpoint).min for endpoint in spec.endpoints.values())
    zone = RATES.zone if spec.team.zone == "create" else 0
    return running * HOURS + zone + len(secrets_of(spec)) * RATES.secret


def floor_told(spec: Spec) -> str:
    """The floor in a sentence."""
    what = ", ".join(what for what, _ in at_rest(spec))
    shared = "" if spec.team.platform == OWN else f" The cluster itself is paid for by {spec.team.platform}."
    return (
        f"Floor ${floor_monthly(spec):.2f} a month ({what}, replicas that always run, secrets; what passes "
        f"the load balancer ${BALANCER_UNIT:.3f} for about a GB).{shared} {beside_told()}"
    )


def table(spec: Spec) -> str:
    """The costs as `pulumi preview` shows them, a line an endpoint."""
    return f"{lines(spec, hourly, first_type)}\n{floor_told(spec)}"


def vcpus(spec: Spec) -> dict[VcpuQuota, Vcpus]:
    """How many vCPUs of each quota the team takes."""
    return quotas_of(spec, GATEWAYS * SYSTEM[0].vcpu if spec.team.platform == OWN else 0, first_type)
