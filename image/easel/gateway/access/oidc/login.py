"""Single sign-on: sends people to the team's identity provider, and says who came back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from easel.gateway.access import ForwardedRequest, Keyring
from easel.gateway.access.oidc.client_secret import ClientSecret
from easel.gateway.access.oidc.login_state import LoginState, LoginStates
from easel.gateway.access.oidc.membership import member_name
from easel.gateway.config import CONSOLE, Members, Team
from easel.gateway.errors import LoginFailed
from easel.gateway.events import Events
from easel.remark import remark

if TYPE_CHECKING:
    from easel.gateway.access.oidc.provider import Provider

_log = structlog.get_logger("easel.gateway")
# Seconds after which the same trouble is told again.
_TOLD_AGAIN = 600.0
_LONGEST_CODE = 8192
NO_ANSWER = remark("login_no_answer", "this is no answer to a sign-in; sign in again")
_OTHER_PROVIDER = remark(
    "login_other_provider", "this answer is not of the provider that was asked; sign in again"
)
_NOT_SET_UP = remark("login_not_set_up", "single sign-on is not set up here; use a link or a token")


@dataclass(frozen=True)
class AuthorizationRedirect:
    """Where to send a browser, and the cookie that it takes along."""

    location: str
    cookie: str


@dataclass(frozen=True)
class LoginResult:
    """Who came back and where they wanted to go; `member` is None after a quiet trip that found nobody."""

    member: str | None
    target: str


class Login:
    """The sign-in of members, for all endpoints."""

    def __init__(
        self, keyring: Keyring, team: Callable[[], Team], client_secret: ClientSecret, events: Events
    ) -> None:
        self._team = team
        self._client_secret = client_secret
        self._events = events
        self._states = LoginStates(keyring)
        self._provider: Provider | None = None
        self._making = asyncio.Lock()
        self._told: dict[str, float] = {}

    @property
    def members(self) -> Members | None:
        """Who may sign in so; None if nobody."""
        return self._team().members

    async def begin(
        self, endpoint: str, request: ForwardedRequest, target: str, redirect_uri: str, *,
        quiet: bool = False, another: bool = False,
    ) -> AuthorizationRedirect:  # fmt: skip
        """Send somebody to the provider: `quiet` asks nothing, `another` lets them choose an account. Raises
        LoginFailed."""
        members = self._members()
        login = self._states.begin(endpoint, request, target, members.fingerprint, quiet=quiet)
        prompt = "none" if quiet else "select_account" if another else None
        try:
            provider = await self._ready(members)
            location = await provider.authorization(
                redirect_uri, login.state, login.nonce, login.verifier, prompt
            )
        except LoginFailed as error:
            raise self._heard(endpoint, error) from None
        return AuthorizationRedirect(location, login.cookie)

    async def finish(
        self, endpoint: str, request: ForwardedRequest, query: Mapping[str, Sequence[str]], redirect_uri: str
    ) -> LoginResult:
        """Take the provider's answer. Raises LoginFailed."""
        members = self._members()
        try:
            answer = _answer(query)
            login = self._states.back(endpoint, request, answer.get("state", ""), members.fingerprint)
            return await self._arrived(members, login, answer, redirect_uri)
        except LoginFailed as error:
            raise self._heard(endpoint, error) from None

    def begun_at(self, query: Mapping[str, Sequence[str]]) -> str:
        """The endpoint that the provider's answer is for. Raises LoginFailed for what is no answer to a
        sign-in of ours."""
        members = self._members()
        try:
            return self._states.begun_at(_answer(query).get("state", ""), members.fingerprint)
        except LoginFailed as error:
            raise self._heard(CONSOLE, error) from None

    def may_ask_quietly(self, endpoint: str, request: ForwardedRequest) -> bool:
        """Whether a request is a person's visit that may go by the provider without a question.

        Only browsers that say so are sent: a crawler or a script would be led round in circles.
        """
        headers = request.headers
        visit = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if self.members is None or request.method != "GET" or not visit or request.prefetch:
            return False
        return self._states.unasked(endpoint, request)

    def left(self, endpoint: str, request: ForwardedRequest) -> str:
        """The `Set-Cookie` value for who signed out."""
        return self._states.left(endpoint, request)

    async def _arrived(
        self, members: Members, login: LoginState, answer: Mapping[str, str], redirect_uri: str
    ) -> LoginResult:
        provider = await self._ready(members)
        if not await provider.came_from(answer.get("iss")):
            raise LoginFailed(400, _OTHER_PROVIDER)
        if "error" in answer:
            if login.quiet:
                return LoginResult(None, login.target)
            raise _refused(members, answer["error"], answer.get("error_description", ""))
        code = answer.get("code", "")
        if not 0 < len(code) <= _LONGEST_CODE or not code.isprintable():
            raise LoginFailed(400, NO_ANSWER)
        claims = await provider.claims(code, redirect_uri, login.verifier, login.nonce)
        return LoginResult(member_name(members, claims), login.target)

    async def _ready(self, members: Members) -> Provider:
        async with self._making:
            if self._provider is None or self._provider.members != members:
                # In a thread: what reads keys and certificates takes a while to import.
                self._provider = await asyncio.to_thread(self._make, members)
            return self._provider

    def _make(self, members: Members) -> Provider:
        from easel.gateway.access.oidc.provider import Provider

        async def secret() -> str | None:
            return await self._client_secret.read(members.client_secret, self._team().region)

        return Provider(members, secret)

    def _members(self) -> Members:
        if (members := self.members) is None:
            raise LoginFailed(404, _NOT_SET_UP)
        return members

    def _heard(self, endpoint: str, error: LoginFailed) -> LoginFailed:
        """Tell the operator what they can mend: an event for each trouble now and then, a line for the
        rest."""
        now = time.monotonic()
        if error.status >= 500 and error.detail:
            self._told = {text: at for text, at in self._told.items() if now - at < _TOLD_AGAIN}
            if error.detail not in self._told:
                self._told[error.detail] = now
                self._events.add("team", None, "sign-on", error.detail)
        else:
            _log.info("a sign-in was refused", endpoint=endpoint, why=error.detail or error.words)
        return error


def _answer(query: Mapping[str, Sequence[str]]) -> dict[str, str]:
    if any(len(values) != 1 for values in query.values()):
        raise LoginFailed(400, NO_ANSWER)
    return {name: values[0] for name, values in query.items()}


def _refused(members: Members, error: str, description: str) -> LoginFailed:
    # The caller wrote these: for the log, cut, and never onto a page.
    detail = f"{members.provider} answered {error[:60]!r}: {description[:200]!r}"
    if error == "access_denied":
        words = "{provider} did not let you in, or you did not want to"
        said = remark("login_not_let_in", words, provider=members.provider)
        return LoginFailed(403, said, detail, outsider=True)
    words = "{provider} did not sign you in; try again"
    return LoginFailed(400, remark("login_not_signed_in", words, provider=members.provider), detail)
