"""How a replica's container comes to the keys that it knows its gateway by."""

from __future__ import annotations

import copy

from tests.infra.instances.host.machine import Machine
from tests.infra.instances.host.replica import CONFIG, KEYS, host, pytestmark, wait_for, write

__all__ = ["host", "pytestmark"]


def test_the_studio_knows_its_gateway_by_the_teams_keys(host: Machine) -> None:
    """The container goes by the gateway's public keys for its own endpoint, whatever its environment says;
    their file may be read by its user, and is followed."""
    config = copy.deepcopy(CONFIG)
    config["env"] = {"EASEL_ASSERTION_AUDIENCE": "other", "EASEL_ASSERTION_OPEN": "/"}
    write(host, config)
    host.boot()
    assert host.service("easel-replica").start()
    environment = host.calls("docker create")[0]["environment"]
    assert {name: value for name, value in environment.items() if "ASSERTION" in name} == {
        "EASEL_ASSERTION_KEYS": "/easel/keys/keys.json",
        "EASEL_ASSERTION_AUDIENCE": "studio",
        "EASEL_ASSERTION_OPEN": "/easel/load /internal/ping",
    }
    assert host.run("cat", "/run/easel/keys/keys.json").stdout == KEYS
    assert host.run("stat", "-c", "%a", "/run/easel/keys", "/run/easel/keys/keys.json").stdout.split() == [
        "755", "644",
    ]  # fmt: skip
    host._start(*host.command("/opt/easel/watch.sh"))
    host.put("easel-art-config/run/keys.json", '{"keys": [{}]}')
    wait_for(lambda: host.run("cat", "/run/easel/keys/keys.json").stdout == '{"keys": [{}]}')


def test_without_the_gateways_keys_there_is_no_container(host: Machine) -> None:
    """Open to whoever reaches its port it must never be."""
    (host.world / "s3/easel-art-config/run/keys.json").unlink()
    host.boot()
    assert not host.service("easel-replica").start()
    assert host.tags()[-1][0] == "failed"
    assert "run/keys.json" in host.tags()[-1][1]
    assert not host.calls("docker create")
