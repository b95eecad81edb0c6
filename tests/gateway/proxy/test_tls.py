"""The door under a domain: real Caddy and gateway, and certificates of a real authority (Pebble)."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway.conftest import FETCHES, headers, user
from tests.gateway.proxy.estate import DOMAIN, Estate, until
from tests.gateway.proxy.pebble import Pebble, built, go

pytestmark = pytest.mark.skipif(go() is None, reason="Pebble is built by Go, which is not here")


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    built()
    pebble = Pebble(tmp_path_factory.mktemp("authority") / "pebble")
    yield pebble.start()
    pebble.stop()


@pytest.fixture(scope="module")
def estate(pebble: Pebble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """Two endpoints that are awake and one that sleeps, under one domain."""
    estate = Estate(
        tmp_path_factory.mktemp("estate") / "home",
        pebble,
        studio={},
        gallery={"public": True},
        sleeper={"replicas": {"min": 0, "max": 1}, "env": {"EASEL_TEST_SLOW": "1"}},
    )
    estate.start()
    yield estate.secured("studio", "console", "gallery", "sleeper")
    assert estate.stop() == 0


# ── certificates ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["studio", "console", "gallery"])
def test_each_host_shows_a_certificate_of_its_own(estate: Estate, name: str) -> None:
    """From the authority, for that name alone: one host's certificate tells nothing of the others."""
    certificate = estate.certificate(name)
    assert certificate
    assert certificate["subjectAltName"] == (("DNS", f"{name}.{DOMAIN}"),)


@pytest.mark.parametrize("host", [f"other.{DOMAIN}", DOMAIN, "example.com", "127.0.0.1", None])
def test_no_other_name_is_answered(estate: Estate, host: str | None) -> None:
    """An unknown name, an address, or no name: the handshake ends before anything is said."""
    with pytest.raises(ssl.SSLError, match="alert internal error"):
        estate.connect(host)


def test_one_host_is_not_reached_through_another(estate: Estate) -> None:
    """The name of the handshake and the name that is asked for must be one."""
    for asked in (f"gallery.{DOMAIN}", "example.com", "127.0.0.1"):
        answer = estate.client("studio").get("/", headers={"Host": asked})
        assert answer.status_code == 421


def test_certificates_are_told_as_events(estate: Estate) -> None:
    """Whose certificate came, in words; the console's is the team's."""
    until(lambda: [each for each in estate.events("studio") if each["kind"] == "certificate"])
    (said,) = [each["text"] for each in estate.events("studio") if each["kind"] == "certificate"]
    assert said.startswith(f"got the certificate of studio.{DOMAIN} from ")
    until(lambda: any(f"console.{DOMAIN}" in each["text"] for each in estate.events("team")))


def test_certificates_are_the_operators_alone(estate: Estate) -> None:
    """Keys lie below EASEL_HOME, where nobody else may look."""
    keys = list((estate.root / "certificates").rglob("*.key"))
    assert len(keys) >= 3
    assert (estate.root / "certificates").stat().st_mode & 0o077 == 0
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)


# ── plain HTTP ───────────────────────────────────────────────────────────────────────────────────


def plain(estate: Estate, host: str, target: str = "/") -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{estate.pebble.http_port}{target}", headers={"Host": host})


def test_plain_http_is_sent_on(estate: Estate) -> None:
    """To the same place by https, path and query with it."""
    answer = plain(estate, f"studio.{DOMAIN}", "/x/y?a=b%20c")
    assert answer.status_code == 308
    assert answer.headers["location"] == estate.url("studio") + "/x/y?a=b%20c"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", f"other.{DOMAIN}", "example.com", f"studio.{DOMAIN}.evil.test"]
)
def test_plain_http_by_another_name_learns_nothing(estate: Estate, host: str) -> None:
    """Scanners of addresses are told neither names nor that there is something."""
    answer = plain(estate, host)
    assert answer.status_code == 404
    assert answer.text == ""
    assert DOMAIN not in str(answer.headers)


# ── who is let in ────────────────────────────────────────────────────────────────────────────────


def test_links_are_https(estate: Estate) -> None:
    """What the status says, and what a new token's link says, is the endpoint's host."""
    endpoint = estate.endpoint("studio")
    assert endpoint["url"] == estate.url("studio") + "/"
    assert endpoint["link"].startswith(estate.url("studio") + "/?token=easel_")
    assert estate.status()["console"]["url"] == estate.url("console") + "/"
    made = estate.api("POST", "/api/tokens", json={"endpoint": "studio", "name": "kim"}).json()
    assert made["link"] == f"{estate.url('studio')}/?token={made['token']}"


def test_a_link_makes_a_cookie_for_this_host_and_tls_alone(estate: Estate) -> None:
    """`__Host-`: no sibling host may set it, no plain request may carry it. The replica never sees it."""
    browser = estate.browser("studio", signed_in=False)
    entered = browser.get("/", params={"token": estate.token("studio")})
    name, *attributes = entered.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-easel_studio=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert not any(each.startswith("Domain") for each in attributes)
    answer = browser.get("/internal/ping?x", headers=FETCHES)
    assert answer.status_code == 200
    seen = headers(browser.get("/echo", headers=FETCHES | {"Cookie": f"mine=1; {name}; yours=2"}))
    assert "easel" not in seen["cookie"]
    assert "mine=1" in seen["cookie"]
    assert "yours=2" in seen["cookie"]
    assert seen["x-forwarded-proto"] == "https"


def test_a_cookie_without_the_prefix_is_nobodys(estate: Estate) -> None:
    """A sibling host may set `easel_studio` for the whole domain: under TLS it opens nothing."""
    entered = estate.browser("studio", signed_in=False).get("/", params={"token": estate.token("studio")})
    value = entered.headers["set-cookie"].split(";")[0].partition("=")[2]
    stranger = estate.client("studio")
    assert stranger.get("/", headers={"Cookie": f"easel_studio={value}"}).status_code == 401
    assert stranger.get("/", headers={"Cookie": f"__Host-easel_studio={value}"}).status_code == 200


def test_the_sign_in_page_takes_a_token(estate: Estate) -> None:
    """Its form comes from the endpoint's own origin, which is https and has a port in it here."""
    person = estate.browser("studio", signed_in=False)
    assert person.get("/").status_code == 401
    form = {"token": estate.token("studio"), "next": "/"}
    origin = {"Origin": estate.url("studio"), "Sec-Fetch-Site": "same-origin"}
    assert person.post("/easel/signin", data=form, headers=origin).status_code == 303
    assert person.get("/").status_code == 200
    foreign = {"Origin": f"https://gallery.{DOMAIN}", "Sec-Fetch-Site": "same-site"}
    assert person.post("/easel/signin", data=form, headers=foreign).status_code == 403


@pytest.mark.parametrize("path", ["/", "/easel/signin", "/metrics"])
def test_browsers_are_told_to_stay_with_tls(estate: Estate, path: str) -> None:
    """HSTS on every answer, for this host alone."""
    answer = estate.client("studio").get(path)
    assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]
    passed = estate.caller("studio").get("/")
    assert passed.headers.get_list("strict-transport-security") == ["max-age=31536000"]


def test_a_token_of_one_host_opens_no_other(estate: Estate) -> None:
    """They share a port and nothing else."""
    bearer = {"Authorization": f"Bearer {estate.token('studio')}"}
    assert estate.client("studio").get("/", headers=bearer).status_code == 200
    assert estate.client("gallery").get("/", headers=bearer).status_code == 401
    assert estate.client("console").get("/", headers=bearer).status_code == 401


# ── what is carried ──────────────────────────────────────────────────────────────────────────────


def test_http_2_is_spoken(estate: Estate) -> None:
    """Browsers load a page's many files by one connection; HTTP/3 is not offered, as UDP does not come in."""
    with estate.connect("studio", "h2", "http/1.1") as connection:
        assert connection.selected_alpn_protocol() == "h2"
    assert "alt-svc" not in estate.caller("studio").get("/").headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl speaks HTTP/2, httpx alone does not")
def test_cookies_in_pieces_are_taken_off_too(estate: Estate) -> None:
    """HTTP/2 may send each cookie as a header of its own."""
    entered = estate.browser("studio", signed_in=False).get("/", params={"token": estate.token("studio")})
    cookie = entered.headers["set-cookie"].split(";")[0]
    command = [
        "curl", "-s", "--http2", "--cacert", str(estate.trusted), "-w", "\n%{http_version}",
        "--resolve", f"studio.{DOMAIN}:{estate.port}:127.0.0.1", f"{estate.url('studio')}/echo",
    ]  # fmt: skip
    for each in ("mine=1", cookie, "yours=2"):
        command += ["-H", f"Cookie: {each}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.endswith("\n2")
    assert "mine=1" in said
    assert "yours=2" in said
    assert "__Host" not in said


def test_websockets_pass_by_tls(estate: Estate) -> None:
    """As browsers open them: HTTP/1.1 inside TLS."""
    with estate.connect("studio", "http/1.1") as connection:
        head = [
            "GET /ws HTTP/1.1",
            f"Host: studio.{DOMAIN}:{estate.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Authorization: Bearer {estate.token('studio')}",
        ]
        connection.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
        connection.sendall(bytes([0x81, 0x80 | 5]) + b"\0\0\0\0hello")
        _, size = connection.recv(2)
        assert connection.recv(size) == b"echo hello for link"


def test_a_post_is_held_by_tls_until_a_replica_is_ready(estate: Estate) -> None:
    """3 MB to an endpoint that sleeps: it wakes, and they arrive whole."""
    assert estate.state("sleeper") == "asleep"
    body = os.urandom(3_000_000)
    answer = estate.caller("sleeper").post("/sdapi/v1/img2img", content=body)
    assert answer.status_code == 200
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


def test_anonymous_people_of_a_public_endpoint_get_a_secure_cookie(estate: Estate) -> None:
    """The same rules for those whom nobody knows."""
    visitor = estate.browser("gallery", signed_in=False)
    first = visitor.get("/")
    assert first.headers.get_list("set-cookie")[0].startswith("__Host-easel_gallery=")
    assert user(visitor.get("/")) == user(visitor.get("/"))


def test_no_token_in_any_log(estate: Estate) -> None:
    """Also where somebody opened a link by plain HTTP."""
    token = estate.token("studio")
    plain(estate, f"studio.{DOMAIN}", f"/?token={token}")
    estate.browser("studio")
    logs = "".join(path.read_text() for path in (estate.root / "logs").iterdir())
    assert "308" in logs
    assert token not in logs


# ── the authority's bad days ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """One endpoint, whose authority does not reach TLS and ends within the tests."""
    folder = tmp_path_factory.mktemp("shut")
    pebble = Pebble(folder / "pebble", https_asked=False).start()
    estate = Estate(folder / "home", pebble, studio={})
    try:
        estate.start()
        yield estate.secured("studio", "console")
    finally:
        estate.stop()
        pebble.stop()


def test_a_certificate_comes_by_plain_http_where_tls_is_not_reached(shut: Estate) -> None:
    """The authority has two ways to ask; one that is shut leaves the other."""
    assert shut.pebble.issued() == 2
    assert "tls-alpn-01" not in (shut.root / "logs" / "certificates.log").read_text()


@pytest.mark.slow
def test_certificates_outlive_a_restart_and_an_authority_that_is_down(shut: Estate) -> None:
    """Kept on disk: a start asks nobody. A new host has to wait, which an event says; the others go on."""
    before = shut.certificate("studio")
    issued = shut.pebble.issued()
    assert issued == 2
    assert shut.stop() == 0
    shut.pebble.stop()

    shut.start()
    assert shut.certificate("studio") == before
    assert shut.caller("studio").get("/").status_code == 200
    assert shut.pebble.issued() == issued

    shut.set("late")
    shut.team(endpoints=["studio", "late"])
    until(lambda: [each for each in shut.status()["endpoints"] if each["name"] == "late"])
    events = until(lambda: [each for each in shut.events("late") if each["kind"] == "no-certificate"])
    assert f"gave no certificate for late.{DOMAIN}" in events[0]["text"]
    assert "connection refused" in events[0]["text"]
    assert shut.certificate("late") is None
    assert shut.caller("studio").get("/").status_code == 200
