"""`easel wake`: have an endpoint awake before somebody draws."""

import click

from scripts.remote.target import GatewayTarget, with_gateway


@click.command("wake")
@click.argument("name")
@click.option("--now", "at_once", is_flag=True, help="Without waiting for models that are still fetched.")
@with_gateway
def command(name: str, gateway: GatewayTarget, at_once: bool) -> None:
    """Wake an endpoint, or try again what failed. It sleeps again once nobody drew for its `idle`."""
    gateway.client().wake(name, at_once=at_once)
    click.echo(f"{name} wakes; `easel status` shows how far it is")
