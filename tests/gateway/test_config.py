"""Reading what `infra` rendered, and the Caddyfile that comes of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from easel.gateway.config import fingerprint, read
from easel.gateway.errors import ConfigError
from easel.gateway.proxy import Plan, Site, caddyfile
from easel.gateway.proxy.caddy import binary

TEAM = {
    "team": "local",
    "runs_on": "local",
    "domain": None,
    "console": {"port": 7859},
    "endpoints": ["studio"],
}
STUDIO = {
    "name": "studio", "shape": "cpu.small", "port": 7860, "replicas": {"min": 1, "max": 1}, "warm": 0,
    "idle": 900, "public": False, "concurrency": 8,
    "timeouts": {"wake": 900, "request": 3600}, "models": [], "env": {},
}  # fmt: skip


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text)
    return folder


def test_the_contract_is_read(tmp_path: Path) -> None:
    """The very files of docs/architecture.md."""
    config = read(write(tmp_path, team=TEAM, studio=STUDIO))
    assert config.team.console.port == 7859
    assert config.endpoints["studio"].replicas.max == 1
    assert config.endpoints["studio"].timeouts.wake == 900
    assert config.ports() == {7859: "console", 7860: "studio"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 0}, r"config/studio.json: port: .*greater than or equal to 1 \(it is 0\)"),
        ({"port": "x"}, "port"),
        ({"port": 7859}, "also the port of console"),
        ({"replicas": {"min": 2, "max": 1}}, r"max \(1\) is below min \(2\)"),
        ({"replicas": {"min": -1}}, "replicas.min"),
        ({"idle": 0}, "idle"),
        ({"idle": "soon"}, "idle"),
        ({"timeouts": {"wake": -1}}, "timeouts.wake"),
        ({"concurrency": 0}, "concurrency"),
        ({"max_body": 0}, "max_body"),
        ({"public": "perhaps"}, "public"),
        ({"cors": ["*"]}, "cors.0"),
        ({"cors": ["https://a.example {"]}, "cors.0"),
        ({"env": {"A": 1}}, "env.A"),
        ({"name": "other"}, "must be the file's name"),
        ({"name": "St udio"}, "small letters, digits and hyphens"),
        ({"name": "x{$HOME}"}, "small letters"),
        ({"name": None}, "name"),
    ],
)
def test_faults_name_file_place_and_value(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """An error says which file, where in it, what stands there and what is allowed."""
    with pytest.raises(ConfigError, match=said) as caught:
        read(write(tmp_path, team=TEAM, studio=STUDIO | change))
    assert "config/studio.json" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '{"endpoints": "studio"}'])
def test_broken_files_are_told(tmp_path: Path, text: str) -> None:
    """Half a file, no file or another file: the reason is one sentence, not a traceback."""
    with pytest.raises(ConfigError, match=r"config/team\.json"):
        read(write(tmp_path, team=text))


def test_missing_files_are_told(tmp_path: Path) -> None:
    """A missing file says who writes it; an endpoint without one names the nearest there is."""
    with pytest.raises(ConfigError, match="easel up"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="did you mean 'studio'"):
        read(write(tmp_path, team=TEAM | {"endpoints": ["studoi"]}, studio=STUDIO))


def test_reserved_name(tmp_path: Path) -> None:
    """An endpoint named `console` would share the console's tokens and cookies."""
    with pytest.raises(ConfigError, match="and none of console, team"):
        read(write(tmp_path, team=TEAM | {"endpoints": ["console"]}, console=STUDIO | {"name": "console"}))


def test_changes_are_seen(tmp_path: Path) -> None:
    """The fingerprint tells every change of content, also one that keeps size and time."""
    first = fingerprint(write(tmp_path, team=TEAM, studio=STUDIO))
    assert fingerprint(write(tmp_path, studio=STUDIO | {"port": 7861})) != first
    assert fingerprint(write(tmp_path, studio=STUDIO)) == first


def plan(*sites: Site, **rest: Any) -> Plan:
    return Plan(
        "127.0.0.1:9000",
        sites,
        Path("/run/e/c.sock"),
        Path("/run/e/r.sock"),
        Path("/run/e"),
        Path("/run/e/c.log"),
        **rest,
    )


def adapted(text: str, folder: Path) -> dict[str, Any]:
    (folder / "Caddyfile").write_text(text)
    command = [binary(), "adapt", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_caddy_takes_it_locally(tmp_path: Path) -> None:
    """The local Caddyfile: real Caddy reads it, gets no certificates and saves nothing of its own."""
    config = adapted(
        caddyfile(plan(Site("studio", 7860, "127.0.0.1"), Site("console", 7859, "127.0.0.1"))), tmp_path
    )
    servers = config["apps"]["http"]["servers"]
    assert sorted(one["listen"][0] for one in servers.values()) == ["127.0.0.1:7859", "127.0.0.1:7860"]
    assert all(one["automatic_https"] == {"disable": True} for one in servers.values())
    assert config["admin"]["listen"] == "unix//run/e/c.sock|0600"
    assert config["admin"]["config"] == {"persist": False}


def test_caddy_takes_it_with_hosts_and_certificates(tmp_path: Path) -> None:
    """The same generator with hosts and ACME, as an instance will have it."""
    site = Site("studio", 443, host="studio.art.example.com", tls=True)
    config = adapted(caddyfile(plan(site, email="lead@example.com")), tmp_path)
    servers = {one["listen"][0]: one for one in config["apps"]["http"]["servers"].values()}
    assert sorted(servers) == [":443", ":80"]
    assert servers[":443"]["routes"][0]["match"] == [{"host": ["studio.art.example.com"]}]
    assert servers[":443"]["strict_sni_host"] is True
    assert "lead@example.com" in json.dumps(config["apps"]["tls"])


@pytest.mark.parametrize("path", ['/a"b', "/a{b}", "/a\nb", "/a`b"])
def test_paths_that_would_be_configuration_are_refused(path: str) -> None:
    """A folder's name cannot add directives."""
    strange = Plan("127.0.0.1:9000", (), Path(path), Path("/r"), Path("/run"), Path("/run/log"))
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(strange)


@pytest.mark.parametrize("bind", ["127.0.0.1 {", "a\nb", "a\n", "$HOME", "{env.HOME}"])
def test_addresses_that_would_be_configuration_are_refused(tmp_path: Path, bind: str) -> None:
    """Where to listen is an address and nothing more, at both ends."""
    with pytest.raises(ConfigError, match="bind"):
        read(write(tmp_path, team=TEAM | {"bind": bind}, studio=STUDIO))
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(plan(Site("studio", 7860, host=bind)))


@pytest.mark.parametrize("origin", ['https://a"b', "https://{env.HOME}", "https://a\nb"])
def test_origins_that_would_be_configuration_are_refused(origin: str) -> None:
    """Whose pages may call is a list of origins and nothing more."""
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(plan(Site("studio", 7860, cors=(origin,))))


def test_no_secret_in_the_file() -> None:
    """The door's key comes from the environment, never from the file."""
    assert "{env.EASEL_DOOR_KEY}" in caddyfile(plan(Site("studio", 7860)))
