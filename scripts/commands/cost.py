"""`easel cost`: what a team costs, asleep and awake, before it costs anything."""

import json
from typing import Any

import click

from infra.bill import bill_of
from infra.cost import RATES, VcpuQuota, Vcpus
from infra.shapes import PRICED, SHAPES
from infra.spec import Spec
from scripts.settings import settings
from scripts.stacks.loading import spec_at
from scripts.stacks.teams import existing, team_of

PAID = ("instances", "cluster")
"""Where AWS is paid."""


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
        from scripts.docs import cost_page

        click.echo(cost_page.page(), nl=False)
        return
    here = settings()
    file = existing(here, team or team_of(here))
    spec = spec_at(file)
    if as_json:
        click.echo(json.dumps(as_data(spec), indent=1))
    elif spec.team.runs_on == "local":
        click.echo(f"{spec.name} runs on this machine (runs_on: local): nothing at AWS")
    elif spec.team.runs_on == "kubernetes":
        click.echo(f"{spec.name} runs on a Kubernetes that is there already: nothing at AWS. {gpus(spec)}")
    elif markdown:
        click.echo(f"### What {spec.name} costs\n\n```\n{told(spec)}\n```")
    else:
        click.echo(told(spec))


def gpus(spec: Spec) -> str:
    """What the team takes of its cluster at most: its nodes have no price that is known here."""
    taken = {name: each.replicas.max for name, each in spec.endpoints.items() if SHAPES[each.shape].gpu}
    ways = ", ".join(f"{name} {most}" for name, most in taken.items())
    count = sum(taken.values())
    return (
        f"At most {count} GPU{'' if count == 1 else 's'} of its nodes at once{f' ({ways})' if ways else ''}"
    )


def told(spec: Spec) -> str:
    """The costs of a team at AWS, for people."""
    return "\n".join((bill_of(spec).table(spec), *(f"quota {line}" for line in quotas(spec))))


def quotas(spec: Spec) -> list[str]:
    """The quotas that the team's most replicas take, a line each."""
    return [
        f"{quota.code}: {need.needed} vCPUs of {quota.what}{need.more}"
        for quota, need in bill_of(spec).vcpus(spec).items()
    ]


def as_data(spec: Spec) -> dict[str, Any]:
    """The costs as JSON: dollars, hours and vCPUs."""
    paid, bill = spec.team.runs_on in PAID, bill_of(spec)
    needs: dict[VcpuQuota, Vcpus] = bill.vcpus(spec) if paid else {}
    return {
        "team": spec.name,
        "runs_on": spec.team.runs_on,
        "priced": PRICED,
        "per_month_at_rest": round(bill.floor_monthly(spec), 2) if paid else 0,
        "endpoints": [_endpoint(name, spec, paid) for name in spec.endpoints],
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


def _endpoint(name: str, spec: Spec, paid: bool) -> dict[str, Any]:
    endpoint, bill = spec.endpoints[name], bill_of(spec)
    costs, shape = bill.hourly(endpoint), SHAPES[endpoint.shape]
    first = bill.first_type(shape)
    per_hour = {"asleep": costs.asleep, "min": costs.min, "max": costs.max}
    return {
        "name": name,
        "shape": shape.name,
        "instance_type": first.name if paid else None,
        "capacity": endpoint.capacity,
        "replicas": {"min": endpoint.replicas.min, "max": endpoint.replicas.max},
        "warm": endpoint.warm,
        "per_hour": {when: round(dollars, 4) if paid else 0 for when, dollars in per_hour.items()},
        "vcpus_at_max": shape.machines(endpoint.replicas.max) * first.vcpu if paid else 0,
    }


def difference(before: Spec | None, after: Spec, name: str) -> list[str]:
    """What one endpoint more costs, in lines for people."""
    if after.team.runs_on not in PAID:
        return []
    bill, none = bill_of(after), after.model_copy(update={"endpoints": {}})
    costs = bill.hourly(after.endpoints[name])
    rest = bill.floor_monthly(after)
    more = rest - bill.floor_monthly(before or none)
    had = bill.vcpus(before) if before else {}
    lines = [
        f"{name}: ${costs.asleep:.3f} an hour asleep, ${costs.min:.2f} at min, ${costs.max:.2f} at max",
        f"{after.name} at rest: ${rest:.2f} a month, "
        + (f"${more:.2f} more" if more > 0.005 else "as before"),
    ]
    for quota, need in bill.vcpus(after).items():
        before_it = had[quota].needed if quota in had else 0
        if need.needed != before_it:
            lines.append(
                f"{quota.code}: {need.needed} vCPUs of {quota.what} at max, {before_it} before{need.more}"
            )
    return lines
