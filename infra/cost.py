"""What a team costs, before it costs anything: pure functions of the spec, and the table of `pulumi preview`.

Dollars are AWS's list prices on demand in us-east-1: of instances as in `infra.shapes`, of the rest from the
`RATES` of this file. They are an estimate: transfer and tax are left out, spot is counted at its
ceiling, and another region differs by up to a third. What grows with use (files and their backups, images,
logs) is counted by the gigabyte, which nobody knows beforehand, so its price is told and not added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.shapes import GATEWAY, GATEWAY_BASELINE, PRICED, SHAPES, InstanceType, Shape
from infra.spec import EndpointSpec, Spec

HOURS = 730
"""Hours of a month, as AWS's calculator counts them."""
GATEWAY_DISKS = 20
"""GB of the gateway: its root and its retained data, as `infra.instances.gateway` makes them."""
THROUGHPUT = 500
"""MiB/s of a replica's disk, as `infra.instances.template` makes it; 125 are in the price of the disk."""
LOOKS = 60
"""Looks an hour at the configuration while all sleep, each a LIST (`easel.gateway.deployment.aws`)."""
FOLLOWS = 60
"""Looks an hour at the gateway's own image, each a HEAD and a GET: `easel-follow.timer` of its host."""
SECONDS_AWAKE = 15
"""Seconds between two looks while something is awake."""


@dataclass(frozen=True)
class Rates:
    """Dollars in us-east-1, from AWS's price pages for VPC, EBS, EFS, Backup, S3, ECR, CloudWatch, Route 53,
    Secrets Manager and KMS, of 2026-08 or before."""

    address: float = 0.005
    """A public IPv4 address, an hour."""
    disk: float = 0.08
    """A GB of gp3, a month."""
    throughput: float = 0.04
    """A MiB/s of gp3 above 125, a month."""
    files: float = 0.30
    """A GB of EFS, a month."""
    files_read: float = 0.03
    """A GB read from EFS (elastic)."""
    files_written: float = 0.06
    """A GB written to EFS (elastic)."""
    files_rare: float = 0.016
    """A GB of EFS's Infrequent Access, a month."""
    files_rare_read: float = 0.01
    """A GB read from Infrequent Access, beside what reading costs."""
    backups: float = 0.05
    """A GB of EFS's backups, a month."""
    zone: float = 0.50
    """A hosted zone, a month."""
    alarm: float = 0.10
    """An alarm of CloudWatch, a month."""
    logs: float = 0.50
    """A GB of logs taken in by CloudWatch."""
    lists: float = 0.005
    """A thousand of S3's LIST or PUT."""
    gets: float = 0.0004
    """A thousand of S3's GET or HEAD."""
    images: float = 0.10
    """A GB of images in ECR, a month."""
    secret: float = 0.40
    """A secret of Secrets Manager, a month."""
    key: float = 1.00
    """A key of one's own in KMS, a month."""
    burst: float = 0.05
    """A processor (vCPU) of a T3 above its baseline, an hour."""


RATES = Rates()


@dataclass(frozen=True)
class Hourly:
    """Dollars an hour of an endpoint."""

    asleep: float
    min: float
    max: float


def hourly(endpoint: EndpointSpec) -> Hourly:
    """What an endpoint costs an hour asleep, with its fewest and with its most replicas.

    Asleep it is the disks of its warm instances: a stopped instance costs nothing else. They are paid for
    whatever else runs, so they are in all three. An endpoint with `min` above 0 never sleeps.
    """
    disk = (endpoint.storage.disk / 1e9 * RATES.disk + (THROUGHPUT - 125) * RATES.throughput) / HOURS
    replica = SHAPES[endpoint.shape].price + RATES.address + disk
    asleep = endpoint.warm * disk
    low, high = endpoint.replicas.min, endpoint.replicas.max
    return Hourly(asleep, asleep + low * replica, asleep + high * replica)


def gateway_hourly() -> float:
    """What the gateway costs an hour at rest: instance, address, disks, its alarm, what it asks of S3."""
    return sum(dollars for _, dollars in at_rest())


def at_rest() -> list[tuple[str, float]]:
    """What stands for a team that sleeps, each with dollars an hour."""
    requests = (LOOKS * RATES.lists + FOLLOWS * 2 * RATES.gets) / 1000
    return [
        (f"gateway instance, {GATEWAY.name}", GATEWAY.price),
        ("its public address", RATES.address),
        (f"its disks, {GATEWAY_DISKS} GB", GATEWAY_DISKS * RATES.disk / HOURS),
        ("the alarm that starts it again", RATES.alarm / HOURS),
        ("looking for a new configuration in S3, once a minute", requests),
    ]


def gateway_burst() -> float:
    """What the gateway costs an hour more at most: with both processors busy for more than six hours."""
    return GATEWAY.vcpu * (1 - GATEWAY_BASELINE) * RATES.burst


def floor_monthly(spec: Spec) -> float:
    """Dollars a month if nobody draws: gateway, replicas that always run, warm disks, a zone of its own, the
    secrets that the stack names."""
    running = gateway_hourly() + sum(hourly(endpoint).min for endpoint in spec.endpoints.values())
    zone = RATES.zone if spec.team.zone == "create" else 0
    return running * HOURS + zone + len(secrets_of(spec)) * RATES.secret


def secrets_of(spec: Spec) -> set[str]:
    """Every secret of Secrets Manager that the stack names."""
    named = {at for endpoint in spec.endpoints.values() for at in endpoint.secrets.values()}
    own = [endpoint.image.registry for endpoint in spec.endpoints.values() if endpoint.image]
    members = [spec.team.members.client_secret] if spec.team.members else []
    return named | {at for at in (*own, *members) if at}


def first_type(shape: Shape) -> InstanceType:
    """The type that a group starts first."""
    return shape.instance_types[0]


def table(spec: Spec) -> str:
    """The costs as `pulumi preview` shows them, a line an endpoint."""
    return f"{lines(spec, hourly, first_type)}\n{floor_told(spec)}"


def lines(spec: Spec, costs: Callable[[EndpointSpec], Hourly], kind: Callable[[Shape], InstanceType]) -> str:
    """A line for each endpoint, by what runs it: its costs an hour, and the type that is taken first."""
    head = ("endpoint", "shape", "instance", "replicas", "$/h asleep", "at min", "at max", "vCPU at max")
    rows = [
        head,
        *(
            _row(name, endpoint, costs(endpoint), kind(SHAPES[endpoint.shape]))
            for name, endpoint in spec.endpoints.items()
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def floor_told(spec: Spec) -> str:
    """The floor in a sentence."""
    busy = f"${gateway_burst():.2f} an hour more at most, while the gateway's processors are above "
    return (
        f"Floor ${floor_monthly(spec):.2f} a month (gateway {GATEWAY.name} with its address, disks, alarm "
        "and requests, warm disks, replicas that always run, secrets; "
        f"{busy}{GATEWAY_BASELINE:.0%} on a day's average). {beside_told()}"
    )


def beside_told() -> str:
    """What is paid for by use, whatever a team runs on."""
    return (
        f"Files: ${RATES.files:.2f} a month for each GB kept and ${RATES.backups:.2f} for its backup, "
        f"${RATES.files_rare:.3f} in the place of ${RATES.files:.2f} once nobody read it for 30 days, "
        f"${RATES.files_read:.2f} for each GB read, ${RATES.files_written:.2f} for each GB written. "
        f"Images ${RATES.images:.2f} a month for each GB, logs ${RATES.logs:.2f} for each GB written. "
        f"Prices on demand in us-east-1, {PRICED} or before"
    )


def _row(name: str, endpoint: EndpointSpec, costs: Hourly, kind: InstanceType) -> tuple[str, ...]:
    low, high = endpoint.replicas.min, endpoint.replicas.max
    upto = "" if endpoint.capacity == "on-demand" else "≤ "
    return (
        name,
        endpoint.shape,
        kind.name,
        f"{low}..{high}" + (f", {endpoint.warm} warm" if endpoint.warm else ""),
        f"{costs.asleep:.3f}",
        f"{upto if low else ''}{costs.min:.2f}",
        f"{upto}{costs.max:.2f}",
        _vcpus_told(endpoint, kind),
    )


def _vcpus_told(endpoint: EndpointSpec, kind: InstanceType) -> str:
    """`16, or 32`: with the type that is taken first, and with the largest that may stand in."""
    shape = SHAPES[endpoint.shape]
    machines = shape.machines(endpoint.replicas.max)
    first, most = machines * kind.vcpu, machines * shape.most_vcpu
    return f"{first}, or {most}" if most > first else str(first)


@dataclass(frozen=True)
class VcpuQuota:
    """One of AWS's limits on vCPUs that run at once."""

    code: str
    what: str


# Amazon EC2 user guide, "Amazon EC2 instance type quotas". By spot P5 counts by itself, on demand with all P.
_QUOTAS = {
    ("G", False): VcpuQuota("L-DB2E81BA", "on-demand G and VT instances"),
    ("G", True): VcpuQuota("L-3819A6DF", "spot G and VT instances"),
    ("P", False): VcpuQuota("L-417A185B", "on-demand P instances"),
    ("P", True): VcpuQuota("L-7212CCBC", "spot P4, P3 and P2 instances"),
    ("P5", True): VcpuQuota("L-C4BD4855", "spot P5 instances"),
    ("", False): VcpuQuota("L-1216C47A", "on-demand standard instances"),
    ("", True): VcpuQuota("L-34B43A08", "spot standard instances"),
}


@dataclass(frozen=True)
class Vcpus:
    """How many vCPUs of a quota a team takes."""

    needed: int
    """With every endpoint at its most, each replica of its shape's preferred type."""
    most: int
    """The same, where the largest type of each shape stands in for those that are sold out."""
    least: int
    """Below this, an endpoint can start nothing: the smallest type of the shape that asks for most."""

    @property
    def more(self) -> str:
        """What larger types would need, in words; empty where none is larger."""
        return (
            f"; {self.most} where larger types stand in for sold-out ones" if self.most > self.needed else ""
        )


def vcpus(spec: Spec) -> dict[VcpuQuota, Vcpus]:
    """How many vCPUs of each quota the team takes.

    An endpoint that is `spot-first` may take them from either, so it counts in both.
    """
    return quotas_of(spec, GATEWAY.vcpu, first_type)


def quotas_of(spec: Spec, standing: int, kind: Callable[[Shape], InstanceType]) -> dict[VcpuQuota, Vcpus]:
    """vCPUs by quota: of standard machines that stand all the time, and of replicas of a shape's `kind`."""
    needs = {_QUOTAS[("", False)]: Vcpus(standing, standing, standing)} if standing else {}
    for endpoint in spec.endpoints.values():
        shape = SHAPES[endpoint.shape]
        machines = shape.machines(endpoint.replicas.max)
        for quota in _quotas(endpoint):
            so_far = needs.get(quota, Vcpus(0, 0, 0))
            needs[quota] = Vcpus(
                so_far.needed + machines * kind(shape).vcpu,
                so_far.most + machines * shape.most_vcpu,
                max(so_far.least, shape.least_vcpu),
            )
    return needs


def _quotas(endpoint: EndpointSpec) -> Iterator[VcpuQuota]:
    kind = SHAPES[endpoint.shape].instance_types[0].name.upper()
    family = kind[0] if kind[0] in "GP" else ""
    if endpoint.capacity != "spot":
        yield _QUOTAS[(family, False)]
    if endpoint.capacity != "on-demand":
        yield _QUOTAS.get((kind[:2], True)) or _QUOTAS[(family, True)]
