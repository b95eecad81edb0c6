"""Who asks: a token in a link, `Authorization: Bearer`, Basic with the token as password, a session of a
token or of a member, or nobody."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from easel.gateway.access.access import Access
from easel.gateway.access.cookies import set_cookie
from easel.gateway.access.operator import OPERATOR
from easel.gateway.access.operator_passes import OperatorPasses
from easel.gateway.access.rate_limit import RateLimit, network
from easel.gateway.access.request import ForwardedRequest, local_path
from easel.gateway.access.right import ANONYMOUS, Right
from easel.gateway.access.sessions import Session, Sessions
from easel.gateway.access.tokens import PREFIX, Token
from easel.gateway.config import Members
from easel.remark import remark

_PRIVATE = remark(
    "door_private",
    "this endpoint is private: send a token as `Authorization: Bearer easel_…`, "
    "or as the password of HTTP Basic with any user name",
)
_WRONG_LINK = remark(
    "door_wrong_link",
    "this link or token is not valid: it is mistyped, expired, revoked, or of another endpoint",
)
_WRONG_CREDENTIALS = remark(
    "door_wrong_credentials",
    "the token in `Authorization` is not valid: it is mistyped, expired, revoked, or of another endpoint",
)


@dataclass(frozen=True)
class Caller:
    """Somebody who may pass. `user` owns what they make; `cookie` is a `Set-Cookie` value they should get."""

    user: str
    api: bool
    right: Right
    cookie: str | None = None

    @property
    def anonymous(self) -> bool:
        """Whether nobody knows them."""
        return self.right.kind == "anonymous"


@dataclass(frozen=True)
class Refusal:
    """Somebody who may not: 401 with what to show instead, 403, or 429 with the seconds to wait."""

    status: int
    reason: str
    retry_after: int = 0
    # Nothing was shown yet, so nothing was wrong yet.
    first: bool = False


@dataclass(frozen=True)
class Entrance:
    """A right link: a session begins, and the address bar loses the token."""

    location: str
    cookie: str
    session: Session


@dataclass(frozen=True)
class Question:
    """A right link, followed from another site, while somebody else is signed in: who they are, who they
    would become, and the token and the place to go on with."""

    current: str
    wanted: str
    token: str
    target: str


class Identity:
    """Decides who a caller is at an endpoint."""

    def __init__(self, access: Access) -> None:
        self._keyring = access.keyring
        self._rights = access.rights
        self._ended = access.ended
        self._tokens = access.tokens
        self._sessions = Sessions(access.keyring, access.rights)
        self._wrong_tokens = RateLimit()
        self._passes = OperatorPasses(access.keyring)

    def who(
        self, endpoint: str, request: ForwardedRequest, *, public: bool
    ) -> Caller | Refusal | Entrance | Question:
        """The caller of `request`, or what to answer instead of passing it on."""
        session = self.present(endpoint, request)
        if request.method in ("GET", "HEAD") and (link := _link_token(request.query)):
            return self._enter(endpoint, request, link, session)
        if authorization := request.headers.get("authorization"):
            return self._credentials(endpoint, request, authorization)
        if session is not None:
            if reason := _foreign(request):
                return Refusal(403, reason)
            self._tokens.note(endpoint, session.right.token)
            cookie = self._cookie(request, session.renewed()) if session.stale else None
            return Caller(session.user, api=False, right=session.right, cookie=cookie)
        if public:
            return self._anonymous(endpoint, request)
        return Refusal(401, _PRIVATE, first=True)

    def sign_in(
        self, endpoint: str, request: ForwardedRequest, plaintext: str, target: str
    ) -> Entrance | Refusal:
        """A token typed into the sign-in page."""
        if reason := _foreign(request):
            return Refusal(403, reason)
        session = self.present(endpoint, request)
        token = self._tokens.check(endpoint, plaintext.strip())
        return self._open(endpoint, request, token, local_path(target), session)

    def welcome(
        self, endpoint: str, request: ForwardedRequest, member: str, members: Members, target: str
    ) -> Entrance:
        """Somebody whom the identity provider vouched for."""
        session = self._sessions.welcome(endpoint, member, members)
        return Entrance(local_path(target), self._cookie(request, session), session)

    def present(self, endpoint: str, request: ForwardedRequest) -> Session | None:
        """The session that a browser has here, if it holds."""
        return self._sessions.read(endpoint, request.headers.get("cookie", ""), secure=request.secure)

    def leave(self, endpoint: str, request: ForwardedRequest, *, everywhere: bool = False) -> str | Refusal:
        """Somebody signs out of this endpoint, or a member of all, in every browser. The session is over in
        each copy of its cookie; the answer takes the cookie out of this browser. No other site's page may
        ask for it. Blocks while it is written down."""
        if reason := _foreign(request):
            return Refusal(403, reason)
        if session := self.present(endpoint, request):
            if everywhere and session.member:
                self._ended.member(session.right.name)
            else:
                self._ended.session(session.right)
        return set_cookie(endpoint, "", 0, secure=request.secure)

    def _enter(
        self, endpoint: str, request: ForwardedRequest, link: str, session: Session | None
    ) -> Entrance | Refusal | Question:
        target, token = without_token(request), self._tokens.check(endpoint, link)
        # A typed or bookmarked address is `none`. Browsers say nothing at all over plain HTTP from afar, and
        # then it may have been any site's page that led here.
        led = request.headers.get("sec-fetch-site") not in ("none", "same-origin")
        if led and token is not None and session is not None and session.right.token != token.id:
            return Question(session.right.name, token.name, link, target)
        return self._open(endpoint, request, token, target, session)

    def _open(
        self,
        endpoint: str,
        request: ForwardedRequest,
        token: Token | None,
        location: str,
        session: Session | None,
    ) -> Entrance | Refusal:
        if token is None:
            return self._failed(request, _WRONG_LINK)
        # The same browser with the same link again is the same person: their gallery stays theirs.
        same = session is not None and session.right.token == token.id
        begun = self._sessions.start(endpoint, token, session.right.session if session and same else None)
        return Entrance(location, self._cookie(request, begun), begun)

    def _credentials(self, endpoint: str, request: ForwardedRequest, authorization: str) -> Caller | Refusal:
        plaintext = _plaintext(authorization)
        right = self._passes.right(endpoint, plaintext) if plaintext else None
        if right is not None and self._rights.hold(right):
            return Caller(OPERATOR, api=True, right=right)
        token = self._tokens.check(endpoint, plaintext) if plaintext else None
        if token is None:
            return self._failed(request, _WRONG_CREDENTIALS)
        right = Right("token", endpoint, token.name, token.id, until=token.expires)
        return Caller(token.name, api=True, right=right)

    def _anonymous(self, endpoint: str, request: ForwardedRequest) -> Caller:
        if request.navigation or (request.from_browser and not request.from_another_site):
            session = self._sessions.start(endpoint, None)
            cookie = self._cookie(request, session)
            return Caller(session.user, api=False, right=session.right, cookie=cookie)
        # An API client keeps no cookies, and neither does another site's page: its network address tells it
        # apart, hashed so that no name leaks it.
        address = f"{endpoint} {network(request.address)}"
        key = hmac.new(self._keyring.newest.encode(), address.encode(), hashlib.sha256)
        right = Right("anonymous", endpoint, ANONYMOUS)
        return Caller(f"{ANONYMOUS}/{key.hexdigest()[:16]}", api=True, right=right)

    def _failed(self, request: ForwardedRequest, reason: str) -> Refusal:
        wait = self._wrong_tokens.fail(request.address)
        if wait:
            words = "too many wrong tokens from your address; try again in {n} s"
            return Refusal(429, remark("door_too_many", words, n=wait), wait)
        return Refusal(401, reason)

    def _cookie(self, request: ForwardedRequest, session: Session) -> str:
        return self._sessions.cookie(session, secure=request.secure)


def without_token(request: ForwardedRequest) -> str:
    """The caller's path and query, less any token in it."""
    rest = [(key, value) for key, value in parse_qsl(request.query, keep_blank_values=True) if key != "token"]
    return local_path(request.path + ("?" + urlencode(rest) if rest else ""))


def _link_token(query: str) -> str | None:
    """A token in a link. `token=` without our prefix belongs to whoever stands behind the door."""
    for key, value in parse_qsl(query):
        if key == "token" and value.startswith(PREFIX):
            return value
    return None


def _plaintext(authorization: str) -> str | None:
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        user, _, password = user_and_password.partition(":")
        # `https://TOKEN@host`: some programs have room for a name alone.
        return user if user.startswith(PREFIX) and not password.startswith(PREFIX) else password or None
    return None


def _foreign(request: ForwardedRequest) -> str | None:
    """Why a request that rides on a cookie comes from another site's page, if it does.

    SameSite=Lax does not tell ports or sibling hosts apart: locally every endpoint, and any other program
    with a web page, is the same site.
    """
    websocket = (
        request.headers.get("upgrade", "").lower() == "websocket" or "sec-websocket-key" in request.headers
    )
    safe = request.method in ("GET", "HEAD", "OPTIONS") and not websocket
    site = request.headers.get("sec-fetch-site")
    # A page opened by a link is a visit; the same page in another site's frame is not.
    visit = request.navigation and request.headers.get("sec-fetch-dest", "document") == "document"
    if site in ("same-origin", "none") or (safe and (site is None or visit)):
        return None
    if safe:
        words = (
            "a page of another origin asks with your session (Sec-Fetch-Site: {site}); use a token instead"
        )
        return remark("door_foreign_page", words, site=site)
    origin = request.headers.get("origin")
    if (
        site is None
        and origin
        and urlsplit(origin).netloc.lower() == request.headers.get("x-forwarded-host", "").lower()
    ):
        return None
    return remark(
        "door_foreign_change",
        "this changes something with your session, but does not come from this endpoint's own page; "
        "use a token instead",
    )
