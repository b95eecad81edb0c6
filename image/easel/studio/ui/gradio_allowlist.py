"""What of Gradio is open: what the page needs, to each person their own sessions, and no file by any way.

Gradio takes a file's path from whoever sends one: in the value of any field (`path`, `url`, however deep), in
the file and upload routes, in streams, deep links and component functions. It has one folder for all uploads,
and knows a session by what its caller calls it. So the page has no field that takes a file and shows none of
Gradio's: pictures come from `/files/pictures`, and a picture to read goes to `/sdapi/v1/png-info`. Every
route that the page does not use is closed. An event's values are words and numbers, and it is written anew,
so that what was checked is what Gradio reads.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from easel.studio.api.errors import body as error_body
from easel.studio.api.strict_json import reply
from easel.studio.owner import owner_of
from easel.studio.security_headers import POLICY, policy

if TYPE_CHECKING:
    import gradio as gr

MAX_EVENT = 1 << 20
"""Bytes of an event: two prompts and some numbers."""
_API = "/gradio_api"
_LOOKED_AT = ("GET", "HEAD")
_PAGE = ("/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt")
_BUILT = ("/assets/", "/static/", "/svelte/")
_ASKED = (f"{_API}/info", f"{_API}/startup-events")
_EVENTS = (f"{_API}/queue/join", f"{_API}/run/predict")
_CANCEL, _DATA, _HEARTBEAT = f"{_API}/cancel", f"{_API}/queue/data", f"{_API}/heartbeat/"
_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_EVENT_ID = re.compile(r"[0-9a-f]{32}")


class Closed(Exception):
    """The request is not passed on: the status of its answer, and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class GradioAllowlist:
    """ASGI middleware around the application that Gradio makes of `blocks`."""

    def __init__(self, app: ASGIApp, blocks: gr.Blocks) -> None:
        self._app, self._blocks = app, blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as Gradio may have it, or the refusal."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "nothing here speaks WebSocket"})
            return
        if scope["type"] == "http":
            try:
                scope, receive = await self._passed(scope, receive)
            except Closed as refusal:
                said = error_body("HTTPException", refusal.words, refusal.words)
                await reply(said, refusal.status)(scope, receive, send)
                return
            if scope["path"] == "/" and scope["method"] == "GET":
                send = _Page(send).send
        await self._app(scope, receive, send)

    async def _passed(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        method, path = scope["method"], scope["path"]
        # A deep link is a path, too: no query reaches Gradio but the one that it needs.
        passed = {**scope, "query_string": b""}
        if method in _LOOKED_AT:
            if path == "/":
                # As it is, for its scripts are to be read and not unpacked.
                told = [(key, value) for key, value in scope["headers"] if key != b"accept-encoding"]
                return {**passed, "headers": told}, receive
            if path in (*_PAGE, *_ASKED) or path.startswith(_BUILT):
                return passed, receive
            if path == _DATA:
                session = _session(
                    scope, _only(parse_qs(scope["query_string"].decode("latin-1")), "session_hash")
                )
                if session not in self._blocks._queue.pending_messages_per_session:
                    raise Closed(404, "Not Found")
                return {**passed, "query_string": f"session_hash={session}".encode()}, receive
            if path.startswith(_HEARTBEAT):
                beat = _HEARTBEAT + _session(scope, path.removeprefix(_HEARTBEAT))
                return {**passed, "path": beat, "raw_path": beat.encode()}, receive
        elif method == "POST" and path in (*_EVENTS, _CANCEL):
            said = _understood(await _read(receive))
            session = _session(scope, said.get("session_hash"))
            body = self._cancel(said, session) if path == _CANCEL else _event(said, session)
            return _with_body(passed, receive, json.dumps(body).encode())
        raise Closed(404, "Not Found")

    def _cancel(self, said: Mapping[str, Any], session: str) -> dict[str, Any]:
        event_id = said.get("event_id")
        known = isinstance(event_id, str) and _EVENT_ID.fullmatch(event_id)
        event = self._blocks._queue.event_ids_to_events.get(event_id) if known else None
        if event is None or event.session_hash != session:
            raise Closed(404, "Not Found")
        return {"session_hash": session, "event_id": event_id, "fn_index": _number(said, "fn_index")}


class _Page:
    """Holds Gradio's page back until its scripts are known, and says the policy that lets them run."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """One message of the answer."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            # Gradio's page says `<base href="./">`.
            MutableHeaders(scope=self._start)[POLICY] = policy(self._body, base="'self'")
            await self._send(self._start)
            message = {"type": "http.response.body", "body": self._body}
        await self._send(message)


def session_of(owner: str, name: str) -> str:
    """What Gradio calls the session that its owner calls `name`.

    The same name from somebody else is another session, so nobody has to remember whose it was, and nobody
    can take it first.
    """
    return hashlib.sha256(f"{owner}\0{name}".encode("utf-8", "replace")).hexdigest()


def _session(scope: Scope, name: object) -> str:
    if not isinstance(name, str) or not _SESSION.fullmatch(name):
        raise Closed(400, "session_hash is missing, or is no name of a session")
    return session_of(owner_of(Headers(scope=scope)), name)


def _event(said: Mapping[str, Any], session: str) -> dict[str, Any]:
    values = said.get("data")
    if not isinstance(values, list) or not all(
        one is None or isinstance(one, (str, int, float)) for one in values
    ):
        raise Closed(403, "an event of this page carries words and numbers; no file is taken here")
    happened = said.get("event_data")
    index = happened.get("index") if isinstance(happened, dict) else None
    return {
        "session_hash": session,
        "data": values,
        # Which picture was chosen, and nothing of what the browser says about it.
        "event_data": {"index": index, "value": None} if isinstance(index, int) else None,
        "fn_index": _number(said, "fn_index"),
        "trigger_id": _number(said, "trigger_id", optional=True),
    }


def _number(said: Mapping[str, Any], name: str, *, optional: bool = False) -> int | None:
    found = said.get(name)
    if found is None and optional:
        return None
    if not isinstance(found, int) or isinstance(found, bool):
        raise Closed(400, f"{name} is missing, or is no whole number")
    return found


def _only(query: Mapping[str, list[str]], name: str) -> str | None:
    found = query.get(name, [])
    return found[0] if len(found) == 1 else None


def _understood(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Closed(400, "the body is no JSON") from None
    if not isinstance(found, dict):
        raise Closed(400, "the body is no JSON object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise Closed(422, f"JSON has no {constant[:40]}: send a finite number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Closed(400, "the body ended early")
        body += bytes(message.get("body", b""))
        if len(body) > MAX_EVENT:
            raise Closed(413, f"an event of this page has at most {MAX_EVENT} bytes")
        if not message.get("more_body"):
            return bytes(body)


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    told = [(key, value) for key, value in scope["headers"] if key not in _OF_BODY]
    told += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return waiting.pop() if waiting else await receive()

    return {**scope, "headers": told}, given


_OF_BODY = (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding")
