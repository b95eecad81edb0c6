"""The console: endpoints, replicas, events, logs and tokens on one page, for whoever has its link."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from easel.gateway import pages
from easel.gateway.console.endpoints import Endpoints
from easel.gateway.console.operator_api import OperatorApi, by_member

_STATIC = Path(__file__).parent / "static"
_FILES = {"console.css": "text/css", "console.js": "text/javascript"}
_EVENTS_SHOWN = 8
# What members see of the console, as it is written: no other spelling counts.
_SHOWN = re.compile(r"/console(/|/live|/static/[a-z.]+|/api/(status|events))")
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class ConsolePages:
    """The pages; the buttons on them use the operator API under the same address."""

    def __init__(self, api: OperatorApi, endpoints: Endpoints) -> None:
        self._api = api
        self._backend = endpoints.backend
        self._team = endpoints.team

    def routes(self) -> list[tuple[str, Callable[[Request], Awaitable[Response]]]]:
        """Paths below the console's address."""
        return [
            ("/", self.index),
            ("/live", self.live),
            ("/static/{name}", self.static),
            ("/logs/{endpoint}/{replica}/follow", self.follow),
        ]

    async def index(self, request: Request) -> Response:
        """The page."""
        now = time.time()
        operator = not by_member(request)
        tokens: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for token in self._api.tokens(None) if operator else ():
            tokens[token["endpoint"]].append({**token, **_words(token, now)})
        # Its style and script are files of the same address, so 'self' is all it needs.
        policy = {"Content-Security-Policy": _POLICY}
        return pages.page(
            "console.html", headers=policy, team=self._team().team, tokens=tokens, **self._values(operator)
        )

    async def live(self, request: Request) -> Response:
        """The parts of the page that change by themselves."""
        return pages.page("lives.html", **self._values(not by_member(request)))

    async def static(self, request: Request) -> Response:
        """Style and script, from this package."""
        name = request.path_params["name"]
        if name not in _FILES:
            return pages.error(404, "there is nothing here")
        return FileResponse(_STATIC / name, media_type=_FILES[name], headers={"Cache-Control": "no-cache"})

    async def follow(self, request: Request) -> Response:
        """A replica's log as an event stream: its last lines, then each new one."""
        endpoint, replica = request.path_params["endpoint"], request.path_params["replica"]
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return StreamingResponse(
            self._lines(endpoint, replica), media_type="text/event-stream", headers=headers
        )

    async def _lines(self, endpoint: str, replica: str) -> AsyncIterator[str]:
        shown: list[str] = []
        while True:
            lines = (await self._backend.logs(endpoint, replica, 400)).splitlines()
            new = lines[_overlap(shown, lines) :]
            if new:
                yield f"data: {json.dumps(new)}\n\n"
            elif not shown:
                yield ": nothing yet\n\n"
            shown = lines
            await asyncio.sleep(1)

    def _values(self, operator: bool) -> dict[str, Any]:
        now = time.time()
        status = {**self._api.status(links=operator), "operator": operator}
        for endpoint in status["endpoints"]:
            events = self._backend.events.of(endpoint["name"])[-_EVENTS_SHOWN:]
            endpoint["events"] = [{**asdict(event), "ago": ago(now - event.at)} for event in reversed(events)]
            for replica in endpoint["replicas"]:
                replica["for"] = ago(now - replica["since"], "")
        team_events = self._backend.events.of("team")[-3:]
        status["notices"] = [
            {"text": event.text, "ago": ago(now - event.at)} for event in reversed(team_events)
        ]
        return status


def shown_to_members(method: str, path: str) -> bool:
    """Whether a request only looks at how the team's endpoints are. Logs are the operator's: they may hold
    other people's prompts."""
    return method in ("GET", "HEAD") and bool(_SHOWN.fullmatch(path))


def ago(seconds: float, suffix: str = " ago") -> str:
    """A span in words short enough for a column."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}{suffix}"
    return f"{max(0, int(seconds))} s{suffix}"


def _words(token: dict[str, Any], now: float) -> dict[str, str]:
    expires, used = token["expires"], token["last_used"]
    ends = (
        "never ends"
        if expires is None
        else f"ends in {ago(expires - now + (43200 if expires - now > 86400 else 60), '')}"
        if expires > now
        else "ended"
    )
    return {"expires_words": ends, "used_words": f"used {ago(now - used)}" if used else "not used yet"}


def _overlap(before: list[str], after: list[str]) -> int:
    """How many of `after`'s first lines were shown already: the longest end of `before` that `after` starts
    with."""
    for length in range(min(len(before), len(after)), 0, -1):
        if before[-length:] == after[:length]:
            return length
    return 0
