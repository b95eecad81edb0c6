"""`easel upload`: models from here into an endpoint's store."""

from collections.abc import Callable
from pathlib import Path

import click

from scripts.model_store import TYPES, kind_of
from scripts.remote.endpoint import EndpointClient, endpoint_and_path, with_endpoint
from scripts.remote.upload import Destination, ModelUpload
from scripts.settings import CommandRefused, settings


@click.command("upload")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("endpoint")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Without it, as the file itself says.")
@click.option("--folder", default="", help="A folder below that of the type; new ones too.")
@click.option("--name", default="", help="The file's name there; without it, as here.")
@click.option("--replace", is_flag=True, help="It may take the place of another file of its name.")
@with_endpoint
def command(
    files: tuple[Path, ...], endpoint: str, kind: str | None, folder: str, name: str, replace: bool,
    reach: Callable[[str], EndpointClient],
) -> None:  # fmt: skip
    """Send models to ENDPOINT. Stopped anywhere, the same command goes on.

    Each is checked there as a download is, and appears when it is whole. Ends with 0 only then.
    """
    where, path = endpoint_and_path(endpoint)
    if path:
        raise CommandRefused("`easel upload` takes an endpoint's name; `easel files put` takes a path")
    if name and len(files) > 1:
        raise CommandRefused("--name is for one file")
    found = kind_of(kind)
    type_folder = found.folder if found else ""
    send(reach(where), files, [Destination(name or one.name, type_folder, folder, replace) for one in files])


def send(endpoint: EndpointClient, files: tuple[Path, ...], destinations: list[Destination]) -> None:
    """Send each and say what came of it; the first refusal ends it. Raises CommandRefused."""
    notes = settings().home / "uploads"
    for file, destination in zip(files, destinations, strict=True):
        sent = ModelUpload(endpoint, file, destination, notes).run()
        click.echo(f"{sent.path} {'is in' if sent.fresh else 'is there already'}  {sent.sha256}")
