"""What every answer of the studio says to a browser."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from easel.assertion import Verifier, parsed
from easel.studio.authentication import AuthenticationMiddleware
from easel.studio.security_headers import SecurityHeaders, policy
from easel.studio.startup import StartupApp

PAGES = ("/", "/docs")
REST = (
    "/config", "/theme.css", "/openapi.json", "/internal/ping", "/easel/load", "/sdapi/v1/options",
    "/sdapi/v1/nothing", "/nothing", "/files/list", "/page/0/app.js", "/page/nothing",
    "/files/content?path=models/Stable-diffusion/easel-starter.safetensors", "/studio/models/files",
    "/files/pictures/2026-01-01/00001-1.png",
    "/nothing/<script>alert(1)</script>",
)  # fmt: skip


def checked(answer: httpx.Response) -> dict[str, str]:
    """The policy's directives, after what holds for every answer."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-frame-options"] == "DENY"
    text = answer.headers["content-security-policy"]
    said = dict(one.strip().partition(" ")[::2] for one in text.split(";"))
    assert said["default-src"] == "'none'"
    # No other origin, by any scheme, and nothing that makes code of text.
    plain = re.sub(r"'sha256-[^']*'", "", text)
    assert not re.search(r"https?:|\*|//|unsafe-eval|script-src[^;]*unsafe", plain)
    return said


@pytest.mark.parametrize("path", PAGES)
def test_pages(running, path) -> None:
    """What is in the page runs, by its hash; it is framed by nobody and sends forms nowhere."""
    with running.ask("ada") as ada:
        said = checked(ada.get(path))
    assert said["frame-ancestors"] == "'none'"
    assert said["form-action"] == "'none'"
    assert "unsafe" not in said["style-src"]
    assert said["base-uri"] in ("'none'", "'self'")
    assert said["connect-src"] == "'self'"
    assert all(one == "'self'" or one.startswith("'sha256-") for one in said["script-src"].split())


@pytest.mark.parametrize("path", REST)
def test_all_else_is_inert(running, path) -> None:
    """A file of somebody's or an error that quotes what it was asked never runs in this origin."""
    for owner in ("ada", "anonymous/x"):
        with running.ask(owner) as client, client.stream("GET", path) as answer:
            said = checked(answer)
        assert "sandbox" in said
        assert "script-src" not in said


@pytest.mark.parametrize("browser", [True, False])
def test_before_the_page_is_built(browser: bool) -> None:
    """What answers while the studio starts."""
    engine: Any = SimpleNamespace(
        status=lambda: SimpleNamespace(phase="loading", detail="x", idle_seconds=0.0)
    )
    startup = StartupApp(engine)
    accept = {"Accept": "text/html"} if browser else {}
    assert "sandbox" in checked(TestClient(startup).get("/", headers=accept))
    verifier = Verifier(lambda: parsed('{"keys": []}'), "studio")
    assert "sandbox" in checked(TestClient(AuthenticationMiddleware(startup, verifier)).get("/"))


def test_an_answer_may_say_its_own() -> None:
    """And what is no script of the page's own has no hash."""
    page = b"<script>let a = 1</script><script src='x.js'></script><p onclick='evil()'>"
    inner = HTMLResponse(page.decode(), headers={"Content-Security-Policy": policy(page)})
    said = checked(TestClient(SecurityHeaders(inner)).get("/"))
    assert len(said["script-src"].split()) == 2
