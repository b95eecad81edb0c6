"""Secrets in a stack file: it is in git, and what it says lies open where the stack runs."""

from pathlib import Path
from typing import Any

import pytest

from tests.infra.stacks import faults, stack

AWS = {"runs_on": "instances", "domain": "art.example.com"}
KUBERNETES = {
    "runs_on": "kubernetes",
    "domain": "art.example.com",
    "image": "registry.example.com/easel:{target}-1.0",
    "kubernetes": {"context": "art", "edge": {"ingress": "nginx"}},
}
HUB = "hf_" + "abcdEFGH1234" * 3


@pytest.mark.parametrize(
    "env",
    [
        {"HF_TOKEN": "x"},
        {"CIVITAI_TOKEN": "0123"},
        {"MODELS": f"user {HUB}"},
        {"A": "AKIA" + "ABCD1234EFGH5678"},
        {"A": "ghp_" + "a1" * 18},
        {"A": "-----BEGIN RSA PRIVATE KEY-----\nMII"},
        {"AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCY"},
        {"database_password": "correct1horse2battery"},
    ],
)
def test_a_secret_among_the_variables_is_refused_and_not_shown(tmp_path: Path, env: dict[str, str]) -> None:
    """With the place where it belongs, and the word that git keeps it."""
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "env": env}}, AWS)
    (name, value) = next(iter(env.items()))
    assert told.startswith(f"easel:endpoints.a.env.{name}: looks like a secret")
    assert f"name it under secrets, as {name}: <its name or ARN>" in told
    assert "if it was committed, replace it" in told
    assert len(value) < 5 or value not in told
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "env": env}}, KUBERNETES)
    assert f"a Secret of the namespace and name that under secrets, as {name}: <secret>/<key>" in told


@pytest.mark.parametrize(
    "env",
    [
        {"HF_TOKEN": ""},
        {"TOKENIZERS_PARALLELISM": "false"},
        {"API_KEY": "disabled"},
        {"SECRET": "none of your business 1"},
        {"HF_ENDPOINT": "https://hub.example.com/mirror1234567890"},
        {"PATH": "/opt/a1/bin:/usr/bin"},
        {"HUB_TOKEN": "arn:aws:secretsmanager:us-east-1:111122223333:secret:art/hub-Ab12Cd"},
        {"HUB_TOKEN": "arn:aws-cn:ssm:cn-north-1:111122223333:parameter/art/hub"},
        {"DB_PASSWORD": "/run/secrets/art/db-password-1"},
        {"API_KEY": "vault://secret/data/art2#api_key"},
        {"API_KEY": "https://keys.example.com/v1/current"},
        {"SESSION_SECRET": "$(SESSION_SECRET_OF_2)"},
        {"SESSION_SECRET": "${SESSION_SECRET_OF_2}"},
    ],
)
def test_what_is_no_secret_stays(tmp_path: Path, env: dict[str, str]) -> None:
    """A rule that refuses what is right is worse than none."""
    assert stack(tmp_path, {"a": {"shape": "gpu.t4", "env": env}}, AWS)


@pytest.mark.parametrize(
    "env",
    [
        {"PAD_TOKEN": "reserved_special_250"},
        {"CACHE_KEY": "x"},
        {"CACHE_API_KEY": "public-demo-key-2026"},
    ],
)
def test_what_only_sounds_like_a_secret_has_a_way_in(tmp_path: Path, env: dict[str, str]) -> None:
    """By its name, so that a person has said it, in git; the fault of the value names that way."""
    (name,) = env
    if name != "CACHE_KEY":
        (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "env": env}}, AWS)
        assert told.endswith(f"If it is none, write {name} under open_env")
    found = stack(tmp_path, {"a": {"shape": "gpu.t4", "env": env, "open_env": [name]}}, AWS)
    assert found.endpoints["a"].env == env


@pytest.mark.parametrize(
    "env",
    [
        {"HF_TOKEN": "x"},
        {"ANY_TOKEN": HUB},
        {"GIT_TOKEN": "ghp_" + "a1" * 18},
        {"DB_PASSWORD": "postgres://art:s3cret-s3cret@db.example.com/art?key=1"},
        {"DB_PASSWORD": "/aB3xK9/Qz81LmNoP7vWd"},
        {"API_KEY": "https://keys.example.com/v1?token=abc123"},
    ],
)
def test_a_plain_secret_is_no_reference(tmp_path: Path, env: dict[str, str]) -> None:
    """Of a token of a known form nobody says that it is none; what only begins as a reference is a secret."""
    assert faults(tmp_path, {"a": {"shape": "gpu.t4", "env": env}}, AWS)
    (name, value) = next(iter(env.items()))
    if value == HUB or name in ("HF_TOKEN", "GIT_TOKEN"):
        (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "env": env, "open_env": [name]}}, AWS)
        assert "open_env" not in told


def test_a_name_that_is_in_no_env_is_told(tmp_path: Path) -> None:
    """Else one would believe that it opens something."""
    endpoint = {"shape": "gpu.t4", "env": {"PAD_TOKEN": "x"}, "open_env": ["PADD_TOKEN"]}
    (told,) = faults(tmp_path, {"a": endpoint}, AWS)
    assert told.startswith("easel:endpoints.a.open_env[0]: ")
    assert "is not among the variables of env (PAD_TOKEN)" in told


def test_on_one_machine_it_is_that_machines_own(tmp_path: Path) -> None:
    """Nothing of it goes anywhere."""
    assert stack(tmp_path, {"a": {"shape": "cpu.small", "env": {"HF_TOKEN": HUB}}}, {"runs_on": "local"})


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("https://me:pass@models.example.com/x.safetensors", "before the @"),
        ("https://civitai.com/api/download/models/1?type=Model&token=abcdef", "token="),
        ("https://models.example.com/x.safetensors?API_KEY=1", "API_KEY="),
    ],
)
def test_a_secret_in_a_models_address_is_refused_and_not_shown(
    tmp_path: Path, address: str, held: str
) -> None:
    """The configuration names it to the gateway, and to whoever reads that."""
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "models": [address]}}, AWS)
    assert told.startswith(f"easel:endpoints.a.models[0]: holds a secret ({held})")
    assert "pass@" not in told
    assert "abcdef" not in told
    fine = ["https://models.example.com/x.safetensors?version=3", "civitai://models/4384?version=128713"]
    assert stack(tmp_path, {"a": {"shape": "gpu.t4", "models": fine}}, AWS)


@pytest.mark.parametrize("endpoint", [{"env": {"A": {"secure": "v1:x:y"}}}, {"idle": {"secure": "v1:x:y"}}])
def test_what_pulumi_encrypted_is_told_to_be_open_elsewhere(tmp_path: Path, endpoint: dict[str, Any]) -> None:
    """One fault, with what to do, and not that it should be text."""
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4"} | endpoint}, AWS)
    assert "is a secret of Pulumi's (`pulumi config set --secret`)" in told
    assert "name that under the endpoint's secrets" in told


@pytest.mark.parametrize(
    "at", ["", "*", "art/hf*", "a b", "arn:aws:s3:::x", "arn:aws:secretsmanager:*:1:secret:x"]
)
@pytest.mark.parametrize("runs_on", ["instances", "cluster"])
def test_a_secret_of_aws_is_named_as_aws_names_it(tmp_path: Path, at: str, runs_on: str) -> None:
    """A star would be one for all secrets in the policy of who deploys."""
    (told,) = faults(tmp_path, {"a": {"shape": "gpu.t4", "secrets": {"X": at}}}, {**AWS, "runs_on": runs_on})
    assert told.startswith("easel:endpoints.a.secrets.X: names no secret of AWS Secrets Manager")
