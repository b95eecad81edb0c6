"""`easel models list|add|remove|verify|sync`: models into the store, whole or not at all."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from scripts.commands.convert import command as convert
from scripts.model_store import TYPES, kind_of, quota
from scripts.model_store import store as store_here
from scripts.settings import CommandFailed, CommandRefused, settings

if TYPE_CHECKING:
    from easel.models import FetchProgress, IndexEntry, Intake, ModelFile, Store

_LINE_EVERY = 5.0


class CommandStopped(CommandRefused):
    """Somebody stopped it."""

    exit_code = 130


@click.group("models")
def command() -> None:
    """Bring models in, list, check and remove them."""


@command.command("list")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Of this type only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(kind: str | None, as_json: bool) -> None:
    """List the models of this machine's store."""
    entries = store_here().index(kind_of(kind))
    if as_json:
        import json

        click.echo(json.dumps([_as_json(entry) for entry in entries], indent=1))
        return
    from easel.models import gigabytes

    rows = [("TYPE", "NAME", "SIZE", "FOR", "HASH", "FROM")]
    for entry in entries:
        what = " ".join(word for word in (entry.architecture or entry.base_model, entry.precision) if word)
        rows.append((
            entry.file.kind.words, entry.file.name, gigabytes(entry.file.size), entry.problem or what or "-",
            entry.autov2 or "-", entry.source or "-",
        ))  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("add")
@click.argument("source")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Without it, as source or file say.")
@click.option("--folder", default="", help="A folder below that of the type; new ones too.")
@click.option("--name", default="", help="The file's name here; without it, as at the source.")
@click.option("--sha256", default="", help="What the file's SHA-256 must be.")
def add(source: str, kind: str | None, folder: str, name: str, sha256: str) -> None:
    """Bring one model in and check it. Stopped anywhere, the same command goes on.

    SOURCE is hf://org/repo/file[@revision], civitai://models/ID, the address of a Civitai page,
    s3://bucket/key, https://… or file:/path. Tokens: HF_TOKEN, CIVITAI_TOKEN.
    """
    from easel.models import ModelRequest

    with _refusals():
        added = _intake(store_here()).add(ModelRequest(source, kind_of(kind), folder, name, sha256))
        said = "is in" if added.fetched else "is there already"
        click.echo(f"{added.file.kind.folder}/{added.file.name} {said}  {added.record.sha256}".rstrip())


@command.command("remove")
@click.argument("name")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Of this type, where names are alike.")
def take_away(name: str, kind: str | None) -> None:
    """Remove a model with what lies beside it."""
    from easel.models import remove_model

    with _refusals():
        store = store_here()
        file = _find(store, name, kind)
        remove_model(store, file)
        click.echo(f"{file.kind.folder}/{file.name} is removed")


@command.command("verify")
@click.argument("names", nargs=-1)
def check(names: tuple[str, ...]) -> None:
    """Read models from end to end and compare their hashes; all of them without NAMES. 1 if one is bad."""
    from easel.models import verify_model

    with _refusals():
        store = store_here()
        files = [_find(store, name, None) for name in names] or [entry.file for entry in store.index()]
    bad = 0
    for file in files:
        verdict = verify_model(store, file)
        bad += verdict.problem is not None
        if verdict.problem is not None:
            click.echo(f"bad    {verdict.problem}")
        else:
            click.echo(
                f"{'whole' if verdict.known else 'new  '}  {file.kind.folder}/{file.name}  {verdict.sha256}"
            )
    sys.exit(1 if bad else 0)


@command.command("sync")
@click.option("--prune", is_flag=True, help="Remove models that the stack file does not list.")
def match(prune: bool) -> None:
    """Make the store hold the models that the stack file lists."""
    from easel.models import sync
    from scripts.stacks.loading import spec_at

    endpoints = spec_at(settings().stack).endpoints.values()
    addresses = [address for endpoint in endpoints for address in endpoint.models]
    with _refusals():
        store = store_here()
        done = sync(store, addresses, _intake(store), prune=prune, told=click.echo)
    click.echo(f"{len(done.added)} came, {len(done.there)} were there, {len(done.failed)} failed")
    sys.exit(1 if done.failed else 0)


command.add_command(convert)


def _intake(store: "Store") -> "Intake":
    from easel.models import FetchLimits, Intake, secrets_of

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    return Intake(
        store,
        secrets=secrets_of(),
        quota=quota(),
        limits=FetchLimits(bandwidth=_bandwidth(os.environ.get("EASEL_BANDWIDTH", ""))),
        watcher=_Line(),
        stopped=stop.is_set,
    )


def _bandwidth(text: str) -> float:
    """Bytes a second: "20MB", "500kB". Raises CommandRefused."""
    units = {"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}
    number = text.strip().lower().rstrip("bkmg ")
    try:
        return float(number or 0) * units[text.strip().lower()[len(number) :].strip()]
    except (ValueError, KeyError):
        raise CommandRefused(f"EASEL_BANDWIDTH is {text!r}: write bytes a second as 20MB or 500kB") from None


def _find(store: "Store", name: str, kind: str | None) -> "ModelFile":
    """The one file of that name. Raises CommandRefused where several types have it, or none."""
    from easel.models import Kind, UnknownModel

    chosen = kind_of(kind)
    plain = name.removeprefix("models/")
    found = []
    for one in Kind if chosen is None else [chosen]:
        with suppress(UnknownModel):
            # As `easel models add` and `list` write it, with the type's folder in front.
            found.append(store.find(one, plain.removeprefix(f"{one.folder}/")))
    if len(found) > 1:
        where = ", ".join(f"{file.kind.folder}/{file.name}" for file in found)
        raise CommandRefused(
            f"{name!r} could be {where}: say which with --type, or write the folder in front"
        )
    if not found:
        raise CommandRefused(f"there is no model {name!r}; `easel models list` shows what there is")
    return found[0]


def _as_json(entry: "IndexEntry") -> dict[str, Any]:
    file = entry.file
    return {
        "type": file.kind.words, "name": file.name, "path": str(file.path), "size": file.size,
        "sha256": entry.sha256, "autov2": entry.autov2, "autov3": entry.autov3,
        "architecture": entry.architecture, "precision": entry.precision, "base_model": entry.base_model,
        "training": entry.training, "trained_words": list(entry.trained_words), "source": entry.source,
        "problem": entry.problem,
        "preview": str(entry.preview) if entry.preview else None,
    }  # fmt: skip


@contextmanager
def _refusals() -> Iterator[None]:
    """Every trouble with a model as one line: exit 2 if nothing was done, 1 if it failed, 130 if stopped."""
    from easel.models import BadAddress, BadName, Interrupted, ModelError, NameTaken

    try:
        yield
    except (BadAddress, BadName, NameTaken) as error:
        raise CommandRefused(str(error)) from None
    except ModelError as error:
        raise (CommandStopped if isinstance(error, Interrupted) else CommandFailed)(str(error)) from None


class _Line:
    """Progress: one line that is written over on a terminal, a line every few seconds elsewhere."""

    def __init__(self) -> None:
        self._next = 0.0
        self._live = sys.stderr.isatty()
        self._width = 0

    def __call__(self, progress: "FetchProgress") -> None:
        """Show how far it is."""
        line = f"{progress.name}: {progress.words}"
        if self._live:
            click.echo(f"\r{line.ljust(self._width)}", nl=progress.phase == "done", err=True)
            self._width = len(line)
        elif time.monotonic() >= self._next and progress.phase in ("fetching", "waiting"):
            self._next = time.monotonic() + _LINE_EVERY
            click.echo(line, err=True)
