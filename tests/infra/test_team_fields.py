"""Fields of the team and of own containers that name things of AWS."""

from pathlib import Path
from typing import Any

import pytest

from easel.gateway.config import Members
from infra.render import team_on_instances
from infra.rules import unused_on_one_machine
from tests.infra.stacks import TEAM, faults, stack

ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:art/login-Ab12Cd"
ONE = {"a": {"shape": "gpu.t4"}}


@pytest.mark.parametrize(
    ("team", "where"),
    [
        ({"zone": "make"}, "easel:team.zone"),
        ({"zone": "z0123"}, "easel:team.zone"),
        ({"machine_images": {"gpu": "ami-XYZ"}}, "easel:team.machine_images.gpu"),
        ({"machine_images": {"gateway": "al2023"}}, "easel:team.machine_images.gateway"),
        ({"network": {"vpc": "default"}}, "easel:team.network.vpc"),
        ({"storage": {"existing": "efs-1"}}, "easel:team.storage.existing"),
        (
            {
                "members": {
                    "issuer": "https://a.b",
                    "client_id": "x",
                    "domains": ["a.bc"],
                    "client_secret": "s",
                }
            },
            "easel:team.members.client_secret",
        ),
    ],
)
def test_what_aws_would_not_know_is_refused_with_what_is_meant(
    tmp_path: Path, team: dict[str, Any], where: str
) -> None:
    """Each told once, with the field's own sentence: a secret itself, say, in the place of its ARN."""
    (told,) = faults(tmp_path, ONE, TEAM | team)
    assert told.startswith(f"{where}: ")
    assert "does not fit. " in told


def test_a_registry_is_given_by_the_arn_of_its_secret(tmp_path: Path) -> None:
    """A password in a stack file would be in git."""
    image = {"ref": "ghcr.io/x/y", "port": 80, "registry": "user:password"}
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "image": image}})
    assert "easel:endpoints.a.image.registry" in told
    assert "the ARN of a secret with username and password" in told
    found = stack(tmp_path, {"a": {"shape": "gpu.t4", "image": image | {"registry": ARN}}})
    assert found.endpoints["a"].image
    assert found.endpoints["a"].image.registry == ARN


@pytest.mark.parametrize("zone", ["find", "create", "Z0123456789ABC"])
def test_a_zone_is_found_made_or_named(tmp_path: Path, zone: str) -> None:
    """And found where nothing is said."""
    assert stack(tmp_path, ONE, TEAM | {"zone": zone}).team.zone == zone
    assert stack(tmp_path, ONE).team.zone == "find"


def test_on_one_machine_fields_of_aws_are_told_to_do_nothing(tmp_path: Path) -> None:
    """They are no fault, so that a stack moves by one word; ignoring them is said."""
    team = {"runs_on": "local", "zone": "create", "machine_images": {}}
    assert unused_on_one_machine(stack(tmp_path, ONE, team)) == [
        "easel:team.zone",
        "easel:team.machine_images",
    ]


PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\nAwIBAgIQ==\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("acme", "where", "said"),
    [
        ({"directory": "http://ca.example.com/dir"}, "directory", "is not the address of an ACME directory"),
        ({"directory": 'https://ca.example.com/"}'}, "directory", "is not the address of an ACME directory"),
        ({"directory": "https://ca.example.com/dir?x=1"}, "directory", "without a query"),
        ({"root": PEM}, "directory", "is missing"),
        ({"directory": "https://ca/dir", "root": "/etc/ssl/root.pem"}, "root", "is not a certificate in PEM"),
        (
            {"directory": "https://ca/dir", "root": PEM + "-----BEGIN PRIVATE KEY-----"},
            "root",
            "is not a certificate",
        ),
    ],
)
def test_an_authority_that_cannot_be_is_refused(
    tmp_path: Path, acme: dict[str, Any], where: str, said: str
) -> None:
    """Before every host waits for a certificate that never comes; a key does not belong into a stack file."""
    (told,) = faults(tmp_path, ONE, TEAM | {"acme": acme})
    assert told.startswith(f"easel:team.acme.{where}: ")
    assert said in told


def test_an_authority_of_ones_own_is_told_to_the_gateway(tmp_path: Path) -> None:
    """With its root where machines do not know it; a team that says nothing is told nothing."""
    acme = {"directory": "https://ca.example.com:443/acme/acme/directory", "root": PEM * 2}
    spec = stack(tmp_path, ONE, TEAM | {"acme": acme})
    said = team_on_instances(spec, "us-east-1", "console.art.example.com", "h", "image", {})["acme"]
    assert said == {"email": None, **acme}
    plain = team_on_instances(stack(tmp_path, ONE), "us-east-1", "c", "h", "image", {})["acme"]
    assert plain == {"email": None}


TENANT = "https://login.microsoftonline.com/0f1e2d3c-0000-4000-8000-0123456789ab/v2.0"


@pytest.mark.parametrize(
    ("issuer", "right"),
    [
        (TENANT, True),
        (TENANT.replace(".com", ".us"), True),
        (TENANT.replace("0f1e2d3c-0000-4000-8000-0123456789ab", "common"), False),
        (TENANT.replace("0f1e2d3c-0000-4000-8000-0123456789ab", "organizations"), False),
        (TENANT.removesuffix("/v2.0"), False),
        ("https://accounts.google.com", False),
    ],
)
def test_xms_edov_is_for_one_tenant_of_entra(tmp_path: Path, issuer: str, right: bool) -> None:
    """`common` would let anybody's tenant say who our people are; and the gateway would refuse it too."""
    members = {"issuer": issuer, "client_id": "c", "domains": ["example.com"], "verified_by": "xms_edov"}
    team = TEAM | {"members": members}
    if right:
        found = stack(tmp_path, ONE, team).team.members
        assert found
        assert Members.model_validate(found.model_dump()).verified_by == "xms_edov"
        return
    (told,) = faults(tmp_path, ONE, team)
    assert told.startswith("easel:team.members.verified_by: ")
    assert "https://login.microsoftonline.com/<the tenant's id>/v2.0" in told
    with pytest.raises(ValueError, match="one Microsoft Entra tenant"):
        Members.model_validate(members)
