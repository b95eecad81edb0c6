"""`easel sleep`: have an endpoint sleep now."""

import click

from scripts.remote.target import GatewayTarget, with_gateway


@click.command("sleep")
@click.argument("name")
@with_gateway
def command(name: str, gateway: GatewayTarget) -> None:
    """Let an endpoint finish its pictures and sleep until somebody asks for it."""
    gateway.client().sleep(name)
    click.echo(f"{name} falls asleep once its pictures are finished")
