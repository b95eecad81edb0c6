"""`easel doctor`: has this machine, and the team's AWS account, what easel needs?"""

import sys
from itertools import chain

import click

from scripts.checks import aws_account, kubernetes_cluster
from scripts.checks.machine import checks
from scripts.settings import settings

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def command(as_json: bool) -> None:
    """Check packages, memory, disk, Caddy, GPU, stack file, ports and models; end with 1 if one fails.

    For a stack on AWS also: credentials, plan, quotas, instance types, domain, machine images, file system.
    For one on Kubernetes: the cluster, rights, KEDA, storage, GPUs, edge.
    """
    found, here = [], settings()
    for check in chain(checks(here), aws_account.of_stack(here), kubernetes_cluster.of_stack(here)):
        found.append(check)
        if not as_json:
            mark, colour = _MARKS[check.verdict]
            click.echo(f"{click.style(mark, fg=colour)} {check.what:9} {check.seen}")
            if check.advice:
                click.echo(f"            {check.advice}")
    if as_json:
        import json
        from dataclasses import asdict

        click.echo(json.dumps([asdict(check) for check in found], indent=1))
    sys.exit(any(check.verdict == "failed" for check in found))
