"""`easel upload`: models from here into an endpoint's store."""

from collections.abc import Callable
from pathlib import Path

import click

from scripts.farfiles import Endpoint, parted, with_endpoint
from scripts.models import TYPES
from scripts.sending import Sending, Sent, Wish
from scripts.settings import Refusal, settings


@click.command("upload")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("endpoint")
@click.option("--type", "kind", type=click.Choice(list(TYPES)), help="Without it, as the file itself says.")
@click.option("--folder", default="", help="A folder below that of the type; new ones too.")
@click.option("--name", default="", help="The file's name there; without it, as here.")
@click.option("--replace", is_flag=True, help="It may take the place of another file of its name.")
@with_endpoint
def command(
    files: tuple[Path, ...], endpoint: str, kind: str | None, folder: str, name: str, replace: bool,
    reach: Callable[[str], Endpoint],
) -> None:  # fmt: skip
    """Send models to ENDPOINT. Stopped anywhere, the same command goes on.

    Each is checked there as a download is, and appears when it is whole. Ends with 0 only then.
    """
    where, path = parted(endpoint)
    if path:
        raise Refusal("`easel upload` takes an endpoint's name; `easel files put` takes a path")
    if name and len(files) > 1:
        raise Refusal("--name is for one file")
    send(reach(where), files, [Wish(name or one.name, folder_of(kind), folder, replace) for one in files])


def send(endpoint: Endpoint, files: tuple[Path, ...], wishes: list[Wish]) -> None:
    """Send each and say what came of it; the first refusal ends it. Raises Refusal."""
    notes = settings().home / "uploads"
    for file, wish in zip(files, wishes, strict=True):
        click.echo(_told(Sending(endpoint, file, wish, notes).run()))


def folder_of(kind: str | None) -> str:
    """The folder of a type as people call it."""
    from easel.models import Kind

    return Kind[TYPES[kind]].folder if kind else ""


def _told(sent: Sent) -> str:
    return f"{sent.path} {'is in' if sent.fresh else 'is there already'}  {sent.sha256}"
