"""`easel policy`: what AWS must let whoever runs `pulumi up` for a team do, and nothing else."""

import json

import click

from infra.deployer.policy import (
    deployer_statements,
    parts,
    previewer_statements,
    state_statements,
)
from infra.deployer.roles import boundary_statements
from infra.partitions import PARTITIONS, partition_of
from infra.policies import document
from scripts.commands.cost import PAID
from scripts.settings import settings
from scripts.stacks.loading import spec_at
from scripts.stacks.provider import provider_of
from scripts.stacks.teams import existing, team_of


@click.command("policy")
@click.argument("team", required=False)
@click.option("--preview", is_flag=True, help="Of who only looks: `pulumi preview`, the nightly comparison.")
@click.option("--boundary", is_flag=True, help="Of the stack's own roles: a permissions boundary for them.")
@click.option("--state", metavar="BUCKET", help="The bucket of Pulumi's state: adds the right to it.")
@click.option("--key", metavar="ARN", help="The KMS key of the stack's secrets: goes with --state.")
@click.option("--part", type=int, help="One of the managed policies that it takes, from 1 on.")
@click.option(
    "--partition",
    type=click.Choice(sorted(one.id for one in PARTITIONS)),
    help="AWS's partition; without it that of the stack's aws:region, else aws.",
)
def command(
    team: str | None,
    preview: bool,
    boundary: bool,
    state: str | None,
    key: str | None,
    part: int | None,
    partition: str | None,
) -> None:
    """Print the least policy of whoever runs `pulumi up` for a team.

    Without TEAM it is the stack that EASEL_STACK names. It is made from the kinds of resources that the
    program makes; nothing is asked of AWS. IAM takes it in parts.
    """
    if boundary and (preview or state):
        raise click.UsageError("--boundary is of the stack's roles, which neither preview nor see a state")
    if bool(state) != bool(key):
        raise click.UsageError("--state and --key go together: the state's secrets are opened by the key")
    here = settings()
    file = existing(here, team or team_of(here))
    spec = spec_at(file)
    if spec.team.runs_on not in PAID:
        raise click.UsageError(
            f"{spec.name} runs on {spec.team.runs_on}, for which AWS is asked nothing: there is no policy"
        )
    if boundary and spec.team.runs_on != "instances":
        raise click.UsageError(
            "on a cluster roles carry AWS's own policies, which change with EKS: a boundary that holds them "
            "must allow what infra/cluster/policies.py names"
        )
    place = partition or partition_of(provider_of(file)[0] or "").id
    if boundary:
        statements = boundary_statements()
    else:
        statements = (previewer_statements if preview else deployer_statements)(spec, place)
    if state and key:
        statements += state_statements(state, key, place, changes=not preview)
    found = parts(statements)
    if part is not None and not 1 <= part <= len(found):
        raise click.UsageError(f"--part {part}: there are {len(found)}, from 1 on")
    whole = document(statements if part is None else found[part - 1])
    click.echo(json.dumps(json.loads(whole), indent=1))
    if part is None and len(found) > 1:
        ways = ", ".join(f"--part {number}" for number in range(1, len(found) + 1))
        click.echo(f"IAM takes this as {len(found)} policies: {ways}", err=True)
