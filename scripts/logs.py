"""`easel logs`: what endpoints, gateway and Caddy log."""

import time
from collections import deque

import click

from scripts.auditlines import AuditTail, moment
from scripts.door import Door
from scripts.farlogs import FarTail
from scripts.loglines import Tail, by_time, readable
from scripts.remote import Place, anywhere
from scripts.settings import Refusal, settings, shown


@click.command("logs")
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option(
    "-n", "--tail", "count", default=100, type=click.IntRange(0, 100_000), help="Lines at most; 100."
)
@click.option("--audit", is_flag=True, help="Who was let in or refused, and what was changed, by whom.")
@click.option("--endpoint", help="With --audit: of this endpoint only.")
@click.option("--since", callback=moment, help="With --audit: from 2h or 7d ago, or from 2027-01-31 on.")
@anywhere
def command(
    name: str | None, follow: bool, count: int, audit: bool, endpoint: str | None, since: float | None,
    place: Place,
) -> None:  # fmt: skip
    """Show what was logged: of an endpoint, of `gateway`, of `caddy`, or of all.

    Of a gateway elsewhere: what its replicas write and what happens to them; `gateway` shows the latter.
    """
    here = settings()
    far = place.far(here)
    if audit:
        _show_audit(AuditTail(Door.by(far) if far else None, here.home, endpoint or name, since or 0.0),
                    follow, count, 1.5 if far else 0.5)  # fmt: skip
        return
    if endpoint or since is not None:
        raise click.UsageError("--endpoint and --since go with --audit; of a log, name the endpoint")
    tail = FarTail(Door.by(far), name) if far else Tail(here.home / "logs", name, from_start=True)
    found = deque(by_time(tail.lines()), maxlen=count)
    if not found and not follow:
        whose = f" of {name}" if name else ""
        where = "there" if far else f"below {shown(here.home / 'logs')}"
        raise Refusal(f"there is no log{whose} {where}")
    for source, line in found:
        click.echo(readable(line, source))
    while follow:
        time.sleep(1.5 if far else 0.3)
        for source, line in tail.lines():
            click.echo(readable(line, source))


def _show_audit(tail: AuditTail, follow: bool, count: int, pause: float) -> None:
    """As it is written, one JSON object a line: it is for programs and reviewers alike."""
    for line in tail.lines(count):
        click.echo(line)
    while follow:
        time.sleep(pause)
        for line in tail.lines(count):
            click.echo(line)
