"""`easel up` as a person or a program runs it: real gateway, real Caddy, a tiny replica."""

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.scripts.running import Up, command, easel, processes
from tests.scripts.up_fixtures import env, running

__all__ = ["env", "running"]


def test_a_line_for_each_endpoint_and_the_console(running: Up) -> None:
    """`studio  http://127.0.0.1:7860/?token=…`, as soon as the door answers, and how long that took."""
    port = int(running.env["EASEL_PORT"])
    assert running.link("studio").startswith(f"http://127.0.0.1:{port}/?token=")
    assert running.link("console").startswith(f"http://127.0.0.1:{port - 1}/")
    assert running.says("the door answers after").endswith(" s")


def test_the_link_opens_the_door(running: Up) -> None:
    """What was printed works: the link leads through Caddy and gateway to the replica."""
    jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with jar.open(
        urllib.request.Request(running.link("studio"), headers={"Accept": "text/html"}), timeout=20
    ) as answer:
        assert answer.status == 200


def test_status_is_as_the_contract_says(running: Up) -> None:
    """docs/architecture.md: console, endpoints, replicas, and nothing less."""
    done = easel("status", "--json", env=running.env)
    assert done.returncode == 0
    status = json.loads(done.stdout)
    assert status["console"]["url"].startswith("http://127.0.0.1:")
    [studio] = status["endpoints"]
    assert studio.keys() >= {"name", "url", "link", "state", "replicas"}
    assert (studio["name"], studio["state"], studio["link"]) == ("studio", "ready", running.link("studio"))
    [replica] = studio["replicas"]
    assert replica.keys() >= {"id", "state", "since"}
    assert "studio  ready  http" in command("status", env=running.env).stdout


def test_a_token_is_made_listed_used_and_taken_back(running: Up) -> None:
    """`token new` prints the token and nothing else, so that a script can take it."""
    made = command(
        "token", "new", "--endpoint", "studio", "--name", "ci", "--expires", "90d", env=running.env
    )
    assert made.returncode == 0, made.stderr
    token = made.stdout.strip()
    assert made.stdout == f"{token}\n"
    assert " " not in token

    def status_with(token: str) -> int:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{running.env['EASEL_PORT']}/sdapi/v1/progress",
            headers={"Authorization": f"Bearer {token}"},
        )
        try:
            with urllib.request.urlopen(asked, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert status_with(token) != 401
    assert status_with(token + "x") == 401
    listed = command("token", "list", env=running.env).stdout
    assert "ci" in listed
    assert token not in listed
    names = [each["name"] for each in json.loads(command("token", "list", "--json", env=running.env).stdout)]
    assert "ci" in names
    assert command("token", "revoke", "--endpoint", "studio", "--name", "ci", env=running.env).returncode == 0
    assert status_with(token) == 401


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "--endpoint", "studo", "--name", "ci"), "studo"),
        (("new", "--endpoint", "studio", "--name", "a b"), "is not a token's name"),
        (("new", "--endpoint", "studio", "--name", "../x"), "is not a token's name"),
        (("new", "--endpoint", "studio", "--name", "ci", "--expires", "soon"), "is not a duration"),
        (("new", "--endpoint", "studio", "--name", "ci", "--expires", "0d"), "no time at all"),
        (("new", "--endpoint", "Studio/..", "--name", "ci"), "is not a name for an endpoint"),
        (("revoke", "--endpoint", "studio", "--name", "nobody"), "nobody"),
        (("new", "--name", "ci"), "--endpoint"),
    ],
)
def test_a_token_that_cannot_be_is_refused_in_a_line(
    running: Up, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 2, no token on standard output, no traceback."""
    done = command("token", *arguments, env=running.env)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_secret_is_rotated_by_one_command(running: Up) -> None:
    """Until when the old one's work counts is said; tokens and links open as before."""
    done = command("secret", "rotate", env=running.env)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"a new secret signs; what the old one signed counts until \d{4}-.{11} UTC\n", done.stdout
    )
    done = command("secret", "rotate", "--now", env=running.env)
    assert "worth nothing" in done.stdout
    test_the_link_opens_the_door(running)


def test_a_second_easel_under_the_same_home_is_refused(running: Up) -> None:
    """Two gateways over one folder would fight for it."""
    done = easel("up", env=running.env)
    assert done.returncode == 2
    assert "is already running under" in done.stderr
    assert f"(process {running.process.pid})" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_refused_with_who_has_it(running: Up, tmp_path: Path) -> None:
    """One clear line, exit 2, and nothing is started."""
    env = running.env | {"EASEL_HOME": str(tmp_path / "other")}
    done = command("up", env=env)
    assert done.returncode == 2
    assert f"port {int(env['EASEL_PORT']) - 1} for the console is taken by caddy (process " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not processes(str(tmp_path / "other"))


def test_logs_are_readable(running: Up) -> None:
    """`easel logs` shows times, sources and sentences, not JSON."""
    done = command("logs", "gateway", env=running.env)
    assert "the door is open" in done.stdout
    assert not any(line.startswith("{") for line in done.stdout.splitlines())
    assert command("logs", "nobody", env=running.env).returncode == 2


def test_doctor_sees_that_easel_runs(running: Up) -> None:
    """Ports that easel itself uses are no fault."""
    done = easel("doctor", env=running.env)
    assert "is in use, and easel runs" in done.stdout
    assert done.returncode == 0, done.stdout


def test_no_token_is_in_a_log(running: Up) -> None:
    """Links are printed for the person; logs are read by others."""
    token = running.link("studio").split("token=")[1]
    for file in Path(running.env["EASEL_HOME"], "logs").iterdir():
        assert token not in file.read_text(errors="replace"), file.name
    assert not any(token in line for line in running.err)
