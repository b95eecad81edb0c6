"""The answer to `forward_auth`: who may pass, whether, and where to.

A 2xx answer lets Caddy pass the request on with an assertion of who asks, through the gateway's relay, which
knows by the number in `X-Easel-Pass` where to; any other answer is what the caller gets.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import get_args
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from easel.assertion import HEADER as ASSERTION
from easel.assertion import USER_HEADER
from easel.gateway import pages
from easel.gateway.access import (
    ANONYMOUS,
    Access,
    Caller,
    Entrance,
    ForwardedRequest,
    Identity,
    Kind,
    Question,
    Refusal,
    Right,
    forbidden,
    local_path,
    without_token,
)
from easel.gateway.audit import AuditLog, change
from easel.gateway.config import CONSOLE
from easel.gateway.counts import Counts
from easel.gateway.door.member_routes import MemberRoutes
from easel.gateway.errors import NOTHING_HERE
from easel.gateway.language import Language, language_of
from easel.gateway.relay import HEADER, CaddyLink
from easel.gateway.replicas import Fleet, NotNow, ReplicaState
from easel.remark import Remark, figure, remark

Handler = Callable[[Request], Awaitable[Response]]
# Caddy alone may ask: everybody on this machine can reach the gateway's port.
KEY_HEADER = "x-easel-door"
_FORM_LIMIT = 64 * 1024
# Seconds between two looks whether who waits still may.
_LOOK_AT_RIGHT = 1.0


class ForwardAuth:
    """Answers Caddy for every endpoint and the console."""

    def __init__(
        self, caddy: CaddyLink, access: Access, identity: Identity, members: MemberRoutes,
        fleet: Callable[[str], Fleet | None], audit: AuditLog, counts: Counts,
        name_of: Callable[[str], str],
    ) -> None:  # fmt: skip
        self._key = caddy.key
        self._own_address = caddy.address
        self._relay = caddy.relay
        self._vouch = access.keyring.vouch
        self._rights = access.rights
        self._identity = identity
        self._members = members
        self._fleet = fleet
        self._name_of = name_of
        self._audit = audit
        self._counts = counts

    def through_caddy(self, handler: Handler) -> Handler:
        """`handler` for what Caddy sent, or what passed Caddy; for all else there is nothing.

        Caddy says the host where many endpoints share a site. By then the host is one of theirs, in the
        caller's spelling.
        """

        async def guarded(request: Request) -> Response:
            shown = request.headers.get(KEY_HEADER, "").encode()
            if not hmac.compare_digest(shown, self._key.encode()):
                return pages.error(404, NOTHING_HERE)
            request.path_params["endpoint"] = self._name_of(request.path_params["endpoint"])
            return await handler(request)

        return guarded

    async def auth(self, request: Request) -> Response:
        """`/auth/{endpoint}`: one request of a caller."""
        name = request.path_params["endpoint"]
        fleet = self._fleet(name)
        if fleet is None and name != CONSOLE:
            return pages.error(404, NOTHING_HERE)
        answer = await self._answer(request, name, fleet)
        if answer.status_code >= 300:
            self._counts.door[name, str(answer.status_code)] += 1
        return answer

    async def _answer(self, request: Request, name: str, fleet: Fleet | None) -> Response:
        asked = ForwardedRequest(
            request.headers.get("x-forwarded-method", "GET"),
            request.headers.get("x-forwarded-uri", "/"),
            request.headers,
        )
        if forbidden(asked.uri) and fleet is not None:
            words = remark("path_forbidden", "this path is not served to callers")
            return pages.refusal(_reader(asked), 404, words)
        if asked.preflight:
            # Here, so that it wakes nobody; 403, because Caddy passes every 2xx on.
            words = remark("no_other_origin", "no page of another origin may call this endpoint")
            return pages.error(403, words, {"Vary": "Origin"})
        who = self._identity.who(name, asked, public=_public(fleet))
        address = asked.address
        if isinstance(who, Question):
            return _question_page(name, asked, who)
        if isinstance(who, Entrance):
            self._audit.add("signed-in", actor=who.session.user, endpoint=name, address=address, by="link")
            return pages.enter(who.location, who.cookie)
        if isinstance(who, Refusal):
            if not who.first:
                self._refused(name, asked, who)
            # Who is signed in at the team's provider need not be asked for anything.
            quiet = await self._members.quietly(name, asked, without_token(asked)) if who.first else None
            return quiet or _refuse(name, asked, who, self._members.provider)
        how = "pass" if who.right.kind == "pass" else "session" if who.right.session else who.right.kind
        # A visitor whom nobody knows yet is new at each request: told of once for their network.
        seen = "anonymous" if who.anonymous else who.right
        self._audit.seen("used", seen, actor=who.user, endpoint=name, address=address, by=how)
        if fleet is None:
            number = self._relay.admit(who.right, self._own_address, own=True)
            return self._pass(name, who, number)
        return await self._route(request, asked, fleet, who)

    async def sign_in(self, request: Request) -> Response:
        """`POST /easel/signin`: the sign-in page's form."""
        name = request.path_params["endpoint"]
        fleet = self._fleet(name)
        if fleet is None and name != CONSOLE:
            return pages.error(404, NOTHING_HERE)
        if request.method != "POST":
            return RedirectResponse("/", 303)
        asked = ForwardedRequest("POST", "/easel/signin", request.headers)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM_LIMIT:
                words = "a sign-in form has at most {n} bytes"
                return pages.error(413, remark("form_too_large", words, n=figure(_FORM_LIMIT, "d")))
        form = parse_qs(body.decode("utf-8", "replace"))
        target = local_path(form.get("next", ["/"])[0])
        who = self._identity.sign_in(name, asked, form.get("token", [""])[0], target)
        if isinstance(who, Entrance):
            self._audit.add(
                "signed-in", actor=who.session.user, endpoint=name, address=asked.address, by="token"
            )
            return pages.enter(who.location, who.cookie)
        self._refused(name, asked, who)
        return _sign_in_page(name, asked, who, target, self._members.provider)

    async def waking(self, request: Request) -> Response:
        """`GET /easel/waking`: what the waking page asks until the endpoint is ready. Wakes nobody, but keeps
        what was asked for from being forgotten while models are fetched."""
        name = request.path_params["endpoint"]
        fleet = self._fleet(name)
        if fleet is None:
            return pages.error(404, NOTHING_HERE)
        who = self._identity.who(
            name, ForwardedRequest("GET", "/easel/waking", request.headers), public=_public(fleet)
        )
        if not isinstance(who, Caller):
            return pages.error(401, remark("session_ended", "your session ended; reload the page"))
        fleet.linger()
        speaks, detail, missing = language_of(request.headers), fleet.detail, _missing(fleet)
        words = {"detail": speaks.say(detail), "missing": speaks.say(missing)}
        return pages.data({"state": fleet.state, "detail": detail, "missing": missing, "words": words})

    async def _route(self, request: Request, asked: ForwardedRequest, fleet: Fleet, who: Caller) -> Response:
        # Somebody anonymous who brings a cookie back is a browser, however little it says of itself.
        lost = request.headers.get("x-easel-lost")
        if lost and (address := self._relay.unanswered(lost)):
            # Caddy asks a second time: where it was sent to, nobody answered.
            fleet.lost(address)
        kind = asked.kind(api=who.api, anonymous=who.anonymous and (who.api or who.cookie is not None))
        if kind in ("navigation", "draw") and fleet.ask(_WHY[kind]):
            self._woke(fleet, asked, who)
        strict = not who.api
        found = fleet.pick(who.user, strict=strict)
        if isinstance(found, NotNow):
            if asked.navigation:
                return _waking_page(fleet, asked, found, kind, who)
            if kind == "rest" or (kind == "call" and who.anonymous):
                return _later(found)
            if fleet.ask(_WHY[kind]):
                self._woke(fleet, asked, who)
            gone = self._over(request, who.right)
            began = time.monotonic()
            found = await fleet.hold(who.user, strict=strict, gone=gone, why=_WHY[kind])
            self._counts.waited(
                fleet.endpoint.name, served=not isinstance(found, NotNow), seconds=time.monotonic() - began
            )
            if not self._rights.hold(who.right):
                words = "what let you in ended while you waited; sign in again"
                return pages.error(401, remark("ended_waiting", words))
            if isinstance(found, NotNow):
                return _later(found)
        counted = None if asked.poll else fleet.passed(found, draws=kind == "draw", lasting=asked.lasting)
        over = self._noting(fleet.endpoint.name, asked, who)
        number = self._relay.admit(
            who.right, found.address or "", counted=counted, looks=asked.poll, over=over
        )
        return self._pass(fleet.endpoint.name, who, number, again=asked.repeatable and not lost)

    def _pass(self, name: str, who: Caller, number: str, *, again: bool = False) -> Response:
        # Studio and console go by the assertion alone; the name is for containers that are not Easel's.
        headers = {USER_HEADER: who.user, ASSERTION: self._vouch(who.user, name), HEADER: number}
        # Caddy keeps the request and asks once more, should the replica go away before it answers.
        headers |= {"X-Easel-Again": "1"} if again else {}
        return Response(headers=headers | ({"X-Easel-Cookie": who.cookie} if who.cookie else {}))

    def _noting(self, endpoint: str, asked: ForwardedRequest, who: Caller) -> Callable[[int], None] | None:
        """What writes down that files or models were changed, and whether it worked."""
        changed = change(asked)
        if changed is None:
            return None
        kind, what = changed

        def over(status: int) -> None:
            self._audit.add(
                kind, actor=who.user, endpoint=endpoint, address=asked.address,
                method=asked.method, path=asked.path, what=what, status=status,
            )  # fmt: skip

        return over

    def _woke(self, fleet: Fleet, asked: ForwardedRequest, who: Caller) -> None:
        self._audit.add("woke", actor=who.user, endpoint=fleet.endpoint.name, address=asked.address)

    def _refused(self, name: str, asked: ForwardedRequest, who: Refusal) -> None:
        self._counts.refused[name, str(who.status)] += 1
        self._audit.refused(
            endpoint=name, address=asked.address, status=who.status, why=who.reason, method=asked.method,
            path=asked.path,
        )  # fmt: skip

    async def _over(self, request: Request, right: Right) -> None:
        """Returns when the caller hung up (Caddy then drops its question), or has no right any more."""
        gone = asyncio.ensure_future(_gone(request))
        try:
            while not gone.done() and self._rights.hold(right):
                await asyncio.wait({gone}, timeout=_LOOK_AT_RIGHT)
        finally:
            gone.cancel()


_WHY: dict[Kind, Remark] = {
    "navigation": remark("why_opened", "somebody opened the page"),
    "draw": remark("why_draws", "somebody draws"),
    "call": remark("why_called", "an API client called"),
    "rest": remark("why_waits", "somebody waits"),
}


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _public(fleet: Fleet | None) -> bool:
    return fleet is not None and fleet.endpoint.public


def _question_page(name: str, asked: ForwardedRequest, who: Question) -> Response:
    # 409: whatever is not 2xx is what the caller gets, and nothing was wrong with the link.
    return pages.page(
        "become.html", language_of(asked.headers), 409, endpoint=name, current=who.current,
        visitor=who.current == ANONYMOUS, wanted=who.wanted, token=who.token, target=who.target,
    )  # fmt: skip


def _refuse(name: str, asked: ForwardedRequest, who: Refusal, provider: str | None) -> Response:
    if asked.navigation and who.status != 403:
        return _sign_in_page(name, asked, who, without_token(asked), provider)
    headers = {"Retry-After": str(who.retry_after)} if who.retry_after else {}
    if who.status == 401:
        # `Basic` makes a browser ask in a window of its own, which the sign-in page is there to spare people.
        basic = "" if asked.from_browser else 'Basic realm="easel", charset="UTF-8", '
        headers["WWW-Authenticate"] = basic + 'Bearer realm="easel"'
    return pages.refusal(_reader(asked), who.status, who.reason, headers)


def _sign_in_page(
    name: str, asked: ForwardedRequest, who: Refusal, target: str, provider: str | None
) -> Response:  # fmt: skip
    headers = {"Retry-After": str(who.retry_after)} if who.retry_after else {}
    if who.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="easel"'
    wrong = None if who.first else who.reason
    return pages.page(
        "signin.html", language_of(asked.headers), who.status, headers,
        endpoint=name, wrong=wrong, target=target, provider=provider,
    )  # fmt: skip


def _waking_page(
    fleet: Fleet, asked: ForwardedRequest, found: NotNow, kind: Kind, who: Caller
) -> Response:  # fmt: skip
    # A page that only came along (a crawler, a prefetch) must not be told that something starts.
    state = (
        "starting" if found.state == "asleep" and kind == "navigation" and not found.final else found.state
    )
    detail = remark("waking_up", "waking up") if state != found.state else found.detail
    headers = {"Retry-After": "5"} | ({"Set-Cookie": who.cookie} if who.cookie else {})
    speaks = language_of(asked.headers)
    return pages.page(
        "waking.html", speaks, 503, headers, endpoint=fleet.endpoint.name, state=state, detail=detail,
        missing=_missing(fleet), titles={one: speaks.text(f"waking.{one}") for one in get_args(ReplicaState)},
    )  # fmt: skip


def _reader(asked: ForwardedRequest) -> Language | None:
    """Who waits for a page, and reads this language; None for a program."""
    return language_of(asked.headers) if asked.navigation else None


def _missing(fleet: Fleet) -> str:
    """That it wakes without some of its models; "" if none is missing. The reason names buckets and secrets,
    which are no business of a visitor."""
    failed = fleet.models is not None and fleet.models.phase == "failed"
    words = "Some of its models could not be fetched: the console says which, and why."
    return remark("models_missing", words) if failed else ""


def _later(found: NotNow) -> Response:
    # A program's answer: a person who waits for a page gets the waking page.
    words = {
        "asleep": "the endpoint is asleep; opening its page or drawing wakes it",
        "failed": f"the endpoint failed: {found.detail}",
    }.get(found.state, f"the endpoint is not ready yet ({found.state}: {found.detail})")
    return pages.error(503, words, {"Retry-After": str(found.again)}, kind=found.state)
