"""Fetches a file from an endpoint, goes on with what an earlier run has, and compares the SHA-256."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from scripts.farfiles import Endpoint, Unanswered, line, printable, refusal
from scripts.settings import Failed, Refusal

_BLOCK = 1 << 18
_AGAIN = (401, 423, 429, 502, 503, 504)


def fetch(endpoint: Endpoint, path: str, target: Path, *, resume: bool = True) -> str:
    """Bring `path` to `target`, whole or not at all; its SHA-256. Raises Refusal.

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
            answer = _into(endpoint, path, out, etag, note)
            out.flush()
            os.fsync(out.fileno())
            found = _sha256(out)
        wanted = _wanted(endpoint, path, answer)
        if wanted and wanted != found:
            part.unlink(missing_ok=True)
            note.unlink(missing_ok=True)
            raise Failed(f"{path}: its SHA-256 is {wanted} there and {found} here; the bytes are thrown away")
        os.replace(part, target)
        note.unlink(missing_ok=True)
    except OSError as error:
        raise Failed(f"{target}: {error.strerror or error}; the same command goes on from there") from None
    line("", last=True)
    return found


def stream(endpoint: Endpoint, path: str, out: BinaryIO) -> str:
    """Write `path` to `out` as it comes, going on where it is cut; its SHA-256. Raises Refusal."""
    found = hashlib.sha256()

    def write(block: bytes) -> None:
        out.write(block)
        found.update(block)

    answer = _bytes(endpoint, path, 0, "", write, None)
    out.flush()
    wanted = _wanted(endpoint, path, answer)
    if wanted and wanted != found.hexdigest():
        raise Failed(f"{path}: its SHA-256 is {wanted} there, and what was written is something else")
    return found.hexdigest()


def _into(endpoint: Endpoint, path: str, out: BinaryIO, etag: str, note: Path) -> httpx.Response:
    def anew() -> None:
        out.seek(0)
        out.truncate(0)

    def begun(answer: httpx.Response) -> None:
        note.write_text(json.dumps({"etag": answer.headers.get("etag", "")}))

    out.seek(0, os.SEEK_END)
    return _bytes(endpoint, path, out.tell(), etag, lambda block: _put(out, block), anew, begun)


def _put(out: BinaryIO, block: bytes) -> None:
    out.write(block)


def _bytes(
    endpoint: Endpoint, path: str, have: int, etag: str, write: Any, anew: Any, begun: Any = None
) -> httpx.Response:
    """The bytes from `have` on. `anew` is called where the file has become another; None: it must not."""
    until = time.monotonic() + endpoint.patience
    began, start = time.monotonic(), have
    while True:
        headers = {"Accept-Encoding": "identity"}
        if have and etag:
            headers |= {"Range": f"bytes={have}-", "If-Range": etag}
        try:
            with endpoint.stream("/files/content", headers, params={"path": path}) as answer:
                status = answer.status_code
                if status == 416 and have:
                    return answer  # all of it is here
                if status in _AGAIN and time.monotonic() < until:
                    time.sleep(0.5)
                    continue
                if status not in (200, 206):
                    raise refusal(answer, path)
                if status == 200 and have:
                    if anew is None:
                        raise Failed(f"{path} became another file while it was read")
                    anew()
                    have = 0
                etag = answer.headers.get("etag", "")
                if begun:
                    begun(answer)
                whole = have + int(answer.headers.get("content-length", 0))
                for block in answer.iter_raw(_BLOCK):
                    write(block)
                    have += len(block)
                    until = time.monotonic() + endpoint.patience
                    speed = (have - start) / max(0.001, time.monotonic() - began)
                    line(f"{printable(path)}: {have / max(1, whole):.0%}, {speed / 1e6:.1f} MB/s")
                if have >= whole:
                    return answer
        except httpx.TransportError as error:
            if time.monotonic() > until:
                raise Unanswered(f"{path}: {error}; the same command goes on from there") from None
            time.sleep(0.3)


def _wanted(endpoint: Endpoint, path: str, answer: httpx.Response) -> str:
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


def _sha256(file: BinaryIO) -> str:
    found = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 22):
        found.update(block)
    return found.hexdigest()


def safe_target(folder: Path, path: str, base: str) -> Path:
    """Where a file of a folder goes below `folder`: names come from elsewhere, and none may lead out."""
    rest = path[len(base) :].strip("/") if base else path
    parts = rest.split("/")
    if any(part in ("", ".", "..") or "\0" in part or part.startswith("-") for part in parts):
        raise Refusal(f"{printable(path)!r} is no name for a file here; fetch it by itself, with a name")
    return folder.joinpath(*parts)
