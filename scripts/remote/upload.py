"""Sends a model to an endpoint by tus, and goes on with what an earlier run began."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.remote.endpoint import EndpointClient, Unanswered, printable, refusal, show_progress
from scripts.settings import CommandFailed, CommandRefused

_TUS = {"Tus-Resumable": "1.0.0"}
_BLOCK = 1 << 18
_HASHED = 1 << 22
# Answers to a piece that say how to go on.
_TOLD = (404, 408, 409, 410, 413, 422, 423, 460, 502, 503, 504)
# Below what a door takes at once (`max_body`, 100 MiB) and what the studio does; halved where that is less.
LARGEST = 32 << 20
_SMALLEST = 1 << 16


@dataclass(frozen=True)
class Destination:
    """Where a file is to go. `kind` is the folder of its type, "" for what the file itself says."""

    name: str
    kind: str = ""
    folder: str = ""
    replace: bool = False


@dataclass(frozen=True)
class Uploaded:
    """What came of it. `path` is where it is; `fresh` is False if it was there already."""

    path: str
    sha256: str
    fresh: bool


class ModelUpload:
    """One file on its way. What is known of it is kept in `notes`, by the file's fingerprint."""

    def __init__(self, endpoint: EndpointClient, file: Path, destination: Destination, notes: Path) -> None:
        self._endpoint, self._file, self._destination = endpoint, file, destination
        try:
            self._status = file.stat()
        except OSError as error:
            raise CommandRefused(f"{file}: {error.strerror}") from None
        if not file.is_file():
            raise CommandRefused(f"{file} is no file; folders are sent file by file")
        self._note = notes / f"{self._fingerprint()}.json"
        self._chunk = self._ceiling = LARGEST
        self._began = time.monotonic()
        self._from = 0

    def run(self) -> Uploaded:
        """Send what is missing. Raises CommandRefused."""
        known = self._known()
        sha256 = known.get("sha256") or self._hash()
        self._keep(sha256=sha256)
        url = known.get("url") or ""
        offset = self._stands(url) if url else None
        if offset is None:
            begun = self._begin(sha256)
            if isinstance(begun, Uploaded):
                self._forget()
                return begun
            url, offset = begun
            self._keep(sha256=sha256, url=url)
        self._from = offset
        sent = self._send(url, offset, sha256)
        self._forget()
        return sent

    # ── the steps ────────────────────────────────────────────────────────────────────────────────

    def _begin(self, sha256: str) -> tuple[str, int] | Uploaded:
        to = self._destination
        said = {"filename": to.name, "kind": to.kind, "folder": to.folder, "sha256": sha256,
                "replace": "true" if to.replace else ""}  # fmt: skip
        told = ",".join(f"{key} {_b64(value)}" for key, value in said.items() if value)
        headers = {**_TUS, "Upload-Length": str(self._status.st_size), "Upload-Metadata": told}
        answer = self._endpoint.ask("POST", "/files/uploads", headers=headers, expected=(409,))
        if answer.status_code == 409:
            found = _json(answer)
            if found.get("error") == "AlreadyThere" and found.get("sha256") == sha256:
                return Uploaded(str(found["path"]), sha256, fresh=False)
            raise refusal(answer, self._file.name)
        # Not always nothing: an earlier run may have been killed before it knew of its upload.
        return urlsplit(answer.headers["location"]).path, int(answer.headers.get("upload-offset", "0"))

    def _stands(self, url: str) -> int | None:
        """How far the server has it; None for an upload that is no more."""
        answer = self._endpoint.ask("HEAD", url, headers=_TUS, expected=(403, 404, 410, 422, 409))
        if answer.status_code != 200:
            return None
        return int(answer.headers["upload-offset"])

    def _send(self, url: str, offset: int, sha256: str) -> Uploaded:
        size = self._status.st_size
        quiet_since = time.monotonic()
        while offset < size:
            before = offset
            offset = self._piece(url, offset, min(self._chunk, size - offset))
            if offset > before:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > self._endpoint.patience:
                raise Unanswered(f"{self._file.name}: nothing arrives; the same command goes on later")
        # Whole, perhaps not yet a model: HEAD waits until it is, or is told why not.
        answer = self._endpoint.ask("HEAD", url, headers=_TUS, expected=(404, 410, 422, 409))
        found = _json(self._endpoint.ask("GET", url, expected=(404, 410)))
        if answer.status_code != 200 or found.get("state") != "done":
            self._forget()
            said = str(found.get("detail") or "it was refused, and not said why")
            raise CommandFailed(f"{self._file.name}: {said}")
        if found.get("sha256") != sha256:
            raise CommandFailed(
                f"{self._file.name}: its SHA-256 is {sha256} here, {found.get('sha256')} there: send it again"
            )
        show_progress("", last=True)
        return Uploaded(str(found["path"]), sha256, fresh=True)

    def _piece(self, url: str, offset: int, length: int) -> int:
        """Send some; where the upload stands then."""
        headers = {
            **_TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset),
            "Content-Length": str(length),
            # After an early refusal Caddy takes the rest of the piece for the connection's next request.
            "Connection": "close",
        }  # fmt: skip
        try:
            # Not again by itself: after a cut it is the server that knows where to go on.
            answer = self._endpoint.ask(
                "PATCH", url, headers=headers, patience=0.0, expected=_TOLD,
                content=lambda: self._bytes(offset, length))  # fmt: skip
        except Unanswered:
            # A bad line, or a door that refused so early that its words were lost on the way.
            self._chunk = max(_SMALLEST, length // 2)
            time.sleep(0.3)
            return self._asked(url)
        status = answer.status_code
        if status == 204:
            self._chunk = min(self._chunk * 2, self._ceiling)
            return int(answer.headers["upload-offset"])
        if status == 413:
            if length <= _SMALLEST:
                raise refusal(answer, self._file.name)
            self._chunk = self._ceiling = max(_SMALLEST, length // 2)
            return self._asked(url)
        if status in (404, 410, 422) or (status == 409 and _json(answer).get("error") != "WrongOffset"):
            self._forget()
            raise refusal(answer, self._file.name)
        if status in (423, 502, 503, 504):
            time.sleep(0.5)
        return self._asked(url)

    def _asked(self, url: str) -> int:
        offset = self._stands(url)
        if offset is None:
            found = _json(self._endpoint.ask("GET", url, expected=(404, 410)))
            self._forget()
            raise CommandFailed(
                f"{self._file.name}: {found.get('detail') or 'the upload is no more'}; start it again"
            )
        return offset

    def _bytes(self, offset: int, length: int) -> Iterator[bytes]:
        with open(self._file, "rb") as file:
            file.seek(offset)
            while length > 0:
                block = file.read(min(_BLOCK, length))
                if not block:
                    raise CommandFailed(f"{self._file} became shorter while it was sent: start it again")
                yield block
                offset, length = offset + len(block), length - len(block)
                self._tell(offset)

    def _tell(self, offset: int) -> None:
        seconds = max(0.001, time.monotonic() - self._began)
        speed = (offset - self._from) / seconds
        part = offset / self._status.st_size
        show_progress(f"{printable(self._file.name)}: {part:.0%}, {speed / 1e6:.1f} MB/s")

    def _hash(self) -> str:
        found, done = hashlib.sha256(), 0
        with open(self._file, "rb", buffering=0) as file:
            while block := file.read(_HASHED):
                found.update(block)
                done += len(block)
                show_progress(
                    f"{printable(self._file.name)}: reading, {done / max(1, self._status.st_size):.0%}"
                )
        return found.hexdigest()

    # ── what is kept between runs ────────────────────────────────────────────────────────────────

    def _fingerprint(self) -> str:
        """The file as it is now, and where it goes: another state of it is another upload."""
        status = self._status
        said = [self._endpoint.url, str(self._file.resolve()), status.st_size, status.st_mtime_ns,
                status.st_ino, self._destination.name, self._destination.kind, self._destination.folder,
                self._destination.replace]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self._note.read_text())
            return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {}

    def _keep(self, **said: str) -> None:
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            new = self._note.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps({**said, "file": str(self._file)}))
            os.replace(new, self._note)
        except OSError as error:
            raise CommandRefused(
                f"{self._note.parent} cannot be written ({error.strerror}): set EASEL_HOME"
            ) from None

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _json(answer: Any) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
