"""Fetches a file from an endpoint, goes on with what an earlier run has, and compares the SHA-256."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import httpx

from scripts.remote.endpoint import EndpointClient, Unanswered, printable, refusal, show_progress
from scripts.settings import CommandFailed, CommandRefused

_BLOCK = 1 << 18
_AGAIN = (401, 423, 429, 502, 503, 504)


def fetch(endpoint: EndpointClient, path: str, target: Path, *, resume: bool = True) -> str:
    """Bring `path` to `target`, whole or not at all; its SHA-256. Raises CommandRefused.

    Until it is whole it lies beside, as `.NAME.part`; with `resume` another run goes on from there.
    """
    part = target.with_name(f".{target.name}.part")
    note = target.with_name(f".{target.name}.part.json")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "r+b" if part.exists() else "w+b") as out:
            etag = _noted(note) if resume else ""
            if not etag:
                out.truncate(0)
            answer = _PartFile(endpoint, path, out, etag, note).run()
            out.flush()
            os.fsync(out.fileno())
            out.seek(0)
            found = hashlib.file_digest(out, "sha256").hexdigest()
        wanted = _wanted(endpoint, path, answer)
        if wanted and wanted != found:
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            raise CommandFailed(
                f"{path}: its SHA-256 is {wanted} there and {found} here; the bytes are thrown away"
            )
        os.replace(part, target)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise CommandFailed(
            f"{target}: {error.strerror or error}; the same command goes on from there"
        ) from None
    show_progress("", last=True)
    return found


def stream(endpoint: EndpointClient, path: str, out: BinaryIO) -> str:
    """Write `path` to `out` as it comes, going on where it is cut; its SHA-256. Raises CommandRefused."""
    found = hashlib.sha256()

    def write(block: bytes) -> None:
        out.write(block)
        found.update(block)

    answer = _Download(endpoint, path, write).run()
    out.flush()
    wanted = _wanted(endpoint, path, answer)
    if wanted and wanted != found.hexdigest():
        raise CommandFailed(f"{path}: its SHA-256 is {wanted} there, and what was written is something else")
    return found.hexdigest()


class _Download:
    """The bytes of a file from `have` on, over any number of cuts. `etag` is the version they are of."""

    def __init__(
        self,
        endpoint: EndpointClient,
        path: str,
        write: Callable[[bytes], object],
        have: int = 0,
        etag: str = "",
    ) -> None:
        self._endpoint, self._path, self._write = endpoint, path, write
        self._have = self._start = have
        self._etag = etag
        self._began = time.monotonic()
        self._until = self._began + endpoint.patience

    def run(self) -> httpx.Response:
        """The last answer, once all bytes are here. Raises CommandRefused."""
        while True:
            try:
                answer = self._attempt()
            except httpx.TransportError as error:
                if time.monotonic() > self._until:
                    raise Unanswered(f"{self._path}: {error}; the same command goes on from there") from None
                time.sleep(0.3)
                continue
            if answer is not None:
                return answer

    def _attempt(self) -> httpx.Response | None:
        """Ask once; None where it is to be asked again."""
        headers = {"Accept-Encoding": "identity"}
        if self._have and self._etag:
            headers |= {"Range": f"bytes={self._have}-", "If-Range": self._etag}
        with self._endpoint.stream("/files/content", headers, params={"path": self._path}) as answer:
            if answer.status_code == 416 and self._have:
                return answer  # all of it is here
            if answer.status_code in _AGAIN and time.monotonic() < self._until:
                time.sleep(0.5)
                return None
            if answer.status_code not in (200, 206):
                raise refusal(answer, self._path)
            if answer.status_code == 200 and self._have:
                self._begin_anew()
                self._have = 0
            self._etag = answer.headers.get("etag", "")
            self._note(self._etag)
            return answer if self._took_all(answer) else None

    def _took_all(self, answer: httpx.Response) -> bool:
        """Write what comes; whether it is the whole file then."""
        whole = self._have + int(answer.headers.get("content-length", 0))
        for block in answer.iter_raw(_BLOCK):
            self._write(block)
            self._have += len(block)
            now = time.monotonic()
            self._until = now + self._endpoint.patience
            speed = (self._have - self._start) / max(0.001, now - self._began)
            show_progress(
                f"{printable(self._path)}: {self._have / max(1, whole):.0%}, {speed / 1e6:.1f} MB/s"
            )
        return self._have >= whole

    def _begin_anew(self) -> None:
        """The file has become another one: forget what was written, or refuse."""
        raise CommandFailed(f"{self._path} became another file while it was read")

    def _note(self, etag: str) -> None:
        """Keep which version comes, where a later run can go on."""


class _PartFile(_Download):
    """A download into `out` behind what it has, with the version in `note`."""

    def __init__(self, endpoint: EndpointClient, path: str, out: BinaryIO, etag: str, note: Path) -> None:
        super().__init__(endpoint, path, out.write, out.seek(0, os.SEEK_END), etag)
        self._out, self._noted_in = out, note

    def _begin_anew(self) -> None:
        self._out.seek(0)
        self._out.truncate(0)

    def _note(self, etag: str) -> None:
        self._noted_in.write_text(json.dumps({"etag": etag}))


def _wanted(endpoint: EndpointClient, path: str, answer: httpx.Response) -> str:
    """What the server says the SHA-256 is."""
    if said := answer.headers.get("x-sha256"):
        return str(said)
    asked = endpoint.ask("HEAD", "/files/content", params={"path": path, "hash": "1"})
    return str(asked.headers.get("x-sha256", ""))


def _noted(note: Path) -> str:
    try:
        return str(json.loads(note.read_text())["etag"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def safe_target(folder: Path, path: str, base: str) -> Path:
    """Where a file of a folder goes below `folder`: names come from elsewhere, and none may lead out."""
    rest = path[len(base) :].strip("/") if base else path
    parts = rest.split("/")
    if any(part in ("", ".", "..") or "\0" in part or part.startswith("-") for part in parts):
        raise CommandRefused(
            f"{printable(path)!r} is no name for a file here; fetch it by itself, with a name"
        )
    return folder.joinpath(*parts)
