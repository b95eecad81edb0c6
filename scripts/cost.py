"""`easel cost`: what a team costs, asleep and awake, before it costs anything."""

import json
from typing import Any

import click

from infra.cost import (
    HOURS,
    LOOKS,
    RATES,
    SECONDS_AWAKE,
    Quota,
    Vcpus,
    at_rest,
    floor_monthly,
    gateway_burst,
    gateway_hourly,
    hourly,
    table,
    vcpus,
)
from infra.shapes import GATEWAY_BASELINE, PRICED, SHAPES, Shape
from infra.spec import Endpoint, Replicas, Spec, Team
from scripts.settings import ROOT, Refusal, settings, shown
from scripts.stack import spec_at
from scripts.teams import existing, team_of

PAGE = ROOT / "docs" / "reference" / "cost.md"
"""What `--table` prints, as it is in the docs."""
_DISK = 100
"""GB of a replica's disk where the stack says nothing."""


@click.command("cost")
@click.argument("team", required=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@click.option("--markdown", is_flag=True, help="As Markdown, for a page of CI.")
@click.option("--table", "as_table", is_flag=True, help="Every shape instead: docs/reference/cost.md.")
def command(team: str | None, as_json: bool, markdown: bool, as_table: bool) -> None:
    """Say what a team's stack costs, from its file alone; nothing is asked of AWS.

    Without TEAM it is the stack that EASEL_STACK names. Prices are AWS's list prices in us-east-1.
    """
    if as_table:
        click.echo(page(), nl=False)
        return
    here = settings()
    file = existing(here, team or team_of(here))
    spec = spec_at(file)
    if spec.team.runs_on in ("cluster", "kubernetes"):
        raise Refusal(
            f"{shown(file)} says runs_on: {spec.team.runs_on}; this version knows the costs of instances"
        )
    if as_json:
        click.echo(json.dumps(as_data(spec), indent=1))
    elif spec.team.runs_on == "local":
        click.echo(f"{spec.name} runs on this machine (runs_on: local): nothing at AWS")
    elif markdown:
        click.echo(f"### What {spec.name} costs\n\n```\n{told(spec)}\n```")
    else:
        click.echo(told(spec))


def told(spec: Spec) -> str:
    """The costs of a team on instances, for people."""
    return "\n".join((table(spec), *(f"quota {line}" for line in quotas(spec))))


def quotas(spec: Spec) -> list[str]:
    """The quotas that the team's most replicas take, a line each."""
    return [
        f"{quota.code}: {need.needed} vCPUs of {quota.what}{need.more}" for quota, need in vcpus(spec).items()
    ]


def as_data(spec: Spec) -> dict[str, Any]:
    """The costs as JSON: dollars, hours and vCPUs."""
    paid = spec.team.runs_on == "instances"
    needs: dict[Quota, Vcpus] = vcpus(spec) if paid else {}
    return {
        "team": spec.name,
        "runs_on": spec.team.runs_on,
        "priced": PRICED,
        "per_month_at_rest": round(floor_monthly(spec), 2) if paid else 0,
        "endpoints": [_endpoint(name, endpoint, paid) for name, endpoint in spec.endpoints.items()],
        "vcpus": [
            {"quota": quota.code, "what": quota.what, "needed": need.needed, "most": need.most}
            for quota, need in needs.items()
        ],
        "files": {
            "per_gb_month": RATES.files,
            "per_gb_month_not_read": RATES.files_rare,
            "per_gb_month_of_backups": RATES.backups,
            "per_gb_read": RATES.files_read,
            "per_gb_written": RATES.files_written,
        },
    }


def _endpoint(name: str, endpoint: Endpoint, paid: bool) -> dict[str, Any]:
    costs, shape = hourly(endpoint), SHAPES[endpoint.shape]
    per_hour = {"asleep": costs.asleep, "min": costs.min, "max": costs.max}
    return {
        "name": name,
        "shape": shape.name,
        "instance_type": shape.instance_types[0].name if paid else None,
        "capacity": endpoint.capacity,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "warm": endpoint.warm,
        "per_hour": {when: round(dollars, 4) if paid else 0 for when, dollars in per_hour.items()},
        "vcpus_at_max": endpoint.replicas.max * shape.vcpu if paid else 0,
    }


def difference(before: Spec | None, after: Spec, name: str) -> list[str]:
    """What one endpoint more costs, in lines for people."""
    if after.team.runs_on != "instances":
        return []
    costs = hourly(after.endpoints[name])
    rest = floor_monthly(after)
    more = rest - (floor_monthly(before) if before else gateway_hourly() * HOURS)
    had = vcpus(before) if before else {}
    lines = [
        f"{name}: ${costs.asleep:.3f} an hour asleep, ${costs.min:.2f} at min, ${costs.max:.2f} at max",
        f"{after.name} at rest: ${rest:.2f} a month, "
        + (f"${more:.2f} more" if more > 0.005 else "as before"),
    ]
    for quota, need in vcpus(after).items():
        before_it = had[quota].needed if quota in had else 0
        if need.needed != before_it:
            lines.append(
                f"{quota.code}: {need.needed} vCPUs of {quota.what} at max, {before_it} before{need.more}"
            )
    return lines


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
        )
    )


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
        one = Endpoint(shape=shape.name, replicas=Replicas(min=0, max=1))  # type: ignore[arg-type]
        hour = hourly(one).max
        warm = hourly(one.model_copy(update={"warm": 1})).asleep * HOURS
        alone = Spec(name="one", team=Team(), endpoints={"one": one})
        code = list(vcpus(alone))[-1].code
        note = f" ({shape.only_by} GPUs; not on `instances`)" if shape.only_by > 1 else ""
        rows.append(
            f"| `{shape.name}` | {shape.instance_types[0].name}{note} | {hour:.3f} | {160 * hour:.2f} | "
            f"{warm:.2f} | {_vcpus(shape)} | {code} |"
        )
    return rows
