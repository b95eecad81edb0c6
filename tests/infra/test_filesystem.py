"""The file system: one of the stack's own, and one that is there. Its policy, as IAM reads it."""

import json
from typing import Any

import pulumi
import pytest

from infra.filesystem import MODELS, OUTPUTS, access_policy
from tests.infra.graph import World, provision

ONE = {"studio": {"shape": "gpu.t4"}}
FILES = "fs-0123456789abcdef0"
EXISTING = {"storage": {"existing": FILES}}
ARN = "arn:aws:elasticfilesystem:us-east-1:111122223333:file-system/" + FILES
POINT = "arn:aws:elasticfilesystem:us-east-1:111122223333:access-point/fsap-"


def denied(request: dict[str, Any], action: str = "elasticfilesystem:ClientMount") -> set[str]:
    """The denials of the policy that apply to a request, by IAM's rules for the few operators it uses.

    A key that is not in the request matches every negated condition, and `Null: true`.
    """
    statements = json.loads(access_policy(ARN, "art"))["Statement"]
    return {s["Sid"] for s in statements if _acts(s, action) and _applies(s.get("Condition", {}), request)}


def _acts(statement: dict[str, Any], action: str) -> bool:
    actions = statement["Action"]
    return action in ([actions] if isinstance(actions, str) else actions)


def _applies(condition: dict[str, Any], request: dict[str, Any]) -> bool:
    held = []
    for operator, tests in condition.items():
        for key, wanted in tests.items():
            values = [wanted] if isinstance(wanted, str) else wanted
            resolved = [_resolved(value, request) for value in values]
            given = request.get(key)
            match operator:
                case "Bool":
                    held.append(given is not None and given in resolved)
                case "Null":
                    held.append((given is None) == (wanted == "true"))
                case "StringNotEquals":
                    held.append(given not in resolved)
                case _:
                    raise AssertionError(operator)
    return all(held)


def _resolved(value: str, request: dict[str, Any]) -> str:
    if not value.startswith("${"):
        return value
    key, default = value[2:-1].split(", ")
    return str(request.get(key, default.strip("'")))


def asked(**more: Any) -> dict[str, Any]:
    """A mount as a replica of the studio asks for it, with changes; None takes a key away."""
    request = {
        "aws:SecureTransport": "true",
        "elasticfilesystem:AccessPointArn": POINT + "studio",
        "aws:PrincipalTag/easel:team": "art",
        f"aws:PrincipalTag/{MODELS}": POINT + "models",
        f"aws:PrincipalTag/{OUTPUTS}": POINT + "studio",
    }
    request |= {key.replace("__", ":"): value for key, value in more.items()}
    return {key: value for key, value in request.items() if value is not None}


def test_a_replica_may_come_in_by_its_own_access_points() -> None:
    """That of its pictures and that of the team's models; all else is left to its role's own policy."""
    assert denied(asked()) == set()
    assert denied(asked(elasticfilesystem__AccessPointArn=POINT + "models")) == set()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aws__SecureTransport": "false"}, "OnlyByTLS"),
        ({"elasticfilesystem__AccessPointArn": None}, "NoRootMount"),
        ({"elasticfilesystem__AccessPointArn": POINT + "portraits"}, "OnlyItsOwn"),
        ({"aws:PrincipalTag/easel:team": "art-2"}, "OnlyTheTeam"),
        ({"aws:PrincipalTag/easel:team": None}, "OnlyTheTeam"),
    ],
)
def test_others_and_other_ways_are_denied(change: dict[str, Any], why: str) -> None:
    """In clear, the root, another endpoint's pictures, another team, whoever has no tags (as without IAM)."""
    assert why in denied(asked(**change))


def test_a_role_without_access_points_has_none() -> None:
    """A role of the team that was given none, such as the gateway's, gets nowhere."""
    bare = asked(**{f"aws:PrincipalTag/{MODELS}": None, f"aws:PrincipalTag/{OUTPUTS}": None})
    assert denied(bare) == {"OnlyItsOwn"}


def test_nobody_is_root() -> None:
    """Files belong to user 1000, whoever comes."""
    assert denied(asked(), "elasticfilesystem:ClientRootAccess") == {"NobodyIsRoot"}


def test_the_policy_names_no_endpoint() -> None:
    """It is the same text whatever endpoints there are: a clone must not touch how others mount."""
    (one,) = provision(ONE).of("FileSystemPolicy")
    (two,) = provision({**ONE, "portraits": {"shape": "gpu.a10"}}).of("FileSystemPolicy")
    assert one.inputs == two.inputs


def test_an_own_file_system_is_elastic_and_backed_up() -> None:
    """Bursting would take hours for a checkpoint; a model that took a day to find should survive a slip."""
    graph = provision(ONE)
    (files,) = graph.of("FileSystem")
    (backup,) = graph.of("BackupPolicy")
    assert files.inputs["throughputMode"] == "elastic"
    assert backup.inputs["backupPolicy"] == {"status": "ENABLED"}


def test_an_adopted_file_system_is_used_and_not_made() -> None:
    """With its mount targets, policy and access points, which destroy took away."""
    graph = provision(ONE, EXISTING, world=World(file_systems={FILES: {}}))
    assert not graph.of("FileSystem", "BackupPolicy")
    used = {
        node.inputs["fileSystemId"] for node in graph.of("MountTarget", "AccessPoint", "FileSystemPolicy")
    }
    assert used == {FILES}
    assert graph.outputs["storage"]["file_system"] == FILES


def test_adopting_what_is_not_there_is_refused() -> None:
    """An id of another region is the usual mistake."""
    with pytest.raises(pulumi.RunError, match=rf"there is no file system {FILES}.*describe-file-systems"):
        provision(ONE, EXISTING)


def test_adopting_what_is_not_encrypted_is_refused() -> None:
    """EFS cannot encrypt it later."""
    with pytest.raises(pulumi.RunError, match=r"is not encrypted.*DataSync"):
        provision(ONE, EXISTING, world=World(file_systems={FILES: {"encrypted": False}}))


def test_adopting_a_slow_one_is_warned_of() -> None:
    """It works, slowly; the command that changes it is told."""
    graph = provision(ONE, EXISTING, world=World(file_systems={FILES: {"throughputMode": "bursting"}}))
    assert any("--throughput-mode elastic" in line for line in graph.said)


def test_a_failing_lookup_is_not_taken_for_a_missing_file_system() -> None:
    """Credentials that have run out must not read like `make a new one`."""

    class Expired(World):
        def _file_system(self, args: dict[str, Any]) -> dict[str, Any]:
            from tests.infra.graph import Refused

            raise Refused("ExpiredTokenException: the security token is expired")

    with pytest.raises(Exception, match="ExpiredToken") as error:
        provision(ONE, EXISTING, world=Expired())
    assert not isinstance(error.value, pulumi.RunError)
