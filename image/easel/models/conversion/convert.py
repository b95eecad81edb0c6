"""One pickle into the store, as safetensors: read by a process that can do nothing else, checked, moved in.

A pickle is a program. Three walls stand between it and the team: torch's `weights_only` reader, which knows
tensors and refuses every other name; a process of its own without network, other programs and files to write
to (see cell.py), with limits on memory, processor time and what it may write; and nothing that comes out is
believed before our own header reader has passed it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from easel.models.errors import FileError, MissingFile
from easel.models.file_signatures import foreign_format
from easel.models.hashes import digest_file
from easel.models.header import read_header
from easel.models.intake.add import kind_of
from easel.models.intake.destination import destination
from easel.models.kind import Kind
from easel.models.model_file import ModelFile
from easel.models.quota import StoreQuota
from easel.models.source_errors import DiskFull, NameTaken, NotWritable
from easel.models.store import Store

log = structlog.get_logger(__name__)

SECONDS = 300.0
"""What a conversion may take at least, torch's start included, beside a second for every 10 MB."""
_ENDINGS = (".ckpt", ".pt", ".pth", ".bin", ".onnx")


class NotConverted(FileError):
    """The pickle holds something else than tensors, or more than its size allows, or took too long."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of it. `left_out` are entries that are no tensors; `cut_off` tells how the network was shut:
    "namespace" (the kernel has none for it), "hook" (Python refuses sockets) or "unread" (nothing was run).
    """

    file: ModelFile
    sha256: str
    tensors: int
    left_out: int
    cut_off: str


def convert_pickle(
    source: Path,
    store: Store,
    *,
    kind: Kind | None = None,
    folder: str = "",
    name: str = "",
    seconds: float | None = None,
    quota: int | None = None,
) -> Converted:
    """Convert the pickle `source` into `store`; `kind` None: as the tensors tell. The pickle stays as it is.

    `quota` is what the store may hold, in bytes. Raises NotConverted, MissingFile, NameTaken, BadName,
    DiskFull, OverQuota, WrongKind, UnknownArchitecture.
    """
    size = _look(source)
    run = partial(_run, source, size=size, seconds=seconds or SECONDS + size / 10e6)
    return bring_in(source, store, run, kind=kind, folder=folder, name=name, quota=quota)


def bring_in(
    source: Path,
    store: Store,
    make: Callable[[Path], dict[str, Any]],
    *,
    kind: Kind | None,
    folder: str,
    name: str,
    quota: int | None,
) -> Converted:
    """What `make` writes of `source`, as a safetensors file of the store once it was checked. `make` is given
    the path, and tells what Converted does. Raises as `convert_pickle`."""
    size = source.stat().st_size
    named = (name or source.name).removesuffix(".safetensors")
    named = next((named[: -len(end)] for end in _ENDINGS if named.lower().endswith(end)), named)
    if kind is not None:
        _refuse_taken(destination(store, kind, folder, named))
    work = _workplace(store)
    try:
        free = shutil.disk_usage(work).free
        if free < size * 1.05:
            raise DiskFull(source.name, size, free)
        made = work / "made.safetensors"
        told = make(made)
        header = read_header(made)
        if len(header.tensors) != told["tensors"]:
            raise NotConverted(source.name, "what was written is not what was read; try again")
        found = kind or kind_of(header, source.name)
        target = destination(store, found, folder, named)
        StoreQuota(store.root, quota).check(target.name, made.stat().st_size)
        digests = digest_file(made)
        with open(made, "rb") as written:
            os.fsync(written.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(made, target)
    except OSError as error:
        raise NotWritable(source.name, f"the store cannot be written to ({error.strerror})") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    store.remember(
        target, source=f"converted from {source.name}", sha256=digests.sha256, autov3=digests.autov3
    )
    store.refresh()
    status = target.stat()
    shown = target.relative_to(store.folder(found)).as_posix()
    file = ModelFile(target, shown, found, status.st_size, status.st_mtime, digests.sha256)
    return Converted(file, digests.sha256, told["tensors"], told["left_out"], str(told["cut_off"]))


def _look(source: Path) -> int:
    """The size of a file that may be a pickle. Raises NotConverted, MissingFile."""
    try:
        with open(source, "rb") as file:
            start, size = file.read(1024), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise MissingFile(source.name, f"cannot be read ({error.strerror})") from error
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return size
    if start[8:9] == b"{":
        raise NotConverted(source.name, "this is a safetensors file already: `easel models add` takes it")
    looks = foreign_format(start, size) or "this is no pickle of torch's; there is nothing to convert"
    raise NotConverted(source.name, looks)


def _workplace(store: Store) -> Path:
    """A folder on the store's own disk, so that the end is one rename; not seen by the store."""
    try:
        parent = store.root / ".easel" / "converting"
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=parent))
    except OSError as error:
        raise NotWritable(str(store.root), f"the store cannot be written to ({error.strerror})") from error


def _run(source: Path, made: Path, *, size: int, seconds: float) -> dict[str, Any]:
    """The process. What it tells: how many tensors, how many other entries, how it was cut off."""
    environment = {
        "PATH": os.defpath, "HOME": str(made.parent), "TMPDIR": str(made.parent), "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    # By its path, not as a module of the package: what Easel itself imports is of no use in there.
    cell = str(Path(__file__).with_name("cell.py"))
    line = [sys.executable, "-P", cell, str(source.resolve()), str(made), str(size), str(int(seconds))]
    with subprocess.Popen(
        line, env=environment, cwd=made.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise NotConverted(
                source.name, f"reading it took more than {seconds:.0f} seconds and was stopped; "
                "take the model's .safetensors file",
            ) from None  # fmt: skip
        finally:
            # Whatever it may have started: it has a session of its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    told = _told(out)
    if process.returncode == 0 and told is not None and "problem" not in told:
        return told
    log.warning(
        "not converted", file=source.name, code=process.returncode, said=err[-2000:].decode(errors="replace")
    )
    problem = str(told["problem"]) if told is not None and "problem" in told else _death(process.returncode)
    raise NotConverted(source.name, f"{problem}; take the model's .safetensors file")


def _told(out: bytes) -> dict[str, Any] | None:
    """The last line, as a table; the process is not believed to write one."""
    try:
        found = json.loads(out[-10_000:].splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    whole = all(isinstance(found.get(key), int) for key in ("tensors", "left_out"))
    return found if whole or "problem" in found else None


def _death(code: int) -> str:
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "reading it took more processor time or memory than a file of its size needs"
    return f"reading it ended without a word (exit {code})"


def _move(made: Path, target: Path) -> None:
    """Under its name, whole, and never over another. Raises NameTaken, OSError."""
    made.chmod(0o600)
    try:
        os.link(made, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without links
        _refuse_taken(target)
        os.rename(made, target)


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise _taken(target)


def _taken(target: Path) -> NameTaken:
    return NameTaken(target.name, "there is a file of this name: give this one another with --name FILE")
