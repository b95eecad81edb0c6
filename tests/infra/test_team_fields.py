"""Fields of the team and of own containers that name things of AWS."""

from pathlib import Path
from typing import Any

import pytest

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
