"""Who a replica takes its caller for, whatever the request says: by real Caddy to the studio's own guard.

Requests are written byte by byte: clients tidy them up.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from easel.assertion import LASTS, SKEW, Signer
from easel.gateway.access.keyring import Keyring, SecretFile
from easel.gateway.home import Home
from tests.gateway.conftest import House

GENUINE = Path(__file__).parent.with_name("genuine.py")
# Who asks at the public endpoint when nobody says who they are: anonymous, with a name by network address.
NOBODY = "anonymous/"


# An endpoint's environment has no say in who is believed.
OPENED = {"EASEL_ASSERTION_OPEN": "/who /easel/load", "EASEL_ASSERTION_AUDIENCE": "gallery"}


class Genuine(House):
    replica = f"{sys.executable} {GENUINE} --port {{port}} --endpoint {{endpoint}}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genuine]:
    house = Genuine(tmp_path_factory.mktemp("genuine"), studio={"env": OPENED}, gallery={"public": True})
    house.start()
    yield house
    assert house.stop() == 0


def exchange(port: int, head: list[str], body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of the answer to a request exactly as written."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def head(house: House, name: str, *lines: str, method: str = "GET", path: str = "/who") -> list[str]:
    return [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{house.ports[name]}", *lines]


def seen(answer: tuple[int, bytes]) -> dict[str, str]:
    """The headers that the application behind the guard read."""
    status, rest = answer
    assert status == 200, (status, rest)
    pairs: list[list[str]] = json.loads(rest)["headers"]
    assert len([name for name, _ in pairs if name == "x-easel-user"]) == 1
    return dict((name, value) for name, value in pairs)


def keyring(house: House) -> Keyring:
    """The gateway's own secrets: who has them may sign anything."""
    found = Keyring(SecretFile(Home(house.root)))
    found.open()
    return found


def replica_ports(house: House) -> dict[str, int]:
    lines = [process.cmdline() for process in house.processes()]
    return {
        line[line.index("--endpoint") + 1]: int(line[line.index("--port") + 1])
        for line in lines
        if str(GENUINE) in line and "--" not in line
    }


# ── every spelling, through the door ─────────────────────────────────────────────────────────────

FORGED = [
    ["X-Easel-User: @operator"],
    ["x-easel-user: @operator"],
    ["X-EASEL-USER: @operator"],
    ["X_Easel_User: @operator"],
    ["X-Easel_User: @operator"],
    ["X_Easel-User: @operator"],
    ["x_easel_user: @operator", "X-Easel-User: @operator"],
    ["X-Easel-User: @operator", "X-Easel-User: @operator"],
    ["X-Easel-User:@operator"],
    ["X-Easel-User: "],
    ["X-Easel-User: \t@operator\t"],
    ["X-Easel-Assertion: forged"],
    ["X-Easel-Assertion: a.b.c", "X-Easel-Assertion: "],
    ["x_easel_assertion: forged"],
    ["X-Easel-Upstream: 127.0.0.1:1", "X-Easel-Door: x", "X-Easel-Key: x", "X-Easel-Pass: 1"],
    ["X-Easel-Cookie: a=b"],
]
NAMED = [
    f"{field}: {value}"
    for field in ("Connection", "Keep-Alive", "TE", "Proxy-Connection", "Trailer", "Upgrade")
    for value in ("X-Easel-User", "close, X-Easel-User", "X-Easel-Assertion, X-Easel-User, X-Easel-Upstream")
]


@pytest.mark.parametrize("lines", FORGED, ids=lambda lines: lines[0] + f" x{len(lines)}")
def test_no_spelling_names_anybody(door: Genuine, lines: list[str]) -> None:
    """Case, underscores, duplicates, blanks: a visitor stays a visitor, a token's holder the token's."""
    visitor = seen(exchange(door.ports["gallery"], head(door, "gallery", *lines, "Connection: close")))
    assert visitor["x-easel-user"].startswith(NOBODY)
    bearer = f"Authorization: Bearer {door.token('studio')}"
    holder = seen(exchange(door.ports["studio"], head(door, "studio", bearer, *lines, "Connection: close")))
    assert holder["x-easel-user"] == "link"
    for found in (visitor, holder):
        assert [name for name in found if "easel" in name] == ["x-easel-user"]


@pytest.mark.parametrize("line", NAMED)
def test_what_is_named_as_hop_by_hop_stays(door: Genuine, line: str) -> None:
    """`Connection: close, X-Easel-User` had the door's own word for the caller taken off on the way, and who
    had no name was the operator. In each field that anybody reads as one of those, and twice."""
    for lines in ([line], [line, line.replace("X-Easel", "x-easel")], [line, "Connection: close"]):
        visitor = exchange(door.ports["gallery"], head(door, "gallery", *lines, "X-Easel-User: local"))
        assert seen(visitor)["x-easel-user"].startswith(NOBODY)
        bearer = f"Authorization: Bearer {door.token('studio')}"
        assert (
            seen(exchange(door.ports["studio"], head(door, "studio", bearer, *lines)))["x-easel-user"]
            == "link"
        )


def test_a_folded_header_is_refused_or_nobodys(door: Genuine) -> None:
    """Obsolete line folding (RFC 9112, 5.2): a value that goes on in the next line names nobody."""
    lines = ["X-Easel-User:", " @operator", "Accept: */*,", "\tX-Easel-User: @operator", "Connection: close"]
    answer = exchange(door.ports["gallery"], head(door, "gallery", *lines))
    assert answer[0] == 400 or seen(answer)["x-easel-user"].startswith(NOBODY)


@pytest.mark.parametrize("name", ["X-Easel-User", "x-easel-assertion", "X_Easel_User"])
def test_a_trailer_names_nobody(door: Genuine, name: str) -> None:
    """What comes behind a chunked body is no header: servers differ in whether they add it to those."""
    lines = ["Transfer-Encoding: chunked", f"Trailer: {name}", "Connection: close", "TE: trailers"]
    body = f"2\r\n{{}}\r\n0\r\n{name}: @operator\r\n\r\n".encode()
    answer = exchange(door.ports["gallery"], head(door, "gallery", *lines, method="POST"), body)
    assert answer[0] == 400 or seen(answer)["x-easel-user"].startswith(NOBODY)


# ── the advisories ───────────────────────────────────────────────────────────────────────────────


def test_cve_2024_45410(door: Genuine) -> None:
    """CVE-2024-45410 (Traefik before 2.11.9 and 3.1.3): a client names the proxy's own headers in
    `Connection`, the proxy takes them for hop-by-hop and drops them after it has set them, and the backend
    reads none, or the client's. X-Forwarded-* of the door are as they should be, whatever is named."""
    names = ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Port", "X-Real-Ip"]
    lines = [f"Connection: close, {', '.join(names)}", *(f"{name}: 8.8.8.8" for name in names[:4])]
    found = seen(exchange(door.ports["gallery"], head(door, "gallery", *lines)))
    assert found["x-easel-user"].startswith(NOBODY)
    assert found["x-forwarded-host"] == found["host"]
    assert found["x-forwarded-proto"] == "http"
    assert found["x-forwarded-for"] == "127.0.0.1"


def test_cve_2024_45410_at_the_question(door: Genuine) -> None:
    """The same at `forward_auth`'s own request: what the door decides by cannot be named away either. Without
    X-Forwarded-Uri a forbidden path would look like `/`, without the address all strangers would be one."""
    lines = ["Connection: close, X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-For, X-Easel-Door, Cookie"]
    status, _ = exchange(door.ports["gallery"], head(door, "gallery", *lines, path="/easel/load"))
    assert status == 404
    plain = seen(exchange(door.ports["gallery"], head(door, "gallery", "Connection: close")))
    named = seen(exchange(door.ports["gallery"], head(door, "gallery", *lines)))
    assert plain["x-easel-user"] == named["x-easel-user"]


def test_cve_2026_30851(door: Genuine) -> None:
    """CVE-2026-30851 (Caddy 2.10.0 to 2.11.1): `copy_headers` sets a header only if the answer of the
    authentication has it, and leaves the client's own where it does not. The door's answer to somebody with a
    session that is not to be renewed has no X-Easel-Cookie, and X-Easel-Pass only where it counts."""
    lines = ["X-Easel-Cookie: easel_gallery=stolen; Path=/", "X-Easel-Pass: 1", "Connection: close"]
    bearer = f"Authorization: Bearer {door.token('studio')}"
    port = door.ports["studio"]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*head(door, "studio", bearer, *lines), "", ""]).encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"stolen" not in answer


@pytest.mark.parametrize("path", ["/easel/load", "/easel/load?x=/", "/metrics", "/sdapi/v1/server-kill"])
def test_cve_2026_40575(door: Genuine, path: str) -> None:
    """CVE-2026-40575 (OAuth2 Proxy 7.5.0 to 7.15.1): rules about paths were asked of an `X-Forwarded-Uri`
    that the client had sent, not of the path it asked for. A harmless one beside a forbidden path opens
    nothing, and neither does one that the door answers itself."""
    for claimed in ("/", "/internal/ping", "/easel/signin", "/assets/x.js"):
        for name in (
            "X-Forwarded-Uri",
            "x-forwarded-uri",
            "X_Forwarded_Uri",
            "X-Original-URL",
            "X-Rewrite-URL",
        ):
            lines = [f"{name}: {claimed}", "X-Forwarded-Method: OPTIONS", "Connection: close"]
            assert exchange(door.ports["gallery"], head(door, "gallery", *lines, path=path))[0] == 404
            status, _ = exchange(door.ports["studio"], head(door, "studio", *lines))
            assert status == 401


@pytest.mark.parametrize(
    "name", ["X_Easel_User", "x_easel_user", "X-Easel_User", "X_EASEL_USER", "X.Easel.User"]
)
def test_ghsa_f59h_q822_g45g(door: Genuine, name: str) -> None:
    """GHSA-f59h-q822-g45g, CVE-2026-52845 (Caddy before 2.11.4): `copy_headers` takes the client's header off
    under its own spelling only; `Remote_User` stays beside `Remote-User`, and a FastCGI or WSGI backend folds
    both into one variable. No alias of ours reaches a replica, of whatever kind it is."""
    answer = exchange(door.ports["gallery"], head(door, "gallery", f"{name}: @operator", "Connection: close"))
    folded = [each for each in seen(answer) if each.replace("_", "-").replace(".", "-") == "x-easel-user"]
    assert folded == ["x-easel-user"]
    assert seen(answer)["x-easel-user"].startswith(NOBODY)


@pytest.mark.parametrize("address", ["https://example.com/?a={env.HOME}", "https://a.b/{vars.lost}", ""])
def test_what_the_caller_may_say_reaches_the_replica(door: Genuine, address: str) -> None:
    """`Easel-Webhook` was taken off with what is the door's own. It comes as it was said, if it was, and
    nothing of its like with it."""
    lines = [f"easel-webhook: {address}", "X-Easel-Webhook: no", "Easel-User: eve", "Connection: close"]
    found = seen(exchange(door.ports["gallery"], head(door, "gallery", *lines)))
    assert found.get("easel-webhook", "") == address
    assert {"x-easel-webhook", "easel-user"}.isdisjoint(found)


# ── the receiver alone: nobody has to come by Caddy ──────────────────────────────────────────────


def signed(house: House, **changed: Any) -> str:
    """An assertion as the gateway signs it, but for what is `changed`."""
    from joserfc import jwt

    signer = Signer(changed.pop("secret", keyring(house).newest))
    now = int(time.time())
    header = {"alg": "Ed25519", "typ": "easel-assertion+jwt", "kid": signer._kid} | changed.pop("header", {})
    claims = {"sub": "ada", "aud": "studio", "iat": now, "exp": now + LASTS} | changed
    claims = {name: value for name, value in claims.items() if value is not None}
    key = changed.get("key", signer._key)
    return jwt.encode(header, claims, key, algorithms=["Ed25519", "HS256", "none"])


def test_a_genuine_assertion_counts_and_nothing_else(door: Genuine) -> None:
    """At the replica's own port: without one, with several, one of another endpoint, an old or an early one,
    one that lasts, of another key or kind, a changed one: 403. 200 for the genuine, whatever is beside it."""
    port = replica_ports(door)["studio"]

    def ask(*headers: tuple[str, str]) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}/who", headers=list(headers), trust_env=False)

    genuine = signed(door)
    answer = ask(("X-Easel-Assertion", genuine), ("X-Easel-User", "eve"), ("X_Easel_User", "eve"))
    assert dict(answer.json()["headers"])["x-easel-user"] == "ada"
    assert not {"x_easel_user", "x-easel-assertion"} & dict(answer.json()["headers"]).keys()
    now = time.time()
    first, second, third = genuine.split(".")
    refused = {
        "foreign": signed(door, aud="gallery"),
        "console's": signed(door, aud="console"),
        "several audiences": signed(door, aud=["studio", "gallery"]),
        "stale": signed(door, iat=int(now) - LASTS - SKEW - 5, exp=int(now) - SKEW - 5),
        "early": signed(door, iat=int(now) + SKEW + 30, exp=int(now) + SKEW + 60),
        "lasting": signed(door, exp=int(now) + 86400),
        "endless": signed(door, exp=None),
        "undated": signed(door, iat=None),
        "infinite": signed(door, exp=float("inf")),
        "yes": signed(door, exp=True),
        "nobody's": signed(door, sub=None),
        "blank": signed(door, sub="  "),
        "numbered": signed(door, sub=7),
        "split": signed(door, sub="ada\r\nx-easel-user: @operator"),
        "another kind": signed(door, header={"typ": "JWT"}),
        "another secret's": signed(door, secret="x" * 64),
        "another secret's under our name": signed(
            door, secret="x" * 64, header={"kid": Signer(keyring(door).newest)._kid}
        ),
        "changed": f"{first}.{second[:-4]}AAAA.{third}",
        "unsigned": f"{first}.{second}.",
        "cut": genuine[:-10],
        "none": "eyJhbGciOiJub25lIn0." + second + ".",
        "empty": "",
        "long": genuine + "A" * 5000,
        "dots": "....",
    }
    let_in = [name for name, value in refused.items() if ask(("X-Easel-Assertion", value)).status_code != 403]
    assert let_in == []
    assert ask().status_code == ask(("X-Easel-User", "ada")).status_code == 403
    assert ask(("X-Easel-Assertion", genuine), ("X-Easel-Assertion", genuine)).status_code == 403
    assert ask(("X_Easel_Assertion", genuine)).status_code == 403


def test_a_public_key_signs_nothing(door: Genuine) -> None:
    """The classic of JWT: the public key taken as the shared secret of HS256. What replicas hold is worth
    nothing to who reads it."""
    import base64
    import hashlib
    import hmac

    jwk = json.loads((door.root / "run" / "keys.json").read_text())["keys"][0]
    assert set(jwk) == {"alg", "crv", "kid", "kty", "use", "x"}
    port = replica_ports(door)["studio"]

    def encoded(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).decode().rstrip("=")

    claims = signed(door).split(".")[1]
    for key in (jwk["x"].encode(), json.dumps(jwk).encode(), base64.urlsafe_b64decode(jwk["x"] + "=")):
        header = encoded(
            json.dumps({"alg": "HS256", "typ": "easel-assertion+jwt", "kid": jwk["kid"]}).encode()
        )
        mark = encoded(hmac.new(key, f"{header}.{claims}".encode(), hashlib.sha256).digest())
        answer = httpx.get(
            f"http://127.0.0.1:{port}/who", headers={"X-Easel-Assertion": f"{header}.{claims}.{mark}"}
        )
        assert answer.status_code == 403


def test_the_console_goes_by_the_assertion_alone(door: Genuine) -> None:
    """The gateway's own port below /console: no header but a genuine assertion for the console opens it, not
    the key that Caddy shows; and a member's shows no link, whatever is said beside it."""
    gateway = door.json
    assert gateway
    (caddy,) = [process for process in door.processes() if process.name() == "caddy"]
    key = psutil.Process(caddy.pid).environ()["EASEL_DOOR_KEY"]

    def ask(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(gateway["url"] + "/console/api/status", headers=named, trust_env=False)

    assert ask(X_Easel_Door=key, X_Easel_User="link").status_code == 403
    assert ask(X_Easel_Door=key).status_code == 403
    assert ask(X_Easel_Assertion=signed(door)).status_code == 403
    operator = ask(X_Easel_Assertion=signed(door, aud="console", sub="link/browser"))
    assert operator.json()["console"]["link"]
    member = ask(X_Easel_Assertion=signed(door, aud="console", sub="ana@example.com"), X_Easel_User="link")
    assert (
        {member.json()["console"]["link"]}
        == {place["link"] for place in member.json()["endpoints"]}
        == {None}
    )


@pytest.mark.parametrize("line", ["Connection: close, X-Easel-User", "Connection: close, X-Easel-Assertion"])
def test_named_at_the_console(door: Genuine, line: str) -> None:
    """A member got every link with its token by having the door's word about them dropped."""
    bearer = f"Authorization: Bearer {door.token('console')}"
    status, _ = exchange(door.ports["console"], head(door, "console", line, path="/api/status"))
    assert status == 401
    status, body = exchange(door.ports["console"], head(door, "console", bearer, line, path="/api/status"))
    assert (status, b'"link"' in body) == (200, True)


# ── rotation ─────────────────────────────────────────────────────────────────────────────────────


def test_a_new_secret_signs_and_the_old_ones_work_goes_on(door: Genuine) -> None:
    """One command: sessions, passes and tokens go on; a browser's cookie is signed anew at its next request,
    and the replica, which holds public keys only, knows the new one at once. With `now` what was signed
    before is worth nothing, and links open still."""
    browser = door.browser("studio")
    old = browser.cookies["easel_studio"]
    key = door.api("POST", "/api/endpoints/studio/pass").json()["token"]
    assert "set-cookie" not in browser.get("/who").headers
    before = keyring(door).newest
    answer = door.api("POST", "/api/secret/rotation", json={})
    assert answer.status_code == 201
    assert answer.json()["until"] - answer.json()["made"] == 30 * 24 * 3600
    assert (door.root / "secret").stat().st_mode & 0o777 == 0o600
    assert len(json.loads((door.root / "run" / "keys.json").read_text())["keys"]) == 2
    renewed = browser.get("/who")
    assert renewed.status_code == 200
    assert browser.cookies["easel_studio"] != old
    assert "set-cookie" not in browser.get("/who").headers
    operator = {"Authorization": f"Bearer {key}"}
    assert door.client("studio", headers=operator).get("/who").status_code == 200
    assert keyring(door).newest != before
    # At once: the renewed cookie too, for it is of the second secret.
    assert door.api("POST", "/api/secret/rotation", json={"now": True}).status_code == 201
    assert browser.get("/who").status_code == 401
    assert door.client("studio", headers=operator).get("/who").status_code == 401
    assert door.caller("studio").get("/who").status_code == 200
    assert door.browser("studio").get("/who").status_code == 200
    for body in ({"now": "yes"}, {"now": 1}, {"now": None}):
        assert door.api("POST", "/api/secret/rotation", json=body).status_code == 422
