"""tus 1.0.0 (https://tus.io/protocols/resumable-upload): uploads that go on wherever they were cut.

Core, creation, expiration, checksum and termination. Beside it: `GET` of an upload says as JSON how it
stands, for tus has no words for "refused, because". An upload that is whole is checked before the answer to
its last bytes, or to the `HEAD` that asks after them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from email.utils import formatdate
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from easel.models import Kind, ModelError, Upload, Uploads, UploadWriter
from easel.studio.activity import Activity
from easel.studio.files.access import FileAccess
from easel.studio.files.refusals import RequestRefused, answering
from easel.studio.owner import NotYours

VERSION = "1.0.0"
_BASE = "/files/uploads"
_OFFERS = {
    "Tus-Resumable": VERSION,
    "Tus-Version": VERSION,
    "Tus-Extension": "creation,expiration,checksum,termination",
    "Tus-Checksum-Algorithm": "sha1,sha256",
}
_GATHER = 1 << 20
# A sender that is silent for so long is gone; another one may go on at once in any case.
STALL = 60.0
_DRAIN = 128 << 20
_LONGEST_METADATA = 8192


class _Superseded(Exception):
    """The sender came back by another connection, or said nothing for too long."""


class Tus:
    """The routes of uploads."""

    def __init__(self, uploads: Uploads, activity: Activity) -> None:
        self._uploads, self._activity = uploads, activity
        self._readers: dict[str, asyncio.Event] = {}

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            Route(_BASE, answering(self.collection), methods=["OPTIONS", "POST", "GET"]),
            Route(
                _BASE + "/{id}",
                answering(self.one),
                methods=["OPTIONS", "HEAD", "GET", "PATCH", "DELETE", "POST"],
            ),
        ]

    async def collection(self, request: Request) -> Response:
        """`OPTIONS`: what is understood. `POST`: a new upload."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_OFFERS)
        if request.method != "POST":
            raise RequestRefused(405, "POST here begins an upload", {"Allow": "OPTIONS, POST"})
        _check_version(request)
        access = _member(request)
        length = _number(request, "upload-length")
        if length == 0:
            raise RequestRefused(422, "the file is empty")
        said = _metadata(request.headers.get("upload-metadata", ""))
        name = said.get("filename") or said.get("name") or ""
        with self._activity.busy():
            upload = await asyncio.to_thread(
                self._uploads.begin,
                access.owner,
                name,
                length,
                kind=_kind(said.get("kind", "")),
                folder=said.get("folder", ""),
                sha256=said.get("sha256", ""),
                replaces=said.get("replace", "") == "true",
                told=request.headers.get("upload-metadata", ""),
            )
        # Without a host: the caller's is not the one that this server sees.
        return Response(status_code=201, headers={"Location": f"{_BASE}/{upload.id}", **_head(upload)})

    async def one(self, request: Request) -> Response:
        """One upload. `X-HTTP-Method-Override` of a POST says what is meant, as tus wants it."""
        method = request.method
        if method == "OPTIONS":
            return Response(status_code=204, headers=_OFFERS)
        if method == "POST":
            method = request.headers.get("x-http-method-override", "POST").upper()
        handler = {"HEAD": self._ask, "GET": self._tell, "PATCH": self._take, "DELETE": self._cancel}.get(
            method
        )
        if handler is None:
            raise RequestRefused(
                405, "an upload takes HEAD, GET, PATCH and DELETE", {"Allow": "HEAD, PATCH, DELETE"}
            )
        if method != "GET":
            _check_version(request)
        access = _member(request)
        upload = await asyncio.to_thread(self._uploads.find, access.owner, request.path_params["id"])
        with self._activity.busy():
            return await handler(request, upload)

    async def _ask(self, request: Request, upload: Upload) -> Response:
        self._supersede(upload)
        upload = await asyncio.to_thread(self._uploads.finish, upload)
        return Response(status_code=200, headers=_head(upload))

    async def _tell(self, request: Request, upload: Upload) -> Response:
        return JSONResponse(_shown(upload), 200, {"Cache-Control": "no-store"})

    async def _cancel(self, request: Request, upload: Upload) -> Response:
        self._supersede(upload)
        await asyncio.to_thread(self._uploads.cancel, upload)
        return Response(status_code=204, headers={"Tus-Resumable": VERSION})

    async def _take(self, request: Request, upload: Upload) -> Response:
        if request.headers.get("content-type") != "application/offset+octet-stream":
            raise RequestRefused(415, "the Content-Type of a PATCH is application/offset+octet-stream")
        offset = _number(request, "upload-offset")
        wanted = _checksum(request.headers.get("upload-checksum"))
        self._supersede(upload)
        mine = self._readers[upload.id] = asyncio.Event()
        try:
            taken = await self._taken(request, upload, offset, wanted, mine)
            if taken.whole:
                taken = await asyncio.to_thread(self._uploads.finish, taken)
            return Response(status_code=204, headers=_head(taken))
        except (RequestRefused, ModelError):
            # Who still sends reads no answer: Caddy would make a 502 of it.
            await _drained(request)
            raise
        except ClientDisconnect:
            return Response(status_code=400)
        except _Superseded:
            raise RequestRefused(408, "nothing came for too long, or the upload went on by another way",
                          {"Connection": "close"}) from None  # fmt: skip
        finally:
            if self._readers.get(upload.id) is mine:
                del self._readers[upload.id]

    async def _taken(
        self,
        request: Request,
        upload: Upload,
        offset: int,
        wanted: tuple[str, bytes] | None,
        mine: asyncio.Event,
    ) -> Upload:
        stack = ExitStack()
        entering = self._uploads.taking(upload, offset, checksum=wanted[0] if wanted else "")
        taking: UploadWriter = await asyncio.to_thread(stack.enter_context, entering)
        try:
            gathered = bytearray()
            async for block in _blocks(request, mine):
                gathered += block
                if len(gathered) >= _GATHER:
                    await asyncio.to_thread(self._uploads.learn, taking, bytes(gathered))
                    gathered.clear()
            if gathered:
                await asyncio.to_thread(self._uploads.learn, taking, bytes(gathered))
            if wanted is not None:
                if not hmac.compare_digest(wanted[1], taking.checksum):
                    taking.drop()
                    raise RequestRefused(
                        460, "the bytes are not those that Upload-Checksum is of; send them again"
                    )
                await asyncio.to_thread(self._uploads.accept, taking)
        except BaseException:
            if wanted is not None:
                taking.drop()
            raise
        finally:
            await asyncio.shield(asyncio.to_thread(stack.close))
        return taking.upload

    def _supersede(self, upload: Upload) -> None:
        """End an earlier connection of this upload: it hangs, or its sender would not ask anew."""
        if earlier := self._readers.pop(upload.id, None):
            earlier.set()


async def _blocks(request: Request, superseded: asyncio.Event) -> AsyncIterator[bytes]:
    """The body, until another connection takes over or nothing comes for too long."""
    stream = request.stream()

    async def following() -> bytes | None:
        return await anext(stream, None)

    stop = asyncio.ensure_future(superseded.wait())
    try:
        while True:
            block = asyncio.ensure_future(following())
            done, _ = await asyncio.wait({block, stop}, timeout=STALL, return_when=asyncio.FIRST_COMPLETED)
            if block not in done:
                block.cancel()
                with suppress(asyncio.CancelledError, ClientDisconnect):
                    await block
                raise _Superseded
            found = block.result()
            if found is None:
                return
            yield found
    finally:
        stop.cancel()


async def _drained(request: Request) -> None:
    left = _DRAIN
    with suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(20):
            async for block in request.stream():
                left -= len(block)
                if left < 0:
                    return


def _member(request: Request) -> FileAccess:
    access = FileAccess.of(request.headers)
    if not access.member:
        raise NotYours("models are for the team: sign in with a link or token of this endpoint to upload")
    return access


def _check_version(request: Request) -> None:
    if request.headers.get("tus-resumable") != VERSION:
        raise RequestRefused(412, f"Tus-Resumable must be {VERSION}", {"Tus-Version": VERSION})


def _number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        more = "; a length that is not known yet is not taken" if header == "upload-length" else ""
        raise RequestRefused(400, f"{header.title()} must be a number of bytes{more}")
    return int(text)


def _metadata(text: str) -> dict[str, str]:
    """`key base64,key base64`, as tus has it."""
    if len(text) > _LONGEST_METADATA:
        raise RequestRefused(400, f"Upload-Metadata has more than {_LONGEST_METADATA} letters")
    found: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else []:
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise RequestRefused(
                400, f"Upload-Metadata: {key[:50]!r} is not followed by base64 of text"
            ) from None
    return found


def _kind(name: str) -> Kind | None:
    try:
        return Kind(name) if name else None
    except ValueError:
        raise RequestRefused(
            400, f"kind {name[:50]!r} is none: there are {', '.join(kind.folder for kind in Kind)}"
        ) from None


def _checksum(text: str | None) -> tuple[str, bytes] | None:
    if text is None:
        return None
    name, _, value = text.strip().partition(" ")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    # SHA-1 tells a broken line as well, and tus wants it of every server.
    if len(digest) != {"sha1": 20, "sha256": 32}.get(name):
        raise RequestRefused(400, "Upload-Checksum is `sha256` or `sha1`, and the digest in base64")
    return name, digest


def _head(upload: Upload) -> dict[str, str]:
    headers = {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": formatdate(upload.expires, usegmt=True),
        "Cache-Control": "no-store",
    }
    if upload.told:
        headers["Upload-Metadata"] = upload.told
    if upload.state == "done":
        headers |= {"X-Sha256": upload.sha256}
    return headers


def _shown(upload: Upload) -> dict[str, Any]:
    done = upload.state == "done"
    return {
        "id": upload.id, "name": upload.name, "state": upload.state.value, "detail": upload.detail,
        "offset": upload.offset, "length": upload.length, "expires": upload.expires,
        "path": f"models/{upload.path}" if done else None, "sha256": upload.sha256 if done else None,
    }  # fmt: skip
