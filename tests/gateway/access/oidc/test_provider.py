"""What the gateway believes of an identity provider, and where it has its own secret from."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from easel.gateway.access import Access
from easel.gateway.access.identity import Identity
from easel.gateway.access.oidc.client_secret import VARIABLE, ClientSecret, SecretMissing
from easel.gateway.access.oidc.login_state import LoginStates
from easel.gateway.access.oidc.membership import member_name
from easel.gateway.access.oidc.provider import Provider
from easel.gateway.access.request import ForwardedRequest
from easel.gateway.access.rights import Rights
from easel.gateway.access.sessions import Sessions
from easel.gateway.config import Members, Team
from easel.gateway.errors import LoginFailed
from tests.gateway.access.oidc.identity_provider import ANN, CLIENT, SECRET, IdentityProvider
from tests.gateway.rings import ring


@pytest.fixture(scope="module")
def running() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    yield provider
    provider.close()


@pytest.fixture
def provider(running: IdentityProvider) -> IdentityProvider:
    """One that behaves and was not asked anything yet."""
    running.reset()
    running.fetched.clear()
    return running


def known(provider: IdentityProvider, secret: str | None = SECRET, **settings: Any) -> Provider:
    async def read() -> str | None:
        return secret

    return Provider(Members.model_validate(provider.members(**settings)), read)


def authorized(there: Provider) -> str:
    return asyncio.run(there.authorization("http://127.0.0.1/cb", "state", "n" * 43, "v" * 43, None))


def claims(there: Provider, provider: IdentityProvider) -> dict[str, Any]:
    """Through the whole protocol, without a browser."""

    async def through() -> dict[str, Any]:
        back = "http://127.0.0.1/cb"
        await there.authorization(back, "state", "n" * 43, "v" * 43, None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
        code = provider.code({"code_challenge": challenge, "redirect_uri": back, "nonce": "n" * 43})
        return await there.claims(code, back, "v" * 43, "n" * 43)

    return asyncio.run(through())


# ── discovery ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("metadata", "detail"),
    [
        ({"issuer": "https://accounts.evil.example"}, "of another issuer"),
        ({"issuer": None}, "of another issuer"),
        ({"token_endpoint": "http://accounts.evil.example/token"}, "token_endpoint is not an https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is not an https"),
        ({"authorization_endpoint": "https://user@idp.example/"}, "authorization_endpoint is not an https"),
        ({"jwks_uri": None}, "jwks_uri is not an https"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is not an https"),
        ({"userinfo_endpoint": "http://10.0.0.1/"}, "userinfo_endpoint is not an https"),
    ],
)
def test_what_a_provider_says_of_itself_must_be_sound(
    provider: IdentityProvider, metadata: dict[str, Any], detail: str
) -> None:
    """Another issuer, or places where secrets would travel in the clear: refused, with the place."""
    provider.metadata = metadata
    with pytest.raises(LoginFailed, match=detail) as failed:
        authorized(known(provider))
    assert failed.value.status == 502
    assert detail not in failed.value.words


def test_an_issuer_is_the_same_to_the_letter(provider: IdentityProvider) -> None:
    """A slash more is another issuer; the message has both, so that one can be copied."""
    with pytest.raises(LoginFailed, match="to the letter") as failed:
        authorized(known(provider, issuer=provider.issuer + "/"))
    assert repr(provider.issuer) in (failed.value.detail or "")


def answers(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (answers(302, b"", Location="http://169.254.169.254/latest"), "redirects to http://169.254.169.254"),
        (answers(200, b" " * 600_000 + b"{}"), "more than"),
        (answers(200, b"<html>"), "without a JSON object"),
        (answers(200, b"[]"), "without a JSON object"),
        (answers(200, b"[" * 100_000), "without a JSON object"),
        (answers(200, b"\x1f\x8b", Content_Encoding="gzip"), "compressed"),
        (answers(503, b"{}"), "answered 503"),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "RemoteProtocolError"),
    ],
    ids=["elsewhere", "huge", "page", "list", "deep", "compressed", "down", "nonsense"],
)
def test_no_answer_does_harm(
    provider: IdentityProvider, raw: Callable[[BaseHTTPRequestHandler], None], detail: str
) -> None:
    """Nothing is followed, nothing without an end is read; each is a sentence."""
    provider.raw = raw
    with pytest.raises(LoginFailed, match=detail):
        authorized(known(provider))


def test_a_failed_provider_is_left_alone_for_a_while(provider: IdentityProvider) -> None:
    """People who press the button again and again do not press on a provider that is down."""
    provider.raw = answers(503, b"{}")
    there = known(provider)

    async def often() -> None:
        for _ in range(5):
            with pytest.raises(LoginFailed):
                await there.authorization("http://127.0.0.1/cb", "s", "n", "v", None)

    asyncio.run(often())
    assert len(provider.fetched) == 1


def test_what_is_known_outlives_a_short_absence(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery is asked again after an hour; if nobody answers then, the old one still does."""
    there = known(provider)
    now = time.monotonic()
    asked = []

    async def over_time() -> None:
        for later in (0, 1800, 3700, 3700 + 25 * 3600):
            clock = SimpleNamespace(monotonic=lambda later=later: now + later)
            monkeypatch.setattr("easel.gateway.access.oidc.provider.time", clock)
            asked.append(len(provider.fetched))
            await there.authorization("http://127.0.0.1/cb", "s", "n", "v", None)
            provider.raw = answers(503, b"{}")

    with pytest.raises(LoginFailed, match="503"):
        asyncio.run(over_time())
    assert asked == [0, 1, 1, 2]


# ── the exchange ─────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_client_is_told_and_read_again(provider: IdentityProvider) -> None:
    """The reason names the field; a secret that was changed meanwhile is read anew at the next sign-in."""
    secrets = iter(["the old one", SECRET])

    async def read() -> str:
        return next(secrets)

    there = Provider(Members.model_validate(provider.members()), read)

    async def twice() -> dict[str, Any]:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
        about = {"code_challenge": challenge, "redirect_uri": "x", "nonce": "n" * 43}
        with pytest.raises(LoginFailed, match="client_id") as failed:
            await there.claims(provider.code(about), "x", "v" * 43, "n" * 43)
        assert "the old one" not in (failed.value.detail or "")
        return await there.claims(provider.code(about), "x", "v" * 43, "n" * 43)

    assert asyncio.run(twice())["email"] == "ann@example.com"


@pytest.mark.parametrize(
    ("methods", "how"),
    [
        (None, "basic"),
        (["client_secret_post"], None),
        (["client_secret_post", "client_secret_basic"], "basic"),
    ],
)
def test_the_secret_is_shown_as_the_provider_wants_it(
    provider: IdentityProvider, methods: list[str] | None, how: str | None
) -> None:
    """Basic, unless only the form is taken."""
    provider.metadata = {"token_endpoint_auth_methods_supported": methods}
    assert claims(known(provider), provider)["sub"] == "1001"
    assert provider.exchanges[-1].get("how") == how


def test_an_address_may_be_told_elsewhere(provider: IdentityProvider) -> None:
    """A provider that leaves the address out of the ID token is asked for it, about the same person."""
    provider.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    provider.claims = lambda honest: {k: v for k, v in honest.items() if not k.startswith("email")}
    assert claims(known(provider), provider)["email"] == "ann@example.com"
    provider.claims = lambda honest: {"sub": "2", **{k: honest[k] for k in honest if k in _PROTOCOL}}
    with pytest.raises(LoginFailed, match="not about who signed in"):
        claims(known(provider), provider)


_PROTOCOL = ("iss", "aud", "exp", "iat", "nonce")


# ── the secret ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def vault() -> Iterator[str]:
    """Secrets Manager, by moto: its address."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_the_secret_comes_from_secrets_manager(vault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By ARN or by name, as text or as the console's JSON; a faulty one is told with its name, not its
    text."""
    for name, value in {
        "AWS_ENDPOINT_URL": vault, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(VARIABLE, raising=False)
    client = boto3.client("secretsmanager", region_name="eu-west-1", endpoint_url=vault)
    plain = client.create_secret(Name="sso", SecretString=SECRET + "\n")["ARN"]
    client.create_secret(Name="pairs", SecretString=json.dumps({"client_secret": SECRET}))
    client.create_secret(Name="other", SecretString=json.dumps({"password": "hunter2"}))
    read = lambda name, region: asyncio.run(ClientSecret().read(name, region))  # noqa: E731
    assert read(plain, None) == read("sso", "eu-west-1") == read("pairs", "eu-west-1") == SECRET
    with pytest.raises(SecretMissing, match="other has no text") as failed:
        read("other", "eu-west-1")
    assert "hunter2" not in str(failed.value)
    with pytest.raises(SecretMissing, match="gone cannot be read"):
        read("gone", "eu-west-1")
    with pytest.raises(SecretMissing, match="write its ARN"):
        read("sso", None)


def test_the_environment_comes_first_and_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one machine there is no Secrets Manager; what the gateway starts must not find the secret."""
    monkeypatch.setenv(VARIABLE, f" {SECRET}\n")
    secret = ClientSecret()
    assert VARIABLE not in os.environ
    assert asyncio.run(secret.read("arn:aws:secretsmanager:us-east-1:1:secret:x", None)) == SECRET
    assert asyncio.run(ClientSecret().read(None, None)) is None


# ── cookies and configuration ────────────────────────────────────────────────────────────────────


def test_under_tls_cookies_are_of_the_very_host() -> None:
    """`__Host-`, so that no sibling below the domain can put one in place of ours, on the way or after."""
    members = Members.model_validate({"issuer": "https://a.example", "client_id": "c", "domains": ["b.org"]})
    rights = Rights(None, members=lambda: members)  # type: ignore[arg-type]
    ask = ForwardedRequest("GET", "/", {"x-forwarded-proto": "https"})
    states = LoginStates(ring())
    login = states.begin("studio", ask, "/x", members.fingerprint, quiet=False)
    identity = Identity(Access(ring(), None, None, None, rights))  # type: ignore[arg-type]
    welcome = identity.welcome("studio", ask, "ann@b.org", members, "/x").cookie
    out = identity.leave(
        "studio", ForwardedRequest("POST", "/", {**ask.headers, "sec-fetch-site": "same-origin"})
    )
    for cookie in (login.cookie, welcome, states.left("studio", ask), out):
        assert cookie.startswith("__Host-easel_studio")
        for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
            assert part in cookie.split("; ")
    name, _, value = login.cookie.partition(";")[0].partition("=")
    plain = ForwardedRequest(
        "GET", "/", {"x-forwarded-proto": "https", "cookie": f"{name.removeprefix('__Host-')}={value}"}
    )
    with pytest.raises(LoginFailed, match="another browser"):
        states.back("studio", plain, login.state, members.fingerprint)


def test_a_session_ends_after_twelve_hours_and_with_what_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes provider, client or domains signs everybody out; a secret's new name does not."""
    said = {"issuer": "https://a.example", "client_id": "c", "domains": ["b.org", "c.org"]}
    now: list[Members | None] = [Members.model_validate(said)]
    sessions = Sessions(ring(), Rights(None, members=lambda: now[0]))  # type: ignore[arg-type]
    assert now[0]
    cookie = sessions.cookie(sessions.welcome("studio", "ann@b.org", now[0]), secure=False).partition(";")[0]
    read = lambda: sessions.read("studio", cookie)  # noqa: E731
    for change, lasts in [
        ({"client_secret": "other"}, True),
        ({"domains": ["c.org", "B.org"]}, True),
        ({"domains": ["b.org"]}, False),
        ({"issuer": "https://b.example"}, False),
        ({"client_id": "d"}, False),
    ]:
        now[0] = Members.model_validate(said | change)
        assert (read() is not None) is lasts, change
    now[0] = None
    assert read() is None
    now[0] = Members.model_validate(said)
    later = time.time() + 12 * 3600 + 1
    monkeypatch.setattr("easel.gateway.access.rights.time", SimpleNamespace(time=lambda: later))
    assert read() is None


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://accounts.example.com"},
        {"issuer": "https://"},
        {"issuer": "https://a.example?x=1"},
        {"issuer": "https://user:pass@a.example"},
        {"client_id": ""},
        {"client_secret": "the secret itself!"},
        {"domains": []},
        {"domains": ["*.example.com"]},
        {"domains": ["example"]},
        {"domains": ["@example.com"]},
        {"domains": ["exa mple.com"]},
    ],
)
def test_a_faulty_section_is_refused(change: dict[str, Any]) -> None:
    """What would let anybody in, or send secrets in the clear, is no configuration."""
    good = {"issuer": "https://accounts.google.com", "client_id": CLIENT, "domains": ["example.com"]}
    assert Team.model_validate({"members": good}).members
    with pytest.raises(ValueError, match=next(iter(change))):
        Team.model_validate({"members": good | change})


def test_beside_xms_edov_nobody_asks_elsewhere_for_an_address(provider: IdentityProvider) -> None:
    """The claim is about the ID token's own address."""
    provider.person = {"sub": "1001", "xms_edov": True}
    provider.metadata = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    found = claims(known(provider, verified_by="xms_edov"), provider)
    assert "email" not in found
    assert "/userinfo" not in provider.fetched


def test_members_have_names_that_no_token_has() -> None:
    """So that nobody reads another's pictures by the name of a token."""
    members = Members.model_validate({"issuer": "https://a.b", "client_id": "c", "domains": ["example.com"]})
    for local in ("link", "anonymous", "local", "anonymous/x", "ann", "'", "x y", "é"):
        assert "@" in member_name(members, ANN | {"email": f"{local}@example.com"})[1:]
        assert "/" not in member_name(members, ANN | {"email": f"{local}@example.com"})
