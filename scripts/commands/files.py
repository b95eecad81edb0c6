"""`easel files ls|get|put|rm`: an endpoint's models and pictures, as they lie there."""

import json
import sys
import tarfile
from collections.abc import Callable
from fnmatch import fnmatchcase
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import click

from scripts.commands.upload import send
from scripts.remote.download import fetch, safe_target, stream
from scripts.remote.endpoint import EndpointClient, endpoint_and_path, printable, with_endpoint
from scripts.remote.upload import Destination
from scripts.settings import CommandFailed, CommandRefused

Reach = Callable[[str], EndpointClient]
_WILD = "*?["


@click.group("files")
def command() -> None:
    """List, fetch, send and remove an endpoint's models and pictures.

    A place is ENDPOINT[:PATH], such as studio:models/Lora or studio:outputs/2026-11-01. Its last parts may
    hold *, ? and [..]; quote them, for your shell reads them too. Pictures are your own; with the console's
    token, everybody's.
    """


@command.command("ls")
@click.argument("where", metavar="ENDPOINT[:PATH]")
@click.option("-r", "--recursive", is_flag=True, help="With all that is below.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: sizes in bytes, times in Unix seconds.")
@with_endpoint
def ls(where: str, recursive: bool, as_json: bool, reach: Reach) -> None:
    """List a folder."""
    name, path = endpoint_and_path(where)
    found = _matching(reach(name), path, deep=recursive, inside=True)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    rows = [_row(entry) for entry in found]
    width = max((len(row[0]) for row in rows), default=0)
    for size, when, shown in rows:
        click.echo(f"{size.rjust(width)}  {when}  {shown}")


@command.command("get")
@click.argument("where", metavar="ENDPOINT:PATH")
@click.argument("target", default=".")
@click.option("-r", "--recursive", is_flag=True, help="A folder with all that is below it.")
@click.option("--continue/--anew", "resume", default=True, help="Go on with what is here (the default).")
@with_endpoint
def get(where: str, target: str, recursive: bool, resume: bool, reach: Reach) -> None:
    """Fetch a file, several by *, or with -r a folder; each is compared by its SHA-256.

    TARGET is a file, a folder, or - for standard output (a folder goes there as a tar archive).
    """
    name, path = endpoint_and_path(where)
    if not path:
        raise CommandRefused(f"say what to fetch, such as {name}:models/Lora/style.safetensors")
    endpoint = reach(name)
    found = _matching(endpoint, path)
    folders = [entry for entry in found if entry["type"] == "folder"]
    if folders and not recursive:
        raise CommandRefused(
            f"{printable(folders[0]['path'])} is a folder: add -r to fetch all that is below it"
        )
    if target == "-":
        _to_standard_output(endpoint, found)
        return
    many = len(found) > 1 or bool(folders) or _is_wild(path)
    place = Path(target)
    if many and place.exists() and not place.is_dir():
        raise CommandRefused(f"{place} is a file, and several are to be fetched: name a folder")
    for entry in found:
        parent = entry["path"].rpartition("/")[0]  # of `outputs` itself there is none
        for file in _files(endpoint, entry):
            into = many or place.is_dir() or target.endswith("/")
            to = safe_target(place, file["path"], parent) if into else place
            click.echo(f"{fetch(endpoint, file['path'], to, resume=resume)}  {to}")


@command.command("put")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("where", metavar="ENDPOINT[:models/TYPE[/FOLDER][/NAME.safetensors]]")
@click.option("--replace", is_flag=True, help="It may take the place of another file of its name.")
@with_endpoint
def put(files: tuple[Path, ...], where: str, replace: bool, reach: Reach) -> None:
    """Send models. Stopped anywhere, the same command goes on.

    Without a path, each goes where files of its type are.
    """
    name, path = endpoint_and_path(where)
    parts = path.split("/") if path else ["models"]
    if parts[0] != "models":
        raise CommandRefused(
            "only models are sent: a path there begins with models/; pictures are what the studio draws"
        )
    named = parts[-1].lower().endswith(".safetensors")
    if named and len(files) > 1:
        raise CommandRefused(f"{parts[-1]} is one file, and {len(files)} are to be sent: name a folder")
    if named and len(parts) < 3:
        raise CommandRefused(f"say the type's folder too, such as {name}:models/Lora/{parts[-1]}")
    kind = parts[1] if len(parts) > 1 else ""
    folder = "/".join(parts[2:-1] if named else parts[2:])
    destinations = [Destination(parts[-1] if named else file.name, kind, folder, replace) for file in files]
    send(reach(name), files, destinations)


@command.command("rm")
@click.argument("places", nargs=-1, required=True, metavar="ENDPOINT:PATH...")
@click.option("-r", "--recursive", is_flag=True, help="A folder with all that is below it.")
@click.option("-f", "--force", is_flag=True, help="What is not there is no error.")
@with_endpoint
def rm(places: tuple[str, ...], recursive: bool, force: bool, reach: Reach) -> None:
    """Remove files. A model goes with its record, information and preview."""
    for where in places:
        name, path = endpoint_and_path(where)
        if not path:
            raise CommandRefused(f"say what to remove, such as {name}:outputs/2026-11-01")
        endpoint = reach(name)
        try:
            found = _matching(endpoint, path)
        except NothingThere:
            if force:
                continue
            raise
        for entry in found:
            _remove(endpoint, entry, recursive)


class NothingThere(CommandRefused):
    """Nothing has that name."""


def _remove(endpoint: EndpointClient, entry: dict[str, Any], recursive: bool) -> None:
    if entry["type"] == "folder":
        if not recursive:
            raise CommandRefused(
                f"{printable(entry['path'])} is a folder: add -r to remove all that is below it"
            )
        _remove_folder(endpoint, entry["path"])
    else:
        _remove_one(endpoint, entry["path"])


def _remove_folder(endpoint: EndpointClient, path: str) -> None:
    stays = path.count("/") < (2 if path.startswith("models/") else 1)  # a type's own folder
    if not stays and _goes_whole(endpoint, path):
        return
    # Files first; a preview that went with its model is gone already.
    below = endpoint.listed(path)["entries"]
    for each in sorted(below, key=lambda one: bool(one["type"] == "folder")):
        if each["type"] == "folder":
            _remove_folder(endpoint, each["path"])
        else:
            _remove_one(endpoint, each["path"], missing_is_fine=True)
    if not stays:
        _remove_one(endpoint, path)


def _goes_whole(endpoint: EndpointClient, path: str) -> bool:
    """Remove a folder that is empty, or is one model: that goes at once, or others would see a half of it."""
    answer = endpoint.ask("DELETE", "/files/content", params={"path": path}, expected=(404, 409))
    if answer.is_success:
        click.echo(f"{printable(path)} is removed")
    return answer.is_success


def _remove_one(endpoint: EndpointClient, path: str, *, missing_is_fine: bool = False) -> None:
    answer = endpoint.ask("DELETE", "/files/content", params={"path": path}, expected=(404,))
    if answer.status_code != 404:
        click.echo(f"{printable(path)} is removed")
    elif not missing_is_fine:
        raise NothingThere(f"{printable(path)}: there is no such file")


def _matching(
    endpoint: EndpointClient, path: str, *, deep: bool = False, inside: bool = False
) -> list[dict[str, Any]]:
    """The entries that `path` names; with `inside`, what a named folder holds. Raises NothingThere."""
    if not _is_wild(path):
        asked = {"path": path, **({"recursive": "1"} if deep else {})}
        answer = endpoint.ask("GET", "/files/list", params=asked, expected=(404,))
        found = answer.json()
        if answer.status_code == 404:
            raise NothingThere(str(found.get("detail", "there is no such file")))
        if found["type"] == "folder" and not inside:
            return [{"path": found["path"], "type": "folder"}]
        return list(found["entries"])
    parts = path.split("/")
    plain = next(number for number, part in enumerate(parts) if _is_wild(part))
    found = endpoint.listed("/".join(parts[:plain]), deep=len(parts) - plain > 1 or deep)["entries"]
    fitting = [
        entry for entry in found
        if len(below := entry["path"].split("/")) == len(parts)
        and all(fnmatchcase(name, part) for name, part in zip(below, parts, strict=True))
    ]  # fmt: skip
    if not fitting:
        raise NothingThere(f"nothing fits {path!r}")
    return fitting


def _files(endpoint: EndpointClient, entry: dict[str, Any]) -> list[dict[str, Any]]:
    if entry["type"] == "file":
        return [entry]
    below = endpoint.listed(entry["path"], deep=True)["entries"]
    return [each for each in below if each["type"] == "file"]


def _to_standard_output(endpoint: EndpointClient, found: list[dict[str, Any]]) -> None:
    out = sys.stdout.buffer
    if len(found) == 1 and found[0]["type"] == "file":
        stream(endpoint, found[0]["path"], out)
        return
    for entry in found:
        for file in _files(endpoint, entry):
            info = tarfile.TarInfo(file["path"])
            info.size, info.mtime = file["size"], int(file["modified"])
            out.write(info.tobuf(tarfile.PAX_FORMAT))
            pipe = _Exactly(out, info.size, file["path"])
            stream(endpoint, file["path"], cast(BinaryIO, pipe))
            pipe.end()
    out.write(b"\0" * tarfile.BLOCKSIZE * 2)  # so an archive ends
    out.flush()


class _Exactly(RawIOBase):
    """Passes on as many bytes as an archive was told, and fills the last block."""

    def __init__(self, out: BinaryIO, size: int, path: str) -> None:
        self._out, self._left, self._path = out, size, path
        self._padding = -size % tarfile.BLOCKSIZE

    def write(self, block: Any) -> int:
        """Pass bytes on. Raises CommandFailed for more than there are to be."""
        if len(block) > self._left:
            raise CommandFailed(f"{self._path} grew while it was read: the archive is broken; start it again")
        self._left -= len(block)
        return self._out.write(block)

    def end(self) -> None:
        """Fill the block. Raises CommandFailed if bytes are missing."""
        if self._left:
            raise CommandFailed(f"{self._path} became shorter while it was read: the archive is broken")
        self._out.write(b"\0" * self._padding)


def _row(entry: dict[str, Any]) -> tuple[str, str, str]:
    from datetime import UTC, datetime

    from easel.models import gigabytes

    shown = printable(entry["path"])
    if entry["type"] == "folder":
        return "-", " " * 16, f"{shown}/"
    when = datetime.fromtimestamp(entry["modified"], UTC).strftime("%Y-%m-%d %H:%M")
    return gigabytes(entry["size"]), when, shown


def _is_wild(path: str) -> bool:
    return any(letter in path for letter in _WILD)
