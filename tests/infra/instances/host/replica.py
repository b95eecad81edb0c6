"""A replica's host, configured and run as far as a test needs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.instances import user_data
from tests.infra.instances.host.machine import Machine, can_boot, machine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_boot(), reason="needs root and namespaces of its own"),
]

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/easel@sha256:" + "a" * 64
NEWER = IMAGE.replace("a" * 64, "b" * 64)
CONFIG: dict[str, Any] = {
    "name": "studio",
    "models": [],
    "env": {"GREETING": 'it\'s "$HOME" `x` \\ #1'},
    "timeouts": {"wake": 900, "request": 3600},
    "instances": {"group": "easel-art-studio-1a2b3c4", "hook": "ready", "warm": 0},
    "container": {
        "image": IMAGE, "port": 7860, "command": None, "health": "/internal/ping", "load": "easel",
        "user": 1000, "gpu": True, "mounts": [], "env": {}, "secrets": {}, "registry": None,
    },
    "storage": {"file_system": "fs-0123456789abcdef0", "models": "fsap-models", "outputs": "fsap-outputs"},
}  # fmt: skip
FACTS = user_data.ReplicaFacts("us-east-1", "art", "studio", "easel-art-config", "/easel/art/studio")


KEYS = '{"keys": []}'


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path, user_data.replica(FACTS)) as made:
        configure(made)
        made.put("easel-art-config/run/keys.json", KEYS)
        made.say("registry.json", {IMAGE: {}, NEWER: {}})
        for point in ("fsap-models", "fsap-outputs"):
            (made.world / "efs" / point).mkdir(parents=True)
        (made.world / "hook-waits").touch()
        yield made


def configure(host: Machine, **container: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["container"].update(container)
    write(host, config)
    return config


def steps(host: Machine, *names: str) -> None:
    """Only these steps of the unit, which must go well."""
    for name in names:
        done = host.run(f"/opt/easel/{name}.sh")
        assert done.returncode == 0, f"{name}: {done.stdout}"


def write(host: Machine, config: Any) -> None:
    host.put("easel-art-config/config/studio.json", json.dumps(config))


def wait_for(condition: Any, seconds: float = 20) -> None:
    import time

    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)
