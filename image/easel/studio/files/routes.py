"""`/files/list`, `content`, `uploads`, `pictures`: what there is, its bytes, and new ones.

Paths are in the query, where no proxy tidies them up and none of them reaches a log.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from easel.models import Kind, Store, Uploads, remove_model
from easel.studio.activity import Activity
from easel.studio.files.access import FileAccess
from easel.studio.files.paths import Item, NoSuchFile, PathResolver, ResolvedPath
from easel.studio.files.refusals import RequestRefused, answering
from easel.studio.files.tus import Tus
from easel.studio.formats import PictureFormat
from easel.studio.outputs import Outputs
from easel.studio.owner import NotYours
from easel.studio.security_headers import INERT, POLICY

MOST_LISTED = 100_000
# Hashed while it is asked for; larger files are by `hash=1`, or when the store has done it.
_HASHED_AT_ONCE = 64 << 20

# Files of people: never a page of this host.
_INERT = {"X-Content-Type-Options": "nosniff", POLICY: INERT}


class Files:
    """The routes for the files of `store` and `outputs`. `quota` of the store in bytes, None for none."""

    def __init__(
        self, store: Store, outputs: Outputs, activity: Activity, *, quota: int | None = None
    ) -> None:
        self._store, self._outputs, self._activity = store, outputs, activity
        self._paths = PathResolver(store, outputs)
        self._tus = Tus(Uploads(store, quota=quota), activity)

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route("/files/list", answering(self.list), methods=["GET"]),
            Route("/files/content", answering(self.content), methods=["GET", "HEAD"]),
            Route("/files/content", answering(self.delete), methods=["DELETE"]),
            Route("/files/pictures/{day}/{name}", answering(self.picture), methods=["GET", "HEAD"]),
            *self._tus.routes(),
        ]

    async def list(self, request: Request) -> Response:
        """`GET /files/list?path=&recursive=1`: `{"path", "type", "entries": [{"path", "type", …}]}`."""
        access = FileAccess.of(request.headers)
        path = request.query_params.get("path", "")
        deep = request.query_params.get("recursive", "") in ("1", "true")
        return JSONResponse(await asyncio.to_thread(self._listed, access, path, deep))

    async def content(self, request: Request) -> Response:
        """`GET /files/content?path=`: the bytes, ranges too. With `hash=1` its SHA-256 is read if need be."""
        access = FileAccess.of(request.headers)
        resolved = await asyncio.to_thread(self._paths.find, access, request.query_params.get("path", ""))
        if resolved.item.folder:
            name = resolved.item.path or "this"
            raise RequestRefused(400, f"{name} is a folder: ask for its files one by one")
        asked = request.query_params.get("hash", "") in ("1", "true")
        # Under way until the last byte is out.
        stack = ExitStack()
        stack.enter_context(self._activity.busy())
        try:
            status = resolved.real.stat()
            sha256 = await asyncio.to_thread(self._hash, resolved, asked)
        except OSError:
            stack.close()
            raise NoSuchFile(f"{resolved.item.path} was taken away just now") from None
        except BaseException:
            stack.close()
            raise
        quoted = quote(resolved.real.name, safe="")
        headers = {
            "ETag": f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"',
            "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            "Cache-Control": "private, no-cache",
            **_INERT,
            "Content-Disposition": f"attachment; filename*=utf-8''{quoted}",
        }
        if sha256:
            headers["X-Sha256"] = sha256
        return FileResponse(
            resolved.real,
            headers=headers,
            media_type="application/octet-stream",
            stat_result=status,
            background=BackgroundTask(stack.close),
        )

    async def picture(self, request: Request) -> Response:
        """`GET /files/pictures/DAY/NAME`: a saved picture of the caller's own, to be shown in the page."""
        owner = FileAccess.of(request.headers).owner
        said = request.path_params
        path = await asyncio.to_thread(self._outputs.picture, owner, said["day"], said["name"])
        if path is None:
            raise NoSuchFile(f"there is no picture {said['name'][:80]!r} of yours of that day")
        headers = {"Cache-Control": "private, no-cache", **_INERT}
        return FileResponse(path, headers=headers, media_type=PictureFormat(path.suffix).media_type)

    async def delete(self, request: Request) -> Response:
        """`DELETE /files/content?path=`: a file, a model that is a folder, or a folder that is empty."""
        access = FileAccess.of(request.headers)
        path = request.query_params.get("path", "")
        await asyncio.to_thread(self._remove, access, path)
        return JSONResponse({})

    # ── in threads ───────────────────────────────────────────────────────────────────────────────

    def _listed(self, access: FileAccess, path: str, deep: bool) -> dict[str, Any]:
        resolved = self._paths.find(access, path)
        if not resolved.item.folder:
            return {
                "path": resolved.item.path,
                "type": "file",
                "entries": [self._shown(access, resolved.item)],
            }
        found: list[Item] = []
        for item in self._paths.entries(access, resolved, deep=deep):
            if len(found) >= MOST_LISTED:
                raise RequestRefused(413, f"there are more than {MOST_LISTED} files: list a folder below it")
            found.append(item)
        entries = [self._shown(access, item) for item in found]
        return {"path": resolved.item.path, "type": "folder", "entries": entries}

    def _shown(self, access: FileAccess, item: Item) -> dict[str, Any]:
        kind = "folder" if item.folder else "file"
        shown: dict[str, Any] = {"path": item.path, "type": kind}
        if item.folder:
            return shown
        shown |= {"size": item.size, "modified": item.modified}
        if item.path.startswith("models/"):
            real = self._paths.find(access, item.path).real
            if real.is_relative_to(self._store.root):
                shown["sha256"] = self._store.record(real).sha256 or None
        return shown

    def _hash(self, resolved: ResolvedPath, asked: bool) -> str:
        """Raises OSError."""
        if resolved.is_model and resolved.real.is_relative_to(self._store.root):
            return self._store.hash_now(resolved.real) if asked else self._store.record(resolved.real).sha256
        if not asked and resolved.item.size > _HASHED_AT_ONCE:
            return ""
        return _sha256(resolved.real)

    def _remove(self, access: FileAccess, path: str) -> None:
        resolved = self._paths.find(access, path)
        depth = len(resolved.item.path.split("/"))
        if depth < 2 or (resolved.is_model and depth < 3):
            raise NotYours(f"{resolved.item.path or 'this'} is no file: it stays; remove what lies in it")
        if resolved.linked:
            raise NotYours(f"{resolved.item.path} is shown by a link and lies elsewhere: it is removed there")
        try:
            for kind in Kind if resolved.is_model else ():
                # A folder of diffusers' is one of them.
                for file in self._store.refresh()[kind]:
                    if file.path.resolve() == resolved.real:
                        remove_model(self._store, file)
                        return
            if not resolved.is_model:
                self._remove_output(resolved)
            elif resolved.item.folder:
                resolved.real.rmdir()
            else:
                resolved.real.unlink()
        except FileNotFoundError:
            raise NoSuchFile(f"{resolved.item.path} is not there any more") from None
        except OSError as error:
            full = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            why = "it is not empty: remove what lies in it first" if full else error.strerror
            raise RequestRefused(409, f"{resolved.item.path} is not removed: {why}") from None

    def _remove_output(self, resolved: ResolvedPath) -> None:
        """Raises OSError."""
        if resolved.item.folder:
            self._outputs.remove_folder(resolved.real)
        else:
            resolved.real.unlink()
            self._outputs.forget([resolved.real])


def _sha256(path: Path) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
