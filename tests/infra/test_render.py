"""The files that gateway and studio follow."""

import json
import os
from pathlib import Path

import pytest

from infra.render import (
    Provisioned,
    endpoint_config,
    endpoint_on_instances,
    ports_of,
    render,
    team_config,
    team_on_instances,
)
from infra.shapes import SHAPES
from infra.spec import Spec
from tests.infra.stacks import stack

LOCAL = {"runs_on": "local"}


def local(folder: Path, *names: str) -> Spec:
    return stack(folder, {name: {"shape": "cpu.small"} for name in names}, LOCAL)


def test_the_files_hold_what_the_contract_says(tmp_path: Path) -> None:
    """docs/architecture.md, Configuration, to the letter."""
    spec = stack(
        tmp_path,
        {"studio": {"shape": "cpu.small", "replicas": {"min": 1, "max": 1}, "idle": "15m"}},
        LOCAL,
    )
    render(spec, tmp_path / "config", {"studio": 7860}, 7859)
    assert json.loads((tmp_path / "config" / "team.json").read_text()) == {
        "team": "art",
        "runs_on": "local",
        "domain": None,
        "console": {"port": 7859},
        "endpoints": ["studio"],
    }
    assert json.loads((tmp_path / "config" / "studio.json").read_text()) == {
        "name": "studio",
        "shape": "cpu.small",
        "port": 7860,
        "replicas": {"min": 1, "max": 1},
        "warm": 0,
        "idle": 900,
        "public": False,
        "cors": [],
        "concurrency": 8,
        "timeouts": {"wake": 900, "request": 3600},
        "models": [],
        "env": {},
    }


def test_limits_are_told_to_the_studio(tmp_path: Path) -> None:
    """Everyone's in a variable each, as they may be given by hand; those of roles in one. What is not said is
    the studio's own."""
    limits = {
        "everyone": {"work_per_person": 5000},
        "visitors": {"pictures_waiting": 8, "requests_waiting": 2},
        "members": {},
    }
    spec = stack(tmp_path, {"c": {"shape": "cpu.small", "limits": limits}}, LOCAL)
    assert endpoint_config("c", spec.endpoints["c"], 7862)["env"] == {
        "EASEL_WORK_PER_PERSON": "5000",
        "EASEL_LIMITS": '{"visitors": {"pictures_waiting": 8, "requests_waiting": 2}}',
    }


def test_the_default_checkpoint_is_told_to_the_studio(tmp_path: Path) -> None:
    """By the environment, which reaches it on one machine and in a container alike; none is nothing."""
    spec = stack(
        tmp_path,
        {
            "a": {"shape": "cpu.small", "checkpoint": "sub/dream_8.safetensors", "env": {"X": "1"}},
            "b": {"shape": "cpu.small"},
            "c": {"shape": "cpu.small", "exact": True},
            "d": {"shape": "cpu.small", "compile": True, "cuda_graphs": True, "precision": "bfloat16"},
        },
        LOCAL,
    )
    a = endpoint_config("a", spec.endpoints["a"], 7860, 5)
    assert a["env"] == {"X": "1", "EASEL_QUOTA": "5", "EASEL_CHECKPOINT": "sub/dream_8.safetensors"}
    assert endpoint_config("c", spec.endpoints["c"], 7862)["env"] == {"EASEL_EXACT": "1"}
    assert endpoint_config("b", spec.endpoints["b"], 7861)["env"] == {}
    of_device = {"EASEL_COMPILE": "1", "EASEL_CUDA_GRAPHS": "1", "EASEL_PRECISION": "bfloat16"}
    assert endpoint_config("d", spec.endpoints["d"], 7863)["env"] == of_device


def test_ports_go_up_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The first endpoint has EASEL_PORT, each further one the next."""
    assert ports_of(local(tmp_path, "b", "a", "c"), 9000) == {"b": 9000, "a": 9001, "c": 9002}


def test_a_link_that_was_handed_out_stays_right(tmp_path: Path) -> None:
    """While easel runs, an endpoint keeps its port when another comes before it or goes."""
    spec = local(tmp_path, "new", "c", "a")
    assert ports_of(spec, 9000, kept={"a": 9000, "b": 9001, "c": 9002}) == {"new": 9001, "c": 9002, "a": 9000}


def test_removed_endpoints_leave_no_file(tmp_path: Path) -> None:
    """The gateway would go on with an endpoint whose file is there."""
    config = tmp_path / "config"
    render(local(tmp_path, "a", "b"), config, {"a": 1, "b": 2}, 3)
    render(local(tmp_path, "b"), config, {"b": 2}, 3)
    assert sorted(os.listdir(config)) == ["b.json", "team.json"]


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    """The gateway follows changes; a file that is written again would be one."""
    config, spec = tmp_path / "config", local(tmp_path, "a")
    render(spec, config, {"a": 1}, 3)
    before = {path.name: path.stat().st_ino for path in config.iterdir()}
    render(spec, config, {"a": 1}, 3)
    assert {path.name: path.stat().st_ino for path in config.iterdir()} == before


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle, the old file is there, and nothing else."""
    config = tmp_path / "config"
    render(local(tmp_path, "a"), config, {"a": 1}, 3)
    before = (config / "a.json").read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        render(local(tmp_path, "a"), config, {"a": 2}, 3)
    assert (config / "a.json").read_text() == before
    assert sorted(os.listdir(config)) == ["a.json", "team.json"]


AWS = {
    "runs_on": "instances",
    "domain": "art.example.com",
    "budget": {"monthly": 500, "notify": "lead@example.com", "stop": True},
}
MADE = Provisioned(
    host="studio.art.example.com",
    link_hash="5f2d",
    group="easel-art-studio-replicas-1a2b3c4",
    log_group="/easel/art/studio",
    image="r/easel@sha256:00",
    secrets={},
    file_system="fs-1",
    models="fsap-1",
    outputs="fsap-2",
    types=SHAPES["gpu.a10"].instance_types,
)
STORE = {"file_system": "fs-1", "models": "fsap-1"}


def test_a_team_on_aws_is_told_where_its_door_is(tmp_path: Path) -> None:
    """docs/architecture.md, On AWS, to the letter. No list of endpoints: every object is one."""
    spec = stack(tmp_path, {"studio": {"shape": "gpu.a10"}}, AWS)
    assert team_on_instances(
        spec, "us-east-1", "console.art.example.com", "9c1e", "r/gateway@sha256:11", STORE
    ) == {
        "team": "art",
        "runs_on": "instances",
        "domain": "art.example.com",
        "region": "us-east-1",
        "bind": "0.0.0.0",
        "console": {"port": 443, "host": "console.art.example.com", "link": {"hash": "9c1e"}},
        "acme": {"email": "lead@example.com"},
        "budget": {"monthly": 500, "stop": True},
        "members": None,
        "gateway": {"image": "r/gateway@sha256:11"},
        "storage": {"file_system": "fs-1", "models": "fsap-1"},
    }


def test_an_endpoint_on_aws_is_told_what_was_made_for_it(tmp_path: Path) -> None:
    """The studio's container: its port, who it runs as, and that it reports its load itself."""
    spec = stack(tmp_path, {"studio": {"shape": "gpu.a10", "warm": 1, "replicas": {"min": 0, "max": 2}}}, AWS)
    said = endpoint_on_instances("studio", spec.endpoints["studio"], MADE)
    assert (said["port"], said["host"], said["link"]) == (443, "studio.art.example.com", {"hash": "5f2d"})
    assert said["instances"] == {
        "group": "easel-art-studio-replicas-1a2b3c4",
        "hook": "ready",
        "farewell": "drained",
        "warm": 1,
        "capacity": "on-demand",
        "price": 1.212,
        "least_vcpus": 4,
        "log_group": "/easel/art/studio",
    }
    assert said["container"] == {
        "image": "r/easel@sha256:00",
        "port": 7860,
        "command": None,
        "health": "/internal/ping",
        "load": "easel",
        "user": 1000,
        "gpu": True,
        "mounts": [],
        "env": {},
        "secrets": {},
        "registry": None,
    }
    assert said["storage"] == {
        "file_system": "fs-1",
        "models": "fsap-1",
        "outputs": "fsap-2",
        "retention": None,
    }


def test_an_own_container_is_described_and_the_studio_is_not(tmp_path: Path) -> None:
    """`health: none` is no path; who it runs as is the image's affair unless the spec says."""
    registry = "arn:aws:secretsmanager:us-east-1:111122223333:secret:registry-AbCdEf"
    image = {
        "ref": "ghcr.io/acme/comfy:v1",
        "port": 8188,
        "command": ["python", "main.py"],
        "health": "none",
        "registry": registry,
        "load": "a1111",
        "mounts": [{"source": "models", "path": "/models", "read_only": True}],
    }
    spec = stack(tmp_path, {"own": {"shape": "cpu.small", "env": {"A": "b"}, "image": image}}, AWS)
    container = endpoint_on_instances("own", spec.endpoints["own"], MADE)["container"]
    assert container == {
        "image": "ghcr.io/acme/comfy:v1",
        "port": 8188,
        "command": ["python", "main.py"],
        "health": None,
        "load": "a1111",
        "user": None,
        "gpu": False,
        "mounts": [{"source": "models", "path": "/models", "read_only": True}],
        "env": {"A": "b"},
        "secrets": {},
        "registry": registry,
    }


def test_single_sign_on_is_told_without_its_secret(tmp_path: Path) -> None:
    """The ARN, which the gateway's role may read; the secret itself is in no object and no state."""
    arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:sso-AbCdEf"
    members = {
        "issuer": "https://accounts.google.com",
        "client_id": "easel",
        "client_secret": arn,
        "domains": ["example.com"],
        "verified_by": "email_verified",
    }
    spec = stack(tmp_path, {"studio": {"shape": "gpu.a10"}}, {**AWS, "members": members})
    assert team_on_instances(spec, "us-east-1", "c", "h", "i", STORE)["members"] == members
    # On one machine too: the secret comes from the environment there.
    assert team_config(spec, 7859)["members"] == members
