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
from easel.studio.files.caller import Caller
from easel.studio.files.places import Item, NoSuchFile, NotYours, Place, Places
from easel.studio.files.refusals import Refused, answering
from easel.studio.files.tus import Tus
from easel.studio.headers import INERT, POLICY
from easel.studio.outputs import Outputs

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
        self._places = Places(store, outputs)
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
        caller = Caller.of(request.headers)
        path = request.query_params.get("path", "")
        deep = request.query_params.get("recursive", "") in ("1", "true")
        return JSONResponse(await asyncio.to_thread(self._listed, caller, path, deep))

    async def content(self, request: Request) -> Response:
        """`GET /files/content?path=`: the bytes, ranges too. With `hash=1` its SHA-256 is read if need be."""
        caller = Caller.of(request.headers)
        place = await asyncio.to_thread(self._places.find, caller, request.query_params.get("path", ""))
        if place.item.folder:
            raise Refused(400, f"{place.item.path or 'this'} is a folder: ask for its files one by one")
        asked = request.query_params.get("hash", "") in ("1", "true")
        # Under way until the last byte is out.
        stack = ExitStack()
        stack.enter_context(self._activity.busy())
        try:
            status = place.real.stat()
            sha256 = await asyncio.to_thread(self._hash, place, asked)
        except OSError:
            stack.close()
            raise NoSuchFile(f"{place.item.path} was taken away just now") from None
        except BaseException:
            stack.close()
            raise
        name = quote(place.real.name, safe="")
        headers = {
            "ETag": f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"',
            "Last-Modified": formatdate(status.st_mtime, usegmt=True),
            "Cache-Control": "private, no-cache",
            **_INERT,
            "Content-Disposition": f"attachment; filename*=utf-8''{name}",
        }
        if sha256:
            headers["X-Sha256"] = sha256
        return FileResponse(
            place.real,
            headers=headers,
            media_type="application/octet-stream",
            stat_result=status,
            background=BackgroundTask(stack.close),
        )

    async def picture(self, request: Request) -> Response:
        """`GET /files/pictures/DAY/NAME`: a saved picture of the caller's own, to be shown in the page."""
        owner = Caller.of(request.headers).owner
        said = request.path_params
        path = await asyncio.to_thread(self._outputs.picture, owner, said["day"], said["name"])
        if path is None:
            raise NoSuchFile(f"there is no picture {said['name'][:80]!r} of yours of that day")
        headers = {"Cache-Control": "private, no-cache", **_INERT}
        return FileResponse(path, headers=headers, media_type="image/png")

    async def delete(self, request: Request) -> Response:
        """`DELETE /files/content?path=`: a file, a model that is a folder, or a folder that is empty."""
        caller = Caller.of(request.headers)
        path = request.query_params.get("path", "")
        await asyncio.to_thread(self._remove, caller, path)
        return JSONResponse({})

    # ── in threads ───────────────────────────────────────────────────────────────────────────────

    def _listed(self, caller: Caller, path: str, deep: bool) -> dict[str, Any]:
        place = self._places.find(caller, path)
        if not place.item.folder:
            return {"path": place.item.path, "type": "file", "entries": [self._shown(caller, place.item)]}
        found: list[Item] = []
        for item in self._places.entries(caller, place, deep=deep):
            if len(found) >= MOST_LISTED:
                raise Refused(413, f"there are more than {MOST_LISTED} files: list a folder below it")
            found.append(item)
        entries = [self._shown(caller, item) for item in found]
        return {"path": place.item.path, "type": "folder", "entries": entries}

    def _shown(self, caller: Caller, item: Item) -> dict[str, Any]:
        kind = "folder" if item.folder else "file"
        shown: dict[str, Any] = {"path": item.path, "type": kind}
        if item.folder:
            return shown
        shown |= {"size": item.size, "modified": item.modified}
        if item.path.startswith("models/"):
            real = self._places.find(caller, item.path).real
            if real.is_relative_to(self._store.root):
                shown["sha256"] = self._store.record(real).sha256 or None
        return shown

    def _hash(self, place: Place, asked: bool) -> str:
        """Raises OSError."""
        if place.is_model and place.real.is_relative_to(self._store.root):
            return self._store.hash_now(place.real) if asked else self._store.record(place.real).sha256
        if not asked and place.item.size > _HASHED_AT_ONCE:
            return ""
        return _sha256(place.real)

    def _remove(self, caller: Caller, path: str) -> None:
        place = self._places.find(caller, path)
        depth = len(place.item.path.split("/"))
        if depth < 2 or (place.is_model and depth < 3):
            raise NotYours(f"{place.item.path or 'this'} is no file: it stays; remove what lies in it")
        if place.linked:
            raise NotYours(f"{place.item.path} is shown by a link and lies elsewhere: it is removed there")
        try:
            for kind in Kind if place.is_model else ():
                # A folder of diffusers' is one of them.
                for file in self._store.refresh()[kind]:
                    if file.path.resolve() == place.real:
                        remove_model(self._store, file)
                        return
            if place.item.folder:
                place.real.rmdir()
            else:
                place.real.unlink()
        except FileNotFoundError:
            raise NoSuchFile(f"{place.item.path} is not there any more") from None
        except OSError as error:
            full = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            why = "it is not empty: remove what lies in it first" if full else error.strerror
            raise Refused(409, f"{place.item.path} is not removed: {why}") from None


def _sha256(path: Path) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
