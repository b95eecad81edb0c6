"""The door's addresses for members: off to the identity provider, back from it, and out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from easel.gateway import pages
from easel.gateway.audit import Audit
from easel.gateway.config import CONSOLE
from easel.gateway.errors import SignOnFailed
from easel.gateway.identity import Identity, Refusal, address_of
from easel.gateway.paths import Ask, local_path
from easel.gateway.sign_on import SignOn

_CALLBACK = "easel/member/callback"
_HOST = re.compile(r"([0-9A-Za-z.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
_LONGEST_QUERY = 16 * 1024
_LONGEST_FORM = 1024


class MemberDoor:
    """Answers what Caddy passes of `/easel/member`, `/easel/member/callback` and `/easel/signout`.

    `url` gives the public address of an endpoint or the console. The provider knows one address of the team,
    the console's: an endpoint's answer is sent on to it, where the browser has the cookie that it began with.
    So the code travels once more, within the team's hosts; without that cookie it is worth nothing.
    """

    def __init__(self, identity: Identity, sign_on: SignOn, url: Callable[[str], str], audit: Audit) -> None:
        self._identity = identity
        self._audit = audit
        self._sign_on = sign_on
        self._url = url

    @property
    def provider(self) -> str | None:
        """What the sign-in page calls the provider; None if members cannot sign in."""
        members = self._sign_on.members
        return members.provider if members else None

    async def quietly(self, name: str, ask: Ask, target: str) -> Response | None:
        """By way of the provider without a question to the person; None if that is not to be tried."""
        if not self._sign_on.may_ask_quietly(name, ask):
            return None
        try:
            trip = await self._sign_on.begin(name, ask, target, self._callback(CONSOLE, ask), quiet=True)
        except SignOnFailed:
            return None  # it was told to the operator; the sign-in page works without it
        return pages.enter(trip.location, trip.cookie)

    async def depart(self, request: Request) -> Response:
        """`GET /easel/member?next=&another=`: to the provider."""
        name, ask = _asked(request, "/easel/member")
        target = local_path(request.query_params.get("next") or "/")
        another = request.query_params.get("another") == "1"
        try:
            back = self._callback(CONSOLE, ask)
            trip = await self._sign_on.begin(name, ask, target, back, another=another)
        except SignOnFailed as error:
            return self._told(name, error)
        return pages.enter(trip.location, trip.cookie)

    async def arrive(self, request: Request) -> Response:
        """`GET /easel/member/callback`: the provider's answer; at the console, those for all endpoints."""
        name, ask = _asked(request, "/easel/member/callback")
        try:
            query = request.url.query
            if len(query) > _LONGEST_QUERY:
                raise SignOnFailed(400, "this is no answer to a sign-in; sign in again")
            found = parse_qs(query, keep_blank_values=True)
            if name == CONSOLE and (begun_at := self._sign_on.begun_at(found)) != CONSOLE:
                return pages.enter(self._onward(begun_at, ask, found))
            arrival = await self._sign_on.finish(name, ask, found, self._callback(CONSOLE, ask))
        except SignOnFailed as error:
            self._audit.refused(
                endpoint=name, address=address_of(ask), status=error.status, why=error.words, by="sign-on"
            )
            return self._told(name, error)
        members = self._sign_on.members
        if arrival.member is None or members is None:
            return pages.enter(arrival.target)
        who = self._identity.welcome(name, ask, arrival.member, members, arrival.target)
        self._audit.add(
            "signed-in", actor=who.session.user, endpoint=name, address=address_of(ask), by="sign-on"
        )
        return pages.enter(who.location, who.cookie)

    async def sign_out(self, request: Request) -> Response:
        """`/easel/signout`: asks, and then ends the session of this browser at this endpoint; a member's in
        all browsers at all endpoints, if they wish."""
        name, ask = _asked(request, "/easel/signout")
        session = self._identity.present(name, ask)
        if request.method != "POST":
            member = session.token if session and session.member else None
            return pages.page("signout.html", endpoint=name, provider=self.provider, member=member)
        body = b""
        async for chunk in request.stream():
            body = (body + chunk)[:_LONGEST_FORM]
        everywhere = b"everywhere=1" in body.split(b"&")
        who = await asyncio.to_thread(self._identity.leave, name, ask, everywhere=everywhere)
        if isinstance(who, Refusal):
            return pages.error(who.status, who.reason)
        if session is not None:
            self._audit.add(
                "signed-out", actor=session.user, endpoint=name, address=address_of(ask),
                everywhere=everywhere and session.member,
            )  # fmt: skip
        return pages.enter("/", who, self._sign_on.left(name, ask))

    def _told(self, name: str, error: SignOnFailed) -> Response:
        provider = None if error.status == 404 else self.provider
        return pages.page(
            "member.html", error.status, endpoint=name, words=error.words, outsider=error.outsider,
            provider=provider,
        )  # fmt: skip

    def _onward(self, name: str, ask: Ask, found: Mapping[str, Sequence[str]]) -> str:
        """Where the console sends an answer on to. Raises SignOnFailed for an endpoint that is gone."""
        there = self._callback(name, ask)
        if there == self._callback(CONSOLE, ask):
            raise SignOnFailed(404, f"{name}, where you wanted to go, is not there any more")
        return f"{there}?{urlencode(found, doseq=True)}"

    def _callback(self, name: str, ask: Ask) -> str:
        """Where an endpoint or the console takes the provider's answer."""
        url = self._url(name)
        host = _HOST.fullmatch(ask.headers.get("x-forwarded-host", ""))
        if ask.secure or host is None:
            return url + _CALLBACK
        # A laptop is called localhost, 127.0.0.1 or by its name, and cookies go by that.
        return f"http://{host[1]}:{urlsplit(url).port or 80}/{_CALLBACK}"


def _asked(request: Request, path: str) -> tuple[str, Ask]:
    return request.path_params["endpoint"], Ask(request.method, path, request.headers)
