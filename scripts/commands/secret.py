"""`easel secret rotate`: a new secret signs sessions, passes and assertions."""

import click

from scripts.remote.target import GatewayTarget, with_gateway


@click.group("secret")
def command() -> None:
    """Replace the secret that sessions are signed with."""


@command.command("rotate")
@click.option(
    "--now", is_flag=True, help="End at once what the old one signed: the old one is known to others."
)
@with_gateway
def rotate(now: bool, gateway: GatewayTarget) -> None:
    """Sign with a new secret. Nobody is signed out, unless by --now; links and tokens open as before."""
    until = gateway.client().rotate(now=now)
    if now:
        click.echo(
            "a new secret signs; what was signed before is worth nothing: people open their link again"
        )
        return
    from datetime import UTC, datetime

    ends = datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%d %H:%M")
    click.echo(f"a new secret signs; what the old one signed counts until {ends} UTC")
