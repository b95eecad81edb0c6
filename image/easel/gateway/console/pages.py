"""The console: endpoints, replicas, events, logs and tokens on one page, for whoever has its link."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from easel.gateway import pages
from easel.gateway.console.endpoints import Endpoints
from easel.gateway.console.operator_api import OperatorApi, by_member
from easel.gateway.console.refusals import refused
from easel.gateway.errors import NOTHING_HERE
from easel.gateway.events import Event
from easel.gateway.language import COOKIE, LANGUAGES, Language, language_of

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
        speaks = language_of(request.headers)
        tokens: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for token in self._api.tokens(None) if operator else ():
            tokens[token["endpoint"]].append({**token, **_words(token, now, speaks)})
        # Its style and script are files of the same address, so 'self' is all it needs.
        policy = {"Content-Security-Policy": _POLICY}
        return pages.page(
            "console.html", speaks, headers=policy, team=self._team().team, tokens=tokens,
            languages=LANGUAGES, cookie=COOKIE, **self._values(operator, speaks),
        )  # fmt: skip

    async def live(self, request: Request) -> Response:
        """The parts of the page that change by themselves."""
        speaks = language_of(request.headers)
        return pages.page("lives.html", speaks, **self._values(not by_member(request), speaks))

    async def static(self, request: Request) -> Response:
        """Style and script, from this package."""
        name = request.path_params["name"]
        if name not in _FILES:
            return refused(request, 404, NOTHING_HERE)
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

    def _values(self, operator: bool, speaks: Language) -> dict[str, Any]:
        now = time.time()
        status = {**self._api.status(links=operator), "operator": operator}
        for endpoint in status["endpoints"]:
            events = self._backend.events.of(endpoint["name"])[-_EVENTS_SHOWN:]
            endpoint["events"] = [_shown(event, now, speaks) for event in reversed(events)]
            for replica in endpoint["replicas"]:
                replica["for"] = speaks.span(now - replica["since"])
        team_events = self._backend.events.of("team")[-3:]
        status["notices"] = [_shown(event, now, speaks) for event in reversed(team_events)]
        return status


def shown_to_members(method: str, path: str) -> bool:
    """Whether a request only looks at how the team's endpoints are. Logs are the operator's: they may hold
    other people's prompts."""
    return method in ("GET", "HEAD") and bool(_SHOWN.fullmatch(path))


def _shown(event: Event, now: float, speaks: Language) -> dict[str, Any]:
    at = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    return {
        "replica": event.replica, "kind": event.kind, "text": speaks.say(event.text), "at": at,
        "ago": speaks.ago(now - event.at),
    }  # fmt: skip


def _words(token: dict[str, Any], now: float, speaks: Language) -> dict[str, str]:
    expires, used = token["expires"], token["last_used"]
    ends = (
        speaks.text("tokens.never")
        if expires is None
        else speaks.text(
            "tokens.in", span=speaks.span(expires - now + (43200 if expires - now > 86400 else 60))
        )
        if expires > now
        else speaks.text("tokens.ended")
    )
    last = speaks.text("tokens.used", ago=speaks.ago(now - used)) if used else speaks.text("tokens.unused")
    return {"expires_words": ends, "used_words": last}


def _overlap(before: list[str], after: list[str]) -> int:
    """How many of `after`'s first lines were shown already: the longest end of `before` that `after` starts
    with."""
    for length in range(min(len(before), len(after)), 0, -1):
        if before[-length:] == after[:length]:
            return length
    return 0
