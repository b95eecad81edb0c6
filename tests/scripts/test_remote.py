"""The `easel` command against a gateway elsewhere: real TLS, Caddy and gateway behind a name."""

import json
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from scripts.__main__ import main
from scripts.logs.remote_tail import added
from scripts.remote.transport import RemoteTransport
from scripts.settings import CommandRefused
from tests.gateway.conftest import until
from tests.gateway.proxy.estate import DOMAIN, Estate
from tests.gateway.proxy.pebble import Pebble, built, go
from tests.ports import free_port
from tests.scripts.running import STACK

Easel = Callable[..., Result]


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    if go() is None:
        pytest.skip("Pebble is built by Go, which is not here")
    built()
    folder = tmp_path_factory.mktemp("estate")
    pebble = Pebble(folder / "pebble").start()
    estate = Estate(folder / "home", pebble, studio={}, sleeper={"replicas": {"min": 0, "max": 1}})
    try:
        yield estate.start().secured("console", "studio")
    finally:
        estate.stop()
        pebble.stop()


@pytest.fixture
def easel(estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Easel:
    """`easel …` on a machine where nothing runs, with the console's address and token in its environment."""
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(DOMAIN):
            return real("127.0.0.1", *rest, **more)
        if str(host).endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("SSL_CERT_FILE", str(estate.trusted))
    monkeypatch.setenv("EASEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EASEL_CONSOLE", estate.url("console"))
    monkeypatch.setenv("EASEL_TOKEN", estate.token("console"))
    return lambda *arguments, **env: CliRunner().invoke(main, arguments, env=env)


# ── through the door ─────────────────────────────────────────────────────────────────────────────


def test_status_from_afar(easel: Easel, estate: Estate) -> None:
    """The same answer as on the gateway's own machine."""
    done = easel("status", "--json")
    assert done.exit_code == 0, done.output
    there = estate.status()
    assert json.loads(done.stdout)["console"] == there["console"]
    assert [each["name"] for each in json.loads(done.stdout)["endpoints"]] == ["studio", "sleeper"]
    assert estate.url("studio") in easel("status").stdout


def test_the_consoles_link_is_enough(easel: Easel, estate: Estate) -> None:
    """It has address and token in it; options say it as the environment does."""
    link = estate.status()["console"]["link"]
    assert easel("status", "--console", link, EASEL_CONSOLE="", EASEL_TOKEN="").exit_code == 0
    given = ("--console", estate.url("console"), "--token", estate.token("console"))
    assert easel("status", *given, EASEL_CONSOLE="", EASEL_TOKEN="").exit_code == 0
    host = f"console.{DOMAIN}:{estate.port}"
    assert easel("status", EASEL_CONSOLE=host).exit_code == 0, "https is what is meant"


def test_tokens_from_afar(easel: Easel, estate: Estate) -> None:
    """Made, used, listed, taken back."""
    token = easel("token", "new", "--endpoint", "studio", "--name", "ci", "--expires", "1d").stdout.strip()
    bearer = {"Authorization": f"Bearer {token}"}
    assert estate.client("studio").get("/", headers=bearer).status_code == 200
    assert "ci" in easel("token", "list", "--endpoint", "studio").stdout
    assert easel("token", "revoke", "--endpoint", "studio", "--name", "ci").exit_code == 0
    assert estate.client("studio").get("/", headers=bearer).status_code == 401
    again = easel("token", "revoke", "--endpoint", "studio", "--name", "ci")
    assert again.exit_code == 2
    assert "studio has no token named 'ci'" in again.stderr


def test_wake_and_sleep_from_afar(easel: Easel, estate: Estate) -> None:
    """An endpoint wakes before somebody draws, and sleeps when nobody will."""
    assert estate.state("sleeper") == "asleep"
    assert easel("wake", "sleeper").exit_code == 0
    until(lambda: estate.state("sleeper") == "ready")
    assert easel("sleep", "sleeper").exit_code == 0
    until(lambda: estate.state("sleeper") == "asleep")


@pytest.mark.parametrize("command", ["wake", "sleep", "logs"])
def test_an_endpoint_that_is_not_there(easel: Easel, command: str) -> None:
    """The names that there are, exit 2."""
    done = easel(command, "studoi")
    assert done.exit_code == 2
    assert "there is no endpoint 'studoi'" in done.stderr
    assert "studio" in done.stderr.split("studoi")[1]


def test_logs_from_afar(easel: Easel) -> None:
    """What replicas wrote and what happened to them, in one order; of one endpoint or all."""
    told = easel("logs")
    assert told.exit_code == 0, told.output
    assert "studio-1  replica " in told.stdout
    assert "ready after" in told.stdout
    assert "replica " in easel("logs", "studio").stdout
    assert "sleeper" not in easel("logs", "studio").stdout
    events = easel("logs", "gateway", "--tail", "1").stdout
    assert len(events.splitlines()) == 1
    assert "no endpoint 'caddy'" in easel("logs", "caddy").stderr


# ── who may not ──────────────────────────────────────────────────────────────────────────────────


def refusal(done: Result) -> str:
    """The one line of a refusal."""
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_a_wrong_token(easel: Easel, estate: Estate) -> None:
    """Mistyped, or of an endpoint: only the console's opens the console."""
    assert "refuses the token" in refusal(easel("status", EASEL_TOKEN="easel_x"))
    line = refusal(easel("status", EASEL_TOKEN=estate.token("studio")))
    assert "of another endpoint" in line
    assert "easel token new --endpoint console" in line


def test_an_endpoints_address_is_no_console(easel: Easel, estate: Estate) -> None:
    """Even with the endpoint's own token: what answers there is the studio."""
    there = {"EASEL_CONSOLE": estate.url("studio"), "EASEL_TOKEN": estate.token("studio")}
    for command in (("status",), ("wake", "studio"), ("logs",)):
        assert "is no easel console: it answered 200" in refusal(easel(*command, **there))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://console.nowhere.test", "nobody knows the host console.nowhere.test"),
        ("https://127.0.0.1:{closed}", "does not answer: "),
        (f"https://other.{DOMAIN}:{{port}}", "has no certificate for this name"),
        ("https://127.0.0.1:{port}", "has no certificate for this name"),
    ],
)
def test_no_way_there(easel: Easel, estate: Estate, address: str, said: str) -> None:
    """What stands in between, in one line; the token is in none."""
    line = refusal(easel("status", EASEL_CONSOLE=address.format(port=estate.port, closed=free_port())))
    assert said in line
    assert estate.token("console") not in line


def test_a_certificate_that_nobody_vouches_for(
    easel: Easel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A staging certificate, or somebody in between: the token is not sent."""
    empty = tmp_path / "none.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    line = refusal(easel("status"))
    assert "is not trusted here" in line
    assert "SSL_CERT_FILE" in line


@pytest.mark.parametrize(
    ("address", "token", "said"),
    [
        ("http://console.art.example.com", "easel_x", "in plain text"),
        ("ftp://console.art.example.com", "easel_x", "is not a console's address"),
        ("https://", "easel_x", "is not a console's address"),
        ("https://me:secret@console.example.com", "easel_x", "is not a console's address"),
        ("https://console.example.com:port", "easel_x", "is not an address"),
        ("https://console.example.com", None, "set EASEL_TOKEN"),
        ("https://console.example.com", "easel x", "is not a token"),
        ("https://console.example.com", "a\r\nHost: evil", "is not a token"),
        ("https://console.example.com", "schlüssel", "is not a token"),
    ],
)
def test_what_is_no_address_or_token(address: str, token: str | None, said: str) -> None:
    """Refused before anything is sent."""
    with pytest.raises(CommandRefused, match=said):
        RemoteTransport(address, token)


# ── the API behind the console's door ────────────────────────────────────────────────────────────


def test_a_session_may_do_what_the_page_may_and_no_other_site_for_it(estate: Estate) -> None:
    """The same routes serve page and command: a cookie counts from the console's own page alone."""
    browser = estate.browser("console")
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    assert browser.get("/api/status", headers=own).status_code == 200
    wake = "/api/endpoints/studio/wake"
    assert browser.post(wake, headers=own).status_code == 200
    for site in ("same-site", "cross-site"):
        foreign = own | {"Sec-Fetch-Site": site, "Origin": estate.url("studio")}
        assert browser.post(wake, headers=foreign).status_code == 403
        assert browser.get("/api/tokens", headers=foreign).status_code == 403
    # A browser that says nothing of itself but the origin.
    old = estate.client("console", cookies=dict(browser.cookies))
    assert old.post(wake, headers={"Origin": estate.url("studio")}).status_code == 403
    assert old.post(wake).status_code == 403


@pytest.mark.parametrize("path", ["/api/status", "/api/tokens", "/api/events", "/api/logs/studio/1"])
def test_nobody_else_may(estate: Estate, path: str) -> None:
    """Without a token of the console's: 401. The gateway's own key opens nothing from outside."""
    assert estate.json
    assert estate.client("console").get(path).status_code == 401
    key = {"Authorization": f"Bearer {estate.json['token']}"}
    assert estate.client("console").get(path, headers=key).status_code == 401
    basic = estate.client("console", auth=("anyone", estate.token("console")))
    assert basic.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/console/api/status", "/auth/studio", "/door/studio/signin", "/%2e%2e/api/status"]
)
def test_no_way_round_the_consoles_own_routes(estate: Estate, path: str) -> None:
    """A holder of the console's token reaches what is below /console of the gateway, nothing beside it."""
    answer = estate.caller("console").get(path)
    assert answer.status_code == 404


# ── found by the stack ───────────────────────────────────────────────────────────────────────────


def pulumi(folder: Path, says: str, status: int = 0) -> Path:
    """A stand-in on PATH that notes what it was asked."""
    folder.mkdir(exist_ok=True)
    program = folder / "pulumi"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n{says}\nexit {status}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


def stack(folder: Path, text: str = "config: {}\n") -> str:
    path = folder / "Pulumi.art.yaml"
    path.write_text(text)
    return str(path)


def test_a_named_stack_says_where_its_console_is(easel: Easel, estate: Estate, tmp_path: Path) -> None:
    """EASEL_STACK=art is enough where pulumi is: the link is an output of the stack."""
    console = json.dumps({"url": estate.url("console"), "link": estate.status()["console"]["link"]})
    bin = pulumi(tmp_path / "bin", f"echo '{console}'")
    elsewhere = {"EASEL_CONSOLE": "", "EASEL_TOKEN": "", "EASEL_STACK": stack(tmp_path)}
    done = easel("status", PATH=f"{bin}:{os.environ['PATH']}", **elsewhere)
    assert done.exit_code == 0, done.output
    assert estate.url("studio") in done.stdout
    assert "--stack art" in (bin / "asked").read_text()


@pytest.mark.parametrize(
    ("says", "status", "said"),
    [
        ("echo 'error: no stack named art found' >&2", 255, "no stack named art found"),
        ("echo junk", 0, "pulumi does not say where"),
        ("echo '{}'", 0, "pulumi does not say where"),
        ("echo null", 0, "pulumi does not say where"),
    ],
)
def test_a_stack_that_does_not_say(easel: Easel, tmp_path: Path, says: str, status: int, said: str) -> None:
    """In pulumi's words, with what to do."""
    bin = pulumi(tmp_path / "bin", says, status)
    elsewhere = {"EASEL_CONSOLE": "", "EASEL_TOKEN": "", "EASEL_STACK": stack(tmp_path)}
    line = refusal(easel("status", PATH=f"{bin}:{os.environ['PATH']}", **elsewhere))
    assert said in line
    assert "EASEL_CONSOLE" in line


def test_without_pulumi(easel: Easel, tmp_path: Path) -> None:
    """The stack runs elsewhere, and nothing here knows where."""
    elsewhere = {"EASEL_CONSOLE": "", "EASEL_TOKEN": "", "EASEL_STACK": stack(tmp_path)}
    assert "set EASEL_CONSOLE" in refusal(easel("status", PATH="", **elsewhere))


@pytest.mark.parametrize("text", [STACK, STACK.replace("runs_on: local", "'runs_on': 'local'")])
def test_a_stack_of_this_machine_is_asked_here(easel: Easel, tmp_path: Path, text: str) -> None:
    """As ever: nothing runs, which is an answer."""
    here = {"EASEL_CONSOLE": "", "EASEL_TOKEN": "", "EASEL_STACK": stack(tmp_path, text)}
    done = easel("status", **here)
    assert done.exit_code == 0
    assert "nothing runs under" in done.stdout


def test_a_comment_is_no_setting(easel: Easel, tmp_path: Path) -> None:
    """`# runs_on: local` says nothing."""
    there = {
        "EASEL_CONSOLE": "",
        "EASEL_TOKEN": "",
        "EASEL_STACK": stack(tmp_path, "# runs_on: local\nconfig: {}\n"),
    }
    assert "set EASEL_CONSOLE" in refusal(easel("status", PATH="", **there))


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ([], ["a"], ["a"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "b"], ["b", "c"], ["c"]),
        (["a"], ["x", "y"], ["x", "y"]),
        (["a", "a"], ["a", "a", "a"], ["a"]),
    ],
)
def test_what_a_log_has_gained(before: list[str], after: list[str], new: list[str]) -> None:
    """Both are the end of one log; what went out of reach in between is lost, nothing is told twice."""
    assert list(added(before, after)) == new
