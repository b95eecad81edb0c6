"""The door's addresses for members: off to the identity provider, back from it, and out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from easel.gateway import pages
from easel.gateway.access import ForwardedRequest, Identity, Refusal, local_path
from easel.gateway.access.oidc import NO_ANSWER, Login
from easel.gateway.audit import AuditLog
from easel.gateway.config import CONSOLE
from easel.gateway.errors import LoginFailed
from easel.gateway.language import language_of
from easel.remark import remark

_CALLBACK = "easel/member/callback"
_HOST = re.compile(r"([0-9A-Za-z.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")
_LONGEST_QUERY = 16 * 1024
_LONGEST_FORM = 1024


class MemberRoutes:
    """Answers what Caddy passes of `/easel/member`, `/easel/member/callback` and `/easel/signout`.

    `url` gives the public address of an endpoint or the console. The provider knows one address of the team,
    the console's: an endpoint's answer is sent on to it, where the browser has the cookie that it began with.
    So the code travels once more, within the team's hosts; without that cookie it is worth nothing.
    """

    def __init__(self, identity: Identity, login: Login, url: Callable[[str], str], audit: AuditLog) -> None:
        self._identity = identity
        self._audit = audit
        self._login = login
        self._url = url

    @property
    def provider(self) -> str | None:
        """What the sign-in page calls the provider; None if members cannot sign in."""
        members = self._login.members
        return members.provider if members else None

    async def quietly(self, name: str, asked: ForwardedRequest, target: str) -> Response | None:
        """By way of the provider without a question to the person; None if that is not to be tried."""
        if not self._login.may_ask_quietly(name, asked):
            return None
        try:
            redirect = await self._login.begin(
                name, asked, target, self._callback(CONSOLE, asked), quiet=True
            )
        except LoginFailed:
            return None  # it was told to the operator; the sign-in page works without it
        return pages.enter(redirect.location, redirect.cookie)

    async def depart(self, request: Request) -> Response:
        """`GET /easel/member?next=&another=`: to the provider."""
        name, asked = _forwarded(request, "/easel/member")
        target = local_path(request.query_params.get("next") or "/")
        another = request.query_params.get("another") == "1"
        try:
            back = self._callback(CONSOLE, asked)
            redirect = await self._login.begin(name, asked, target, back, another=another)
        except LoginFailed as error:
            return self._told(name, asked, error)
        return pages.enter(redirect.location, redirect.cookie)

    async def arrive(self, request: Request) -> Response:
        """`GET /easel/member/callback`: the provider's answer; at the console, those for all endpoints."""
        name, asked = _forwarded(request, "/easel/member/callback")
        try:
            query = request.url.query
            if len(query) > _LONGEST_QUERY:
                raise LoginFailed(400, NO_ANSWER)
            found = parse_qs(query, keep_blank_values=True)
            if name == CONSOLE and (begun_at := self._login.begun_at(found)) != CONSOLE:
                return pages.enter(self._onward(begun_at, asked, found))
            arrival = await self._login.finish(name, asked, found, self._callback(CONSOLE, asked))
        except LoginFailed as error:
            self._audit.refused(
                endpoint=name,
                address=asked.address,
                status=error.status,
                why=error.words,
                by="sign-on",
            )
            return self._told(name, asked, error)
        members = self._login.members
        if arrival.member is None or members is None:
            return pages.enter(arrival.target)
        who = self._identity.welcome(name, asked, arrival.member, members, arrival.target)
        self._audit.add(
            "signed-in", actor=who.session.user, endpoint=name, address=asked.address, by="sign-on"
        )
        return pages.enter(who.location, who.cookie)

    async def sign_out(self, request: Request) -> Response:
        """`/easel/signout`: asks, and then ends the session of this browser at this endpoint; a member's in
        all browsers at all endpoints, if they wish."""
        name, asked = _forwarded(request, "/easel/signout")
        session = self._identity.present(name, asked)
        if request.method != "POST":
            member = session.right.name if session and session.member else None
            return pages.page(
                "signout.html", language_of(asked.headers),
                endpoint=name, provider=self.provider, member=member,
            )  # fmt: skip
        body = b""
        async for chunk in request.stream():
            body = (body + chunk)[:_LONGEST_FORM]
        everywhere = b"everywhere=1" in body.split(b"&")
        who = await asyncio.to_thread(self._identity.leave, name, asked, everywhere=everywhere)
        if isinstance(who, Refusal):
            # The page's form alone asks: whoever is refused here stands before it, or is no person.
            reader = language_of(asked.headers) if asked.from_browser else None
            return pages.refusal(reader, who.status, who.reason)
        if session is not None:
            self._audit.add(
                "signed-out", actor=session.user, endpoint=name, address=asked.address,
                everywhere=everywhere and session.member,
            )  # fmt: skip
        return pages.enter("/", who, self._login.left(name, asked))

    def _told(self, name: str, asked: ForwardedRequest, error: LoginFailed) -> Response:
        provider = None if error.status == 404 else self.provider
        return pages.page(
            "member.html", language_of(asked.headers), error.status, endpoint=name, words=error.words,
            outsider=error.outsider, provider=provider,
        )  # fmt: skip

    def _onward(self, name: str, asked: ForwardedRequest, found: Mapping[str, Sequence[str]]) -> str:
        """Where the console sends an answer on to. Raises LoginFailed for an endpoint that is gone."""
        there = self._callback(name, asked)
        if there == self._callback(CONSOLE, asked):
            words = "{name}, where you wanted to go, is not there any more"
            raise LoginFailed(404, remark("login_place_gone", words, name=name))
        return f"{there}?{urlencode(found, doseq=True)}"

    def _callback(self, name: str, asked: ForwardedRequest) -> str:
        """Where an endpoint or the console takes the provider's answer."""
        url = self._url(name)
        host = _HOST.fullmatch(asked.headers.get("x-forwarded-host", ""))
        if asked.secure or host is None:
            return url + _CALLBACK
        # A laptop is called localhost, 127.0.0.1 or by its name, and cookies go by that.
        return f"http://{host[1]}:{urlsplit(url).port or 80}/{_CALLBACK}"


def _forwarded(request: Request, path: str) -> tuple[str, ForwardedRequest]:
    return request.path_params["endpoint"], ForwardedRequest(request.method, path, request.headers)
