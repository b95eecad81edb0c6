"""`easel models convert FILE`: a pickle (.ckpt, .pt, .bin) or ONNX into the store, as safetensors."""

from pathlib import Path

import click

from scripts.model_store import TYPES, kind_of, quota, store
from scripts.settings import CommandFailed


@click.command("convert")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--type", "kind", type=click.Choice(TYPES), help="Without it, as its tensors say.")
@click.option("--folder", default="", help="A folder below that of the type; new ones too.")
@click.option("--name", default="", help="The file's name in the store; without it, that of FILE.")
def command(file: Path, kind: str | None, folder: str, name: str) -> None:
    """Convert a pickle (.ckpt, .pt, .bin) or an ONNX file to safetensors, into the store.

    A pickle is read as plain tensors only, in a process without network. FILE itself stays as it is.
    """
    from easel.models import ModelError, convert_onnx, convert_pickle, is_onnx

    convert = convert_onnx if is_onnx(file) else convert_pickle
    try:
        done = convert(file, store(), kind=kind_of(kind), folder=folder, name=name, quota=quota())
    except ModelError as error:
        raise CommandFailed(str(error)) from None
    click.echo(f"{done.file.kind.folder}/{done.file.name} is in, {done.tensors} tensors  {done.sha256}")
    if done.left_out:
        click.echo(f"left out: {done.left_out} entries that are no tensors", err=True)
    if done.cut_off == "hook":
        click.echo("this machine has no network namespaces: the network was shut by Python alone", err=True)
