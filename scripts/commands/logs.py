"""`easel logs`: what endpoints, gateway and Caddy log."""

import time
from collections import deque
from pathlib import Path

import click

from scripts.logs.audit_tail import AuditTail, moment
from scripts.logs.lines import by_time, readable
from scripts.logs.remote_tail import RemoteTail
from scripts.logs.tail import LogTail
from scripts.remote.operator_api import OperatorClient
from scripts.remote.target import GatewayTarget, with_gateway
from scripts.settings import CommandRefused, settings, shown


@click.command("logs")
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option(
    "-n", "--tail", "count", default=100, type=click.IntRange(0, 100_000), help="Lines at most; 100."
)
@click.option("--audit", is_flag=True, help="Who was let in or refused, and what was changed, by whom.")
@click.option("--endpoint", help="With --audit: of this endpoint only.")
@click.option("--since", callback=moment, help="With --audit: from 2h or 7d ago, or from 2027-01-31 on.")
@with_gateway
def command(
    name: str | None, follow: bool, count: int, audit: bool, endpoint: str | None, since: float | None,
    gateway: GatewayTarget,
) -> None:  # fmt: skip
    """Show what was logged: of an endpoint, of `gateway`, of `caddy`, or of all.

    Of a gateway elsewhere: what its replicas write and what happens to them; `gateway` shows the latter.
    """
    here = settings()
    remote = gateway.remote(here)
    if audit:
        client = OperatorClient(remote) if remote else None
        tail_of_audit = AuditTail(client, here.home, endpoint or name, since or 0.0)
        _show_audit(tail_of_audit, follow, count, 1.5 if remote else 0.5)
        return
    if endpoint or since is not None:
        raise click.UsageError("--endpoint and --since go with --audit; of a log, name the endpoint")
    folder = here.home / "logs"
    tail = RemoteTail(OperatorClient(remote), name) if remote else LogTail(folder, name, from_start=True)
    found = deque(by_time(tail.lines()), maxlen=count)
    if not found and not follow:
        whose = f" of {name}" if name else ""
        where = "there" if remote else f"below {shown(folder)}; {_here(folder)}"
        raise CommandRefused(f"there is no log{whose} {where}")
    for source, line in found:
        click.echo(readable(line, source))
    while follow:
        time.sleep(1.5 if remote else 0.3)
        for source, line in tail.lines():
            click.echo(readable(line, source))


def _here(folder: Path) -> str:
    """Whose logs there are on this machine, or how there come to be some."""
    names = ", ".join(sorted(path.stem for path in folder.glob("*.log")))
    return f"there is: {names}" if names else "nothing has run there yet: `easel up` starts what writes them"


def _show_audit(tail: AuditTail, follow: bool, count: int, pause: float) -> None:
    """As it is written, one JSON object a line: it is for programs and reviewers alike."""
    for line in tail.lines(count):
        click.echo(line)
    while follow:
        time.sleep(pause)
        for line in tail.lines(count):
            click.echo(line)
