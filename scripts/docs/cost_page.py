"""docs/reference/cost.md, from the tables of infra: what `easel cost --table` prints."""

from infra.cluster import cost as cluster
from infra.cost import (
    HOURS,
    LOOKS,
    RATES,
    SECONDS_AWAKE,
    at_rest,
    gateway_burst,
    gateway_hourly,
    hourly,
    vcpus,
)
from infra.shapes import GATEWAY_BASELINE, PRICED, SHAPES, Shape
from infra.spec import EndpointSpec, ReplicasSpec, Spec, TeamSpec

_DISK = 100
"""GB of a replica's disk where the stack says nothing."""


def page() -> str:
    """docs/reference/cost.md: a team at rest, and every shape by the hour."""
    return "\n".join(
        (
            "# What it costs",
            "",
            "<!-- Written by `easel cost --table` from infra/cost.py and infra/shapes.py. -->",
            "",
            f"AWS's list prices on demand in us-east-1, Linux, {PRICED} or before. An estimate: transfer "
            "and tax are left out, and other regions differ. `easel cost TEAM` says it for a stack "
            "file, and `pulumi preview` before anything is bought. None of it was read off a bill.",
            "",
            "## At rest",
            "",
            "What a team pays when nobody draws, with `replicas: {min: 0}` and `warm: 0`.",
            "",
            f"| | $ an hour | $ a month ({HOURS} h) |",
            "|---|---|---|",
            *(f"| {what} | {dollars:.4f} | {dollars * HOURS:.2f} |" for what, dollars in _rest()),
            "",
            f"The gateway's price has {GATEWAY_BASELINE:.0%} of its two processors in it, on average over 24 "
            f"hours or its life; above that it costs ${RATES.burst:.2f} an hour for each processor, "
            f"${gateway_burst():.2f} at most "
            "([why](../decisions/0030-the-gateway-may-borrow-processor-time.md)).",
            "",
            "Beside that, by what the team has and keeps:",
            "",
            "| | $ |",
            "|---|---|",
            *(f"| {what} | {dollars} |" for what, dollars in _beside()),
            "",
            f"50 GB of models kept: ${50 * RATES.files:.2f} a month, with their backup "
            f"${50 * (RATES.files + RATES.backups):.2f}; a checkpoint of 7 GB read once: "
            f"${7 * RATES.files_read:.2f}. What nobody reads for 30 days moves to EFS's Infrequent Access "
            "and comes back when it is read: 50 GB there are "
            f"${50 * RATES.files_rare:.2f} a month, and the first read of a checkpoint of 7 GB costs "
            f"${7 * RATES.files_rare_read:.2f} more. No key of KMS is made: disks, files, images and secrets "
            "are under AWS's own, which cost nothing.",
            "",
            f"While something is awake the configuration is looked at every {SECONDS_AWAKE} s: "
            f"${3600 / SECONDS_AWAKE * RATES.lists / 1000:.4f} an hour in the place of "
            f"${LOOKS * RATES.lists / 1000:.4f}. Replicas read theirs when they boot and not again.",
            "",
            "## Awake",
            "",
            f"One replica: its instance, its public address and {_DISK} GB of disk. A warm instance is "
            "stopped and costs its disk. 160 hours are four weeks of eight hours on five days. Where the "
            "type is sold out another one stands in, at its own price and with its own vCPUs: those of the "
            "smallest and the largest are in brackets.",
            "",
            "| shape | instance | $ an hour | $ for 160 h | each warm one, $ a month | vCPUs | quota |",
            "|---|---|---|---|---|---|---|",
            *_shapes(),
            "",
            "## On a cluster",
            "",
            "A team's own cluster at rest; a team on a platform pays for the load balancer and its addresses "
            "alone ([when that is less](../how-to/run-on-a-cluster.md)).",
            "",
            f"| | $ an hour | $ a month ({HOURS} h) |",
            "|---|---|---|",
            *(f"| {what} | {dollars:.4f} | {dollars * HOURS:.2f} |" for what, dollars in _cluster_rest()),
            "",
            f"Beside that ${cluster.BALANCER_UNIT:.3f} for about a GB that passes the load balancer. Awake, "
            f"with Auto Mode's fee of {cluster.FEE:.0%} of the price on demand, of the cheapest type of the "
            "shape, which is taken first:",
            "",
            "| shape | instance | $ an hour | $ for 160 h |",
            "|---|---|---|---|",
            *_cluster_shapes(),
            "",
        )
    )


def _cluster_rest() -> list[tuple[str, float]]:
    parts = [*cluster.of_the_cluster(), *cluster.of_the_team()]
    return [*parts, ("**together**", sum(dollars for _, dollars in parts))]


def _cluster_shapes() -> list[str]:
    rows = []
    for shape in SHAPES.values():
        one = EndpointSpec(shape=shape.name, replicas=ReplicasSpec(min=0, max=1))  # type: ignore[arg-type]
        hour = cluster.hourly(one).max
        note = f" (its {shape.only_by} replicas together)" if shape.only_by > 1 else ""
        kind = cluster.first_type(shape).name
        rows.append(f"| `{shape.name}` | {kind}{note} | {hour:.3f} | {160 * hour:.2f} |")
    return rows


def _rest() -> list[tuple[str, float]]:
    return [*at_rest(), ("**together**", gateway_hourly())]


def _beside() -> list[tuple[str, str]]:
    return [
        ("a hosted zone of its own (`zone: create`), a month", f"{RATES.zone:.2f}"),
        ("a GB of files, a month", f"{RATES.files:.2f}"),
        ("the same, not read for 30 days", f"{RATES.files_rare:.3f}"),
        ("its backup by AWS Backup, a month", f"{RATES.backups:.2f}"),
        ("a GB read from files", f"{RATES.files_read:.2f}"),
        ("a GB written to files", f"{RATES.files_written:.2f}"),
        ("a GB of images in ECR, a month (the account's teams share them)", f"{RATES.images:.2f}"),
        ("a GB of logs taken in by CloudWatch (kept for 14 days)", f"{RATES.logs:.2f}"),
        ("a secret that the stack names, a month", f"{RATES.secret:.2f}"),
        ("a key of your own, for a secret or for the stack's state, a month", f"{RATES.key:.2f}"),
    ]


def _vcpus(shape: Shape) -> str:
    least, most = shape.least_vcpu, shape.most_vcpu
    return str(shape.vcpu) if least == most else f"{shape.vcpu} ({least} to {most})"


def _shapes() -> list[str]:
    rows = []
    for shape in SHAPES.values():
        one = EndpointSpec(shape=shape.name, replicas=ReplicasSpec(min=0, max=1))  # type: ignore[arg-type]
        hour = hourly(one).max
        warm = hourly(one.model_copy(update={"warm": 1})).asleep * HOURS
        alone = Spec(name="one", team=TeamSpec(), endpoints={"one": one})
        code = list(vcpus(alone))[-1].code
        note = f" ({shape.only_by} GPUs; not on `instances`)" if shape.only_by > 1 else ""
        rows.append(
            f"| `{shape.name}` | {shape.instance_types[0].name}{note} | {hour:.3f} | {160 * hour:.2f} | "
            f"{warm:.2f} | {_vcpus(shape)} | {code} |"
        )
    return rows
