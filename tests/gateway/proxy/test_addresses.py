"""Where console and endpoints answer under a domain: who may share a port, and what addresses people get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from easel.gateway.config import Config, Console, Endpoint, Team
from easel.gateway.errors import ConfigError
from easel.gateway.home import Home
from easel.gateway.proxy import Plan, addresses
from easel.gateway.proxy.addresses import plan_of, ports_of, url_of


def config(console: dict[str, Any], **endpoints: dict[str, Any]) -> Config:
    team = Team(team="art", runs_on="instances", console=Console(**console), bind="0.0.0.0")
    return Config(team, {name: Endpoint(name=name, **each) for name, each in endpoints.items()})


def host(name: str) -> dict[str, Any]:
    return {"port": 443, "host": f"{name}.art.example.com"}


ART = config(host("console"), studio=host("studio"), other=host("other"))


def planned(config: Config, folder: Path, **environment: str) -> Plan:
    """The plan of a gateway that lives in `folder`."""
    return plan_of(
        config,
        gateway="g:1",
        home=Home(folder),
        admin_socket=folder / "s",
        relay=folder / "r",
        environment=environment,
    )


def test_hosts_share_a_port() -> None:
    """443 for all; port 80 is needed beside it, to send plain HTTP on."""
    assert list(ports_of(ART, {})) == [443, 80]
    assert ART.hosts["studio.art.example.com"] == "studio"


@pytest.mark.parametrize(
    ("console", "studio", "said"),
    [
        (host("studio"), host("studio"), "host: studio.art.example.com is also the host of console"),
        ({"port": 443}, host("studio"), "only those that each have a host share one"),
        (host("console"), {"port": 443}, "only those that each have a host share one"),
        ({"port": 443}, {"port": 443}, "port: 443 is also the port of console"),
        (host("console"), {"port": 80}, "port 80 of studio is where plain HTTP"),
    ],
)
def test_two_in_one_place_are_refused(console: dict[str, Any], studio: dict[str, Any], said: str) -> None:
    """What both ask for, and what to do."""
    with pytest.raises(ConfigError, match=said):
        ports_of(config(console, studio=studio), {})


@pytest.mark.parametrize(
    "name",
    [
        "studio",
        "*.example.com",
        "10.0.0.1",
        "Studio.example.com",
        "a..b",
        "-a.example.com",
        "a.b/c",
        "a.com\n",
    ],
)
def test_what_no_certificate_can_be_had_for_is_no_host(name: str) -> None:
    """No wildcard, address or path: authorities refuse them, minutes later and less clearly."""
    with pytest.raises(ValueError, match="host"):
        Endpoint(name="studio", port=443, host=name)


def test_addresses() -> None:
    """A host is given as https, its port only where it is not the usual one; without, as before."""
    team = ART.team
    assert url_of(team, ART.endpoints["studio"]) == "https://studio.art.example.com/"
    assert url_of(team, None) == "https://console.art.example.com/"
    odd = Endpoint(name="studio", port=8443, host="studio.art.example.com")
    assert url_of(team, odd) == "https://studio.art.example.com:8443/"
    assert url_of(team, Endpoint(name="studio", port=7860)) == "http://127.0.0.1:7860/"


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    """Staging directories and private authorities come by environment."""
    root = tmp_path / "root.pem"
    root.write_text("x")
    environment = {
        addresses.ACME_CA: "https://ca/dir",
        addresses.ACME_CA_ROOT: str(root),
        addresses.HTTP_PORT: "8080",
    }
    found = planned(ART, tmp_path, **environment)
    assert (found.ca, found.ca_root, found.http_port) == ("https://ca/dir", root, 8080)
    assert found.https_port == 443


def test_a_teams_own_authority_comes_with_its_configuration(tmp_path: Path) -> None:
    """Directory and root; what the operator of this machine set counts more; a new root is a new file."""
    acme = {"directory": "https://ca.example.com/dir", "root": "-----BEGIN CERTIFICATE-----\nMIIB\n"}
    plans = []
    for more, environment in (
        ({}, {}),
        ({"root": "-----BEGIN CERTIFICATE-----\nMIIC\n"}, {}),
        ({}, {addresses.ACME_CA: "https://other/dir"}),
    ):
        team = Team.model_validate({**ART.team.model_dump(), "acme": {**acme, **more}})
        found = Config(team, ART.endpoints)
        plans.append(planned(found, tmp_path, **environment))
    one, two, other = plans
    assert one.ca == two.ca == "https://ca.example.com/dir"
    assert other.ca == "https://other/dir"
    assert one.ca_root
    assert two.ca_root
    assert one.ca_root.read_text() == acme["root"]
    assert two.ca_root.read_text().endswith("MIIC\n")
    assert one.ca_root != two.ca_root, "or Caddy would not see that it is another"
    assert planned(ART, tmp_path).ca is None


@pytest.mark.parametrize(
    "acme",
    [{"directory": "http://ca/dir"}, {"directory": 'https://ca/"dir'}, {"root": "/etc/ssl/root.pem"}],
)
def test_an_authority_that_makes_no_sense_is_refused(acme: dict[str, str]) -> None:
    """What would ask in the clear, or end a quote of Caddy's configuration, is no authority."""
    with pytest.raises(ValueError, match=next(iter(acme))):
        Team.model_validate({"acme": acme})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (addresses.ACME_CA, "http://ca/dir"),
        (addresses.ACME_CA, "letsencrypt"),
        (addresses.ACME_CA_ROOT, "/nothing/here.pem"),
        (addresses.HTTP_PORT, "0"),
        (addresses.HTTP_PORT, "http"),
        (addresses.HTTP_PORT, "65536"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """In words that name the setting."""
    with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
        planned(ART, tmp_path, **{name: value})


def test_one_port_for_all_hosts(tmp_path: Path) -> None:
    """Certificates are asked for and shown on one port."""
    two = config(host("console"), studio={"port": 8443, "host": "studio.art.example.com"})
    plan = planned(two, tmp_path)
    with pytest.raises(ConfigError, match=r"several ports \(443, 8443\)"):
        _ = plan.https_port
