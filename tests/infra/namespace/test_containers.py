"""What a replica's container is given: variables, secrets, disk, and how long it keeps pictures."""

from typing import Any

import pytest

from infra.namespace import Target
from infra.namespace.manifest import Manifest
from infra.on_kubernetes import target_of
from tests.infra.namespace.teams import OWN, TEAMS, Team, objects_of, one, studios
from tests.infra.namespace.validity import walked


def told(team: Team) -> dict[str, Any]:
    """The variables of the only endpoint."""
    ((_, pod),) = studios(objects_of(team))
    return {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}


def test_secrets_of_the_users_become_variables() -> None:
    """`<secret>/<key>`, for a replica and for single sign-on."""
    objects = objects_of(TEAMS["several"])
    comfy = dict(studios(objects))["comfy"]["containers"][0]
    assert {
        "name": "CIVITAI_TOKEN",
        "valueFrom": {"secretKeyRef": {"name": "civitai", "key": "token"}},
    } in comfy["env"]
    gateway = one(objects, "Deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]
    sso = {"secretKeyRef": {"name": "sso", "key": "secret"}}
    assert {"name": "EASEL_OIDC_CLIENT_SECRET", "valueFrom": sso} in gateway["env"]


def test_values_that_the_program_knows_are_in_a_secret_of_the_endpoint() -> None:
    """A cluster on AWS reads them from Secrets Manager; nobody sees them in a Deployment."""
    team = TEAMS["one"]
    given = target_of(team.spec)
    target = Target(**{**vars(given), "secrets": lambda _: {"TOKEN": "hidden"}, "client_secret": "also"})
    objects = objects_of(team, target)
    assert one(objects, "Secret", "env-studio")["stringData"] == {"TOKEN": "hidden"}
    assert one(objects, "Secret", "easel-gateway")["stringData"] == {"EASEL_OIDC_CLIENT_SECRET": "also"}
    rest = [each for each in objects if each["kind"] != "Secret"]
    assert not [way for each in rest for way, value in walked(each) if value in ("hidden", "also")]


def test_what_a_variable_says_is_what_the_container_sees() -> None:
    """Kubernetes would put another variable in the place of `$(NAME)`, and one `$` for two."""
    team = Team({"studio": {"shape": "gpu.t4", "env": {"A": "$(HOME) $$ $x", "HOME": "/elsewhere"}}}, {}, {})
    container = dict(studios(objects_of(team)))["studio"]["containers"][0]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["A"] == "$$(HOME) $$$$ $$x"
    assert told["HOME"] == "/elsewhere"
    own = dict(studios(objects_of(TEAMS["several"])))["comfy"]["containers"][0]
    assert own["command"][-1] == "$$(HOSTNAME)"


def test_nobody_may_write_who_vouches_for_callers(objects: list[Manifest]) -> None:
    """A variable of the file does not take the place of the gateway's keys."""
    env = {"EASEL_ASSERTION_KEYS": "/tmp/mine", "EASEL_ASSERTION_OPEN": "/"}
    team = Team({"studio": {"shape": "gpu.t4", "env": env}}, {}, {})
    container = dict(studios(objects_of(team)))["studio"]["containers"][0]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["EASEL_ASSERTION_KEYS"] == "/easel/keys/keys.json"
    assert told["EASEL_ASSERTION_OPEN"] == "/easel/load /internal/ping"


def test_the_cache_stays_below_what_the_disk_is_given() -> None:
    """An emptyDir over its limit takes the pod with it."""
    team = Team({"studio": {"shape": "gpu.t4", "storage": {"disk": "50GB"}}}, {}, {})
    pod = dict(studios(objects_of(team)))["studio"]
    (cache,) = [volume for volume in pod["volumes"] if volume["name"] == "cache"]
    env = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert int(env["EASEL_CACHE_SIZE"]) < int(cache["emptyDir"]["sizeLimit"]) == 50 * 10**9


@pytest.mark.parametrize(
    ("storage", "seconds"),
    [({}, None), ({"retention": "90d"}, 90 * 86400), ({"outputs": False}, 86400)],
)
def test_pictures_are_kept_as_long_as_the_file_says(storage: dict[str, Any], seconds: int | None) -> None:
    """Those that nobody keeps are on the node's disk for a day."""
    team = Team({"studio": {"shape": "gpu.t4", "storage": storage}}, {}, {})
    command = dict(studios(objects_of(team)))["studio"]["containers"][0]["command"]
    told = int(command[command.index("--retention") + 1]) if "--retention" in command else None
    assert told == seconds


def test_what_the_file_says_of_models_reaches_the_studio() -> None:
    """The team's quota and the default checkpoint, as elsewhere."""
    endpoint = {"shape": "gpu.t4", "checkpoint": "a.safetensors"}
    env = told(Team({"studio": endpoint}, {}, {"storage": {"quota": "500GB"}}))
    assert (env["EASEL_QUOTA"], env["EASEL_CHECKPOINT"]) == ("500000000000", "a.safetensors")


def test_a_container_of_ones_own_has_the_disk_that_the_file_says() -> None:
    """Beside its volumes; on a node that has less, as only the limit says it."""
    ((_, pod),) = studios(objects_of(Team({"comfy": OWN | {"storage": {"disk": "50GB"}}}, {}, {})))
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1", "ephemeral-storage": "50000000000"}
    assert container["resources"]["requests"]["ephemeral-storage"] == "1Gi"
    assert "initContainers" not in pod, "the starter is the studio's"
