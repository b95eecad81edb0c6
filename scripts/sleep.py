"""`easel sleep`: have an endpoint sleep now."""

import click

from scripts.remote import Place, anywhere


@click.command("sleep")
@click.argument("name")
@anywhere
def command(name: str, place: Place) -> None:
    """Let an endpoint finish its pictures and sleep until somebody asks for it."""
    place.door().sleep(name)
    click.echo(f"{name} falls asleep once its pictures are finished")
