"""What the `easel` command and the console ask of the gateway (docs/architecture.md, "Operator API")."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from easel.gateway import pages
from easel.gateway.access import (
    LASTS,
    OPERATOR,
    OVERLAP,
    Access,
    Operator,
    OperatorPasses,
    Right,
    Token,
    address_of,
)
from easel.gateway.access.oidc import is_member
from easel.gateway.audit import AuditLog
from easel.gateway.config import CONSOLE
from easel.gateway.console.endpoints import Endpoints
from easel.gateway.console.refusals import NONE, refused
from easel.gateway.disk import FULL
from easel.gateway.errors import NoRoom, TokenConflict, TokenRefused, UnknownEndpoint
from easel.gateway.language import language_of
from easel.gateway.relay import HEADER, Relay
from easel.gateway.replicas import Fleet
from easel.remark import figure, remark, said_by

# By this the `easel` command knows that it asked a console, and not an endpoint that answers anything.
CONSOLE_HEADER = "X-Easel-Console"
# Where a request's scope has who asks, once that is verified. Nothing here reads it from a header.
USER = "easel.user"
_DURATION = re.compile(r"([0-9]{1,9}[smhdw])+")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BODY_LIMIT = 64 * 1024
_MOST_LINES = 100_000
_ROTATED = remark("secret_rotated", "a new secret signs; what the old one signed counts on")
_ROTATED_AT_ONCE = remark(
    "secret_rotated_now", "a new secret signs; what the old one signed is worth nothing"
)
_UNSETTLED = remark(
    "not_settled",
    "this counts from now on, but it cannot be written down: it would be forgotten if the gateway ended now. "
    "Make room on its disk (or let it reach its bucket); it is tried again every second",
)


class OperatorApi:
    """The handlers; who may call them is the app's business."""

    def __init__(
        self, endpoints: Endpoints, access: Access, operator: Operator, relay: Relay, audit: AuditLog
    ) -> None:
        self._fleets = endpoints.fleets
        self._backend = endpoints.backend
        self._url = endpoints.url
        self._tokens = access.tokens
        self._links = access.links
        self._keyring = access.keyring
        self._ended = access.ended
        self._passes = OperatorPasses(access.keyring)
        self._relay = relay
        self._audit = audit
        # Who shows the gateway's own key is not known by a number of Caddy's.
        self._operator = operator.right

    def status(self, *, links: bool = True) -> dict[str, Any]:
        """`GET /api/status`. Times are Unix seconds. Without `links` for who may look only: a link opens."""
        console, endpoints = self._place(CONSOLE), [self._endpoint(name) for name in self._fleets]
        if not links:
            for place in (console, *endpoints):
                place["link"] = None
        return {"console": console, "endpoints": endpoints}

    async def get_status(self, request: Request) -> Response:
        """`GET /api/status`."""
        return pages.data(self.status(links=not by_member(request)))

    async def get_tokens(self, request: Request) -> Response:
        """`GET /api/tokens?endpoint=`."""
        return pages.data(self.tokens(request.query_params.get("endpoint")))

    def tokens(self, endpoint: str | None) -> list[dict[str, Any]]:
        """The tokens of an endpoint or of all, without their secrets."""
        return [_shown(token) for token in self._tokens.of(endpoint)]

    async def post_token(self, request: Request) -> Response:
        """`POST /api/tokens`: `{"endpoint", "name", "expires"}`; the answer is the only time the token is
        seen."""
        body = await _json(request)
        endpoint, name, expires = body.get("endpoint"), body.get("name"), body.get("expires")
        if not isinstance(endpoint, str) or not isinstance(name, str):
            raise TokenRefused(remark("token_fields", "endpoint and name must be given, as text"))
        self._known(endpoint)
        ends = moment(expires, time.time())
        try:
            token = await asyncio.to_thread(self._tokens.new, endpoint, name, ends)
        except OSError as error:
            if error.errno not in FULL:
                raise
            words = (
                "the disk that holds EASEL_HOME is full, so no token is made: make room on it (`easel files "
                "rm`, `easel models rm`, or old files of logs/), then make {name} again"
            )
            raise NoRoom(remark("token_no_room", words, name=name)) from None
        self._note(request, "token-made", endpoint, what=name, until=ends)
        self._backend.events.add(
            endpoint, None, "token", remark("token_made", "token {name} made", name=name)
        )
        return pages.data({"token": token, "link": f"{self._url(endpoint)}?token={token}"}, 201)

    async def delete_token(self, request: Request) -> Response:
        """`DELETE /api/tokens/{endpoint}/{name}`."""
        endpoint, name = request.path_params["endpoint"], request.path_params["name"]
        if not await asyncio.to_thread(self._tokens.revoke, endpoint, name):
            names = ", ".join(token.name for token in self._tokens.of(endpoint)) or NONE
            words = "{endpoint} has no token named {name}; it has: {names}"
            text = remark("token_unknown", words, endpoint=endpoint, name=repr(name), names=names)
            return refused(request, 404, text)
        self._relay.look()
        self._note(request, "token-revoked", endpoint, what=name)
        text = remark("token_revoked", "token {name} revoked", name=name)
        self._backend.events.add(endpoint, None, "token", text)
        return _done(request, self._tokens.settled)

    async def end_sessions(self, request: Request) -> Response:
        """`DELETE /api/sessions?member=`, or `?endpoint=&token=`: everybody who signed in as that member, or
        with that token, does so again. The token stays good."""
        asked = request.query_params
        member, endpoint, name = asked.get("member"), asked.get("endpoint"), asked.get("token")
        if member and not endpoint and not name:
            await asyncio.to_thread(self._ended.member, member.lower())
            self._note(request, "sessions-ended", what=member.lower())
        elif endpoint and name and not member:
            found = [one for one in self._tokens.of(endpoint) if one.name == name]
            if not found:
                words = "{endpoint} has no token named {name}"
                text = remark("token_not_there", words, endpoint=endpoint, name=repr(name))
                return refused(request, 404, text)
            for one in found:
                await asyncio.to_thread(self._ended.token, endpoint, one.id)
            self._note(request, "sessions-ended", endpoint, what=name)
        else:
            words = "say whose sessions end: member, or endpoint and token"
            return refused(request, 422, remark("sessions_whose", words))
        self._relay.look()
        return _done(request, self._ended.settled)

    async def get_audit(self, request: Request) -> Response:
        """`GET /api/audit?endpoint=&since=&tail=`: lines of the audit log, oldest first."""
        asked = request.query_params
        try:
            since = float(asked.get("since") or 0.0)
            most = max(1, min(_MOST_LINES, int(asked.get("tail") or 1000)))
        except ValueError:
            words = "since is Unix seconds, tail a number of lines"
            return refused(request, 422, remark("audit_fields", words))
        found = await asyncio.to_thread(
            self._audit.lines, endpoint=asked.get("endpoint") or None, since=since, most=most
        )
        text = "".join(f"{line}\n" for line in found)
        return PlainTextResponse(text, headers={"Cache-Control": "no-store"})

    async def get_events(self, request: Request) -> Response:
        """`GET /api/events?endpoint=`: oldest first."""
        events = self._backend.events.of(request.query_params.get("endpoint"))
        return pages.data([asdict(event) for event in events])

    async def get_logs(self, request: Request) -> Response:
        """`GET /api/logs/{endpoint}/{replica}?tail=`."""
        endpoint, replica = request.path_params["endpoint"], request.path_params["replica"]
        self._fleet(endpoint)
        wished = request.query_params.get("tail", "200")
        tail = min(10_000, int(wished)) if wished.isascii() and wished.isdecimal() else 200
        return PlainTextResponse(
            await self._backend.logs(endpoint, replica, tail), headers={"Cache-Control": "no-store"}
        )

    async def post_pass(self, request: Request) -> Response:
        """`POST /api/endpoints/{endpoint}/pass`: a key for the endpoint's own door, as its operator."""
        name = request.path_params["endpoint"]
        self._fleet(name)
        right, ends = self._right(request), time.time() + LASTS
        if right is None:
            return refused(request, 401, remark("right_ended", "what let you in has ended; sign in again"))
        self._note(request, "pass-made", name)
        made = self._passes.issue(name, right)
        return pages.data({"token": made, "url": self._url(name), "expires": ends}, 201)

    async def post_rotation(self, request: Request) -> Response:
        """`POST /api/secret/rotation`: `{"now"}`; a new secret signs from here on. `now`: what the old ones
        signed is worth nothing any more, and everybody signs in again."""
        now = (await _json(request)).get("now", False)
        if not isinstance(now, bool):
            words = "now: {value} is neither true nor false"
            raise TokenRefused(remark("rotation_now", words, value=repr(now)[:40]))
        made = await asyncio.to_thread(self._keyring.rotate, now=now)
        self._note(request, "secret-rotated", at_once=now)
        until = made.made if now else made.made + OVERLAP
        text = _ROTATED_AT_ONCE if now else _ROTATED
        self._backend.events.add("team", None, "secret", text)
        return pages.data({"made": made.made, "until": until}, 201)

    async def post_wake(self, request: Request) -> Response:
        """`POST /api/endpoints/{endpoint}/wake`; with `?now=true` without waiting for its models."""
        at_once, name = request.query_params.get("now") == "true", request.path_params["endpoint"]
        await self._fleet(name).wake(at_once=at_once)
        self._note(request, "woke", name)
        return pages.data({})

    async def post_sleep(self, request: Request) -> Response:
        """`POST /api/endpoints/{endpoint}/sleep`."""
        name = request.path_params["endpoint"]
        await self._fleet(name).sleep()
        self._note(request, "put-to-sleep", name)
        return pages.data({})

    async def refused(self, request: Request, error: Exception) -> Response:
        """An error of ours as an answer."""
        kinds = {UnknownEndpoint: 404, TokenConflict: 409, TokenRefused: 422, NoRoom: 507}
        status = next((status for kind, status in kinds.items() if isinstance(error, kind)), 503)
        return refused(request, status, said_by(error), {CONSOLE_HEADER: "1"})

    def _right(self, request: Request) -> Right | None:
        """What who asks was let in by: here, or at the console's door, which gave the request a number."""
        if request.scope["path"].startswith("/console/"):
            return self._relay.right_of(request.headers.get(HEADER, ""))
        return self._operator

    def _note(self, request: Request, kind: str, endpoint: str = "", **detail: Any) -> None:
        actor = str(request.scope.get(USER) or OPERATOR)
        address = address_of(request.headers) or "local"
        self._audit.add(kind, actor=actor, endpoint=endpoint, address=address, **detail)

    def _endpoint(self, name: str) -> dict[str, Any]:
        fleet = self._fleets[name]
        load = fleet.load(time.monotonic())
        return {
            "name": name,
            **self._place(name),
            "state": fleet.state,
            "detail": fleet.detail,
            "public": fleet.endpoint.public,
            "models": fleet.models.as_json() if fleet.models else None,
            "running": load.running,
            "queued": load.queued,
            "waiting": load.waiting,
            "replicas": [
                {"id": one.id, "state": one.state, "since": one.since, "detail": one.detail}
                for one in fleet.replicas
            ],
        }

    def _place(self, name: str) -> dict[str, Any]:
        url, token = self._url(name), self._links.token(name)
        return {"url": url, "link": f"{url}?token={token}" if token else None}

    def _known(self, endpoint: str) -> None:
        if endpoint != CONSOLE:
            self._fleet(endpoint)

    def _fleet(self, endpoint: str) -> Fleet:
        fleet = self._fleets.get(endpoint)
        if fleet is None:
            words = "there is no endpoint {endpoint}; there is: {names}"
            names = ", ".join(self._fleets) or NONE
            raise UnknownEndpoint(remark("endpoint_unknown", words, endpoint=repr(endpoint), names=names))
        return fleet


def _done(request: Request, settled: bool) -> Response:
    """It is done; 202 with a warning where it is not written down yet."""
    if settled:
        return pages.data({})
    return pages.data({"detail": _UNSETTLED, "words": language_of(request.headers).sentence(_UNSETTLED)}, 202)


def by_member(request: Request) -> bool:
    """Whether a member asks, who may look only; so is everybody of whom nothing is known."""
    user = request.scope.get(USER)
    return not isinstance(user, str) or is_member(user)


def moment(expires: object, now: float) -> float | None:
    """When a token ends, in Unix seconds: from None (never), Unix seconds, `30d` from now, or an ISO 8601
    moment."""
    if expires is None or expires == "":
        return None
    if isinstance(expires, int | float) and not isinstance(expires, bool):
        return float(expires)
    if isinstance(expires, str):
        if _DURATION.fullmatch(expires):
            parts = re.findall(r"([0-9]{1,9})([smhdw])", expires)
            return now + sum(int(number) * _SECONDS[unit] for number, unit in parts)
        try:
            when = datetime.fromisoformat(expires)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass  # told below, with what is allowed
    words = "expires: {value} is not a moment: write 12h, 30d, 2027-01-31, Unix seconds, or nothing for never"
    raise TokenRefused(remark("token_moment", words, value=repr(expires)))


def _shown(token: Token) -> dict[str, Any]:
    fields = asdict(token)
    for own in ("hash", "given", "revoked"):
        del fields[own]
    return fields


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


async def _json(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            words = "the body has more than {n} bytes"
            raise TokenRefused(remark("json_too_large", words, n=figure(_BODY_LIMIT, "d")))
    try:
        content = json.loads(body, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise TokenRefused(remark("body_no_json", "the body is not JSON: {why}", why=error)) from None
    if not isinstance(content, dict):
        raise TokenRefused(remark("body_no_object", "the body must be a JSON object"))
    return content
