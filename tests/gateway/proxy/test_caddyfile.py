"""The Caddyfile, as real Caddy reads it, and what never gets into it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import pytest

import easel.gateway
from easel.gateway.errors import ConfigError
from easel.gateway.proxy import Plan, Site, caddyfile
from easel.gateway.proxy.caddy import binary
from easel.gateway.proxy.plan import SiteGroup

LOCAL = "127.0.0.1"


def plan(*sites: Site, **rest: Any) -> Plan:
    return Plan(
        f"{LOCAL}:9000",
        sites,
        Path("/run/e/c.sock"),
        Path("/run/e/r.sock"),
        Path("/run/e"),
        Path("/run/e/c.log"),
        **rest,
    )


def secure(name: str, port: int = 443, **rest: Any) -> Site:
    return Site(name, port, host=f"{name}.art.example.com", tls=True, **rest)


def behind(name: str, port: int = 8080, **rest: Any) -> Site:
    return Site(name, port, host=f"{name}.art.example.com", behind_tls=True, **rest)


CONSOLE, STUDIO = Site("console", 7859, LOCAL), Site("studio", 7860, LOCAL)
ORIGINS = ("https://app.example.com", "http://localhost:3000")
# Every hole is filled.
FULL = plan(
    secure("console", bind="10.0.0.2"),
    secure("studio", bind="10.0.0.2", cors=ORIGINS),
    email="lead@example.com",
    ca="https://ca.example.com/dir",
    ca_root=Path("/run/e/a root.pem"),
    tls_log=Path("/run/e/tls.log"),
)
PLANS = {
    "laptop": plan(CONSOLE, STUDIO),
    "pages of others": plan(CONSOLE, replace(STUDIO, cors=ORIGINS), Site("gallery", 7861)),
    "behind a load balancer": plan(
        Site("console", 80, host="a.example"), Site("studio", 80, host="b.example")
    ),
    "behind TLS": plan(
        behind("console", bind="0.0.0.0"),
        behind("studio", bind="0.0.0.0", cors=ORIGINS),
        trusted=("10.0.0.0/16", "fd00::/8"),
    ),
    "behind TLS of nobody's": plan(behind("console"), behind("studio", 8081)),
    "certificates": plan(secure("console"), secure("studio"), email="lead@example.com"),
    "everything": FULL,
    "ports of one's own": plan(CONSOLE, secure("studio", 8443), http_port=8080),
    "IPv6": plan(Site("console", 7859, "::1"), Site("studio", 7860, "::")),
    "odd paths": replace(plan(STUDIO), log=Path("/o'neil/$HOME é/#1.log"), relay=Path("/a b/r\\s")),
    "odd sizes": plan(Site("a-1.b", 7860, max_body=10**13, timeout=0.4)),
}


def adapted(plan: Plan, folder: Path) -> dict[str, Any]:
    """The configuration that Caddy makes of a plan's file."""
    (folder / "Caddyfile").write_text(caddyfile(plan))
    command = [binary(), "adapt", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # It warns of what `caddy fmt` would write otherwise, and of what is going out of use.
    assert not done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_caddy_takes_it_as_its_own_formatter_writes_it(plan: Plan, tmp_path: Path) -> None:
    """Real Caddy reads every kind of plan, fills in its snippets, and would write the file just so."""
    text = json.dumps(adapted(plan, tmp_path))
    assert "{args" not in text
    asked = [*plan.groups, *(group for group in plan.groups if not group.of_console)]
    assert text.count('"uri": "/auth/') == len(asked), "once for each, and again where a replica may be lost"


def test_caddy_takes_it_locally(tmp_path: Path) -> None:
    """The local Caddyfile: real Caddy reads it, gets no certificates and saves nothing of its own."""
    config = adapted(PLANS["laptop"], tmp_path)
    servers = config["apps"]["http"]["servers"]
    assert sorted(one["listen"][0] for one in servers.values()) == ["127.0.0.1:7859", "127.0.0.1:7860"]
    assert all(one["automatic_https"] == {"disable": True} for one in servers.values())
    assert config["admin"]["listen"] == "unix//run/e/c.sock|0600"
    assert config["admin"]["config"] == {"persist": False}


def test_caddy_takes_it_with_hosts_and_certificates(tmp_path: Path) -> None:
    """The same template with hosts and ACME, as an instance will have it."""
    config = adapted(plan(secure("studio"), email="lead@example.com"), tmp_path)
    servers = {one["listen"][0]: one for one in config["apps"]["http"]["servers"].values()}
    assert sorted(servers) == [":443", ":80"]
    assert servers[":443"]["routes"][0]["match"] == [{"host": ["studio.art.example.com"]}]
    assert servers[":443"]["strict_sni_host"] is True
    assert "lead@example.com" in json.dumps(config["apps"]["tls"])


def test_endpoints_that_differ_in_their_host_alone_are_one_site(tmp_path: Path) -> None:
    """A thousand take Caddy no longer to read than one; the console, and what has settings of its own, have a
    site of their own."""
    many = [behind(f"e{number}") for number in range(1000)]
    own = {"large": behind("large", max_body=10**9), "patient": behind("patient", timeout=7200)}
    config = adapted(plan(behind("console"), *many, *own.values()), tmp_path)
    (server,) = config["apps"]["http"]["servers"].values()
    hosts = [set(route["match"][0]["host"]) for route in server["routes"] if "match" in route]
    assert sorted(map(len, hosts)) == [1, 1, 1, 1000]
    assert {f"{name}.art.example.com" for name in ("console", *own)} == set().union(
        *(one for one in hosts if len(one) == 1)
    )
    assert {site.host for site in many} in hosts


ODD = ['a"b', "a{b}", "a\nb", "a\n", "a`b", "{env.HOME}", "a\rb"]
QUOTED = ("admin_socket", "relay", "storage", "log", "email", "ca", "ca_root", "tls_log")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", QUOTED)
def test_paths_that_would_be_configuration_are_refused(field: str, odd: str) -> None:
    """A folder's name cannot add directives."""
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(replace(FULL, **{field: f"/{odd}"}))


@pytest.mark.parametrize("odd", [*ODD, "127.0.0.1 {", "$HOME", "a b", "a/b", "#"])
@pytest.mark.parametrize("field", ["name", "host", "bind", "gateway"])
def test_addresses_that_would_be_configuration_are_refused(field: str, odd: str) -> None:
    """Where to listen is an address and nothing more, and a name is one word."""
    strange = plan(replace(STUDIO, **{field: odd})) if field != "gateway" else replace(FULL, gateway=odd)
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(strange)


@pytest.mark.parametrize("origin", ['https://a"b', "https://{env.HOME}", "https://a\nb"])
def test_origins_that_would_be_configuration_are_refused(origin: str) -> None:
    """Whose pages may call is a list of origins and nothing more."""
    with pytest.raises(ConfigError, match="Caddy cannot take"):
        caddyfile(plan(Site("studio", 7860, cors=(origin,))))


PLAN_HOLES = [
    *(field.name for field in fields(Plan) if field.name != "sites"),
    *("groups", "secure", "behind_tls", "https_port"),
]
# Its hosts are the group's.
SITE_HOLES = [field.name for field in fields(Site) if field.name != "host"]


def less(whole: Plan | Site, names: list[str], lacking: str) -> Any:
    return SimpleNamespace(**{name: getattr(whole, name) for name in names if name != lacking})


@pytest.mark.parametrize("field", PLAN_HOLES)
def test_a_hole_that_nothing_fills_is_an_error(field: str) -> None:
    """Never an empty place in the file: the template says what it needs."""
    with pytest.raises(jinja2.UndefinedError, match=field):
        caddyfile(less(FULL, PLAN_HOLES, field))


@pytest.mark.parametrize("field", SITE_HOLES)
def test_a_sites_hole_that_nothing_fills_is_an_error(field: str) -> None:
    """Each thing that is known of a site has a place in the file."""
    lacking = less(FULL, PLAN_HOLES, "")
    lacking.groups = [SiteGroup(less(FULL.sites[1], SITE_HOLES, field))]
    with pytest.raises(jinja2.UndefinedError, match=field):
        caddyfile(lacking)


def test_who_asks_is_who_the_trusted_proxy_says(tmp_path: Path) -> None:
    """Behind TLS the address and the scheme are those that the proxy before saw, where that is trusted; a
    host that is nobody's is nothing."""
    config = adapted(PLANS["behind TLS"], tmp_path)
    (server,) = config["apps"]["http"]["servers"].values()
    assert server["trusted_proxies"] == {"ranges": ["10.0.0.0/16", "fd00::/8"], "source": "static"}
    assert server["trusted_proxies_strict"] == 1
    assert server["automatic_https"]["disable"] is True
    text = json.dumps(server)
    for told in ('"X-Forwarded-For": ["{http.vars.client_ip}"]', '"X-Forwarded-Proto": ["https"]'):
        assert text.count(told) == text.count('"handler": "reverse_proxy"')
    *_, last = server["routes"]
    assert "match" not in last
    assert '"status_code": 404' in json.dumps(last)


def test_no_secret_in_the_file() -> None:
    """The door's key comes from the environment, never from the file."""
    assert "{env.EASEL_DOOR_KEY}" in caddyfile(plan(Site("studio", 7860)))


def test_no_two_templates_have_one_name() -> None:
    """Pages find theirs by name alone, in every room's folder."""
    names = [path.name for path in Path(easel.gateway.__file__).parent.rglob("templates/*")]
    assert "Caddyfile.jinja" in names
    assert max(Counter(names).values()) == 1
