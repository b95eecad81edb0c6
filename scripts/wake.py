"""`easel wake`: have an endpoint awake before somebody draws."""

import click

from scripts.remote import Place, anywhere


@click.command("wake")
@click.argument("name")
@anywhere
def command(name: str, place: Place) -> None:
    """Wake an endpoint, or try again what failed. It sleeps again once nobody drew for its `idle`."""
    place.door().wake(name)
    click.echo(f"{name} wakes; `easel status` shows how far it is")
