"""Hosts of each kind: of a warm pool, with an own disk, on spot, with an own container or registry."""

from __future__ import annotations

import copy
import json

from tests.infra.instances.host.machine import INSTANCE, METADATA, Machine
from tests.infra.instances.host.replica import (
    CONFIG,
    IMAGE,
    configure,
    host,
    pytestmark,
    steps,
    wait_for,
    write,
)

__all__ = ["host", "pytestmark"]


def test_an_instance_for_the_warm_pool_is_prepared_and_draws_nothing(host: Machine) -> None:
    """Image on disk, hook completed, no container: AWS stops it then."""
    host.metadata({**METADATA, "autoscaling/target-lifecycle-state": "Warmed:Stopped"})
    config = copy.deepcopy(CONFIG)
    config["instances"]["warm"] = 1
    write(host, config)
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert host.calls("docker pull")
    assert not host.calls("docker create")
    assert not (host.world / "hook-waits").exists()
    assert host.tags()[-1] == ("pulling", "prepared: stopped until somebody draws")
    assert host.held() == IMAGE, "by which the gateway sees whether it is the configured one"
    assert (host.root / "run").exists()
    assert host.run("cat", "/run/easel/cache").stdout == "/var/lib/easel/cache\n", "NVMe forgets at a stop"


def test_the_base_images_nvme_is_the_cache(host: Machine) -> None:
    """The base image has mounted it; the container's user may write there."""
    host.boot()
    host.run("mkdir", "-p", "/opt/dlami/nvme")
    assert host.run("mount", "-t", "tmpfs", "tmpfs", "/opt/dlami/nvme").returncode == 0
    steps(host, "settings", "storage")
    assert host.run("cat", "/run/easel/cache").stdout == "/opt/dlami/nvme/easel\n"
    assert host.run("stat", "-c", "%u", "/opt/dlami/nvme/easel").stdout == "1000\n"


def test_a_spot_notice_is_tagged(host: Machine) -> None:
    """The gateway drains a replica whose `easel:why` says interrupted; later tags keep saying it."""
    host.boot()
    steps(host, "settings")
    watch = host._start(*host.command("/opt/easel/watch.sh"))
    notice = '{"action": "terminate", "time": "2026-09-18T08:22:00Z"}'
    host.metadata({**METADATA, "spot/instance-action": notice})
    wait_for(lambda: host.tags()[-1][1].startswith("interrupted"))
    assert host.tags()[-1] == (
        "booting",
        "interrupted: AWS takes this spot instance back at 2026-09-18T08:22:00Z",
    )
    host.forget()
    wait_for(lambda: len(host.calls("sleep")) > 2)
    assert host.tags() == [], "told once"
    watch.kill()
    assert "interrupted" in host.run("bash", "-c", ". /opt/easel/host.sh; phase ready").stdout


def test_back_to_the_warm_pool_without_a_boot(host: Machine) -> None:
    """The launch hook waits again then, though no boot comes; not completed, AWS would give it up."""
    host.boot()
    steps(host, "settings")
    host._start(*host.command("/opt/easel/watch.sh"))
    wait_for(lambda: bool(host.calls("sleep 5")))
    host.metadata({**METADATA, "autoscaling/target-lifecycle-state": "Warmed:Stopped"})
    (host.world / "hook-waits").touch()
    wait_for(lambda: not (host.world / "hook-waits").exists())


def test_an_own_container_runs_as_it_was_made(host: Machine) -> None:
    """Its command, user and mounts; its root is writable; ready is a 2xx of its health path."""
    host.say("registry.json", {"ghcr.io/team/a1111:1.10": {"serves": ["/health"]}})
    configure(
        host, image="ghcr.io/team/a1111:1.10", load="a1111", health="/health", user=1001,
        command=["python", "launch.py", "--listen", "a b"], gpu=False,
        mounts=[{"source": "models", "path": "/data/mo,dels", "read_only": True}],
    )  # fmt: skip
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    words = host.calls("docker create")[0]["words"]
    assert words[-5:] == ["ghcr.io/team/a1111:1.10", "python", "launch.py", "--listen", "a b"]
    assert words[words.index("--user") + 1] == "1001"
    assert 'type=bind,source=/mnt/easel/models,"target=/data/mo,dels",readonly' in words
    assert "--read-only" not in words
    assert "--gpus" not in words
    assert "no-new-privileges" in words


def test_a_container_without_health_is_ready_when_it_accepts_a_connection(host: Machine) -> None:
    """`health: none` says that no path can be asked, not that nobody may knock."""
    host.say("registry.json", {"team/own:1": {"serves": []}})
    configure(host, image="team/own:1", load="requests", health=None, user=None)
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert "--user" not in host.calls("docker create")[0]["words"]


def test_an_own_registrys_credential_comes_from_its_secret(host: Machine) -> None:
    """The password goes by stdin; a tag is pulled at every start, since it may mean something else by now."""
    host.say("registry.json", {"ghcr.io/team/own:1": {"serves": ["/"]}})
    host.say("secrets.json", {"arn:registry": '{"username": "team", "password": "pa$$ \\"word"}'})
    configure(host, image="ghcr.io/team/own:1", load="requests", health="/", registry="arn:registry")
    host.boot()
    steps(host, "settings", "image", "image")
    login = host.calls("docker login")[0]
    assert login["words"][2:] == ["--username", "team", "--password-stdin", "ghcr.io"]
    assert login["typed"] == 'pa$$ "word'
    assert len(host.calls("docker pull")) == 2


def test_a_host_fetches_no_model_and_places_the_starter_in_an_empty_store_only(host: Machine) -> None:
    """The gateway brought them before this instance was paid for; only an empty store gets the starter."""
    config = copy.deepcopy(CONFIG)
    config["models"] = ["s3://team-models/turtle.safetensors", "hf://org/repo/x.safetensors"]
    write(host, config)
    host.put("team-models/turtle.safetensors", b"turtle")
    store = host.world / "efs" / "fsap-models"
    (store / "Lora").mkdir()
    (store / "Lora" / "ink.safetensors").write_bytes(b"ink")
    host.boot()
    steps(host, "settings", "storage", "image", "starter")
    assert not host.calls("docker run")
    assert not [call for call in host.calls("aws s3") if "team-models" in call["line"]]
    (store / "Lora" / "ink.safetensors").unlink()
    steps(host, "starter")
    (placing,) = host.calls("docker run")
    assert "--network none" in placing["line"]
    assert "--read-only" in placing["words"]


def test_what_the_hosts_units_say_is_shipped(host: Machine) -> None:
    """To the host's own stream, in order, long lines cut, also when they are many and odd."""
    entries = [
        {"__REALTIME_TIMESTAMP": f"{1_700_000_000_000_000 + n}", "__CURSOR": f"s={n}", "MESSAGE": text}
        for n, text in enumerate(["pulling: 'it'", [255, 104, 105], None, "x" * 5000] + ["é" * 1500] * 300)
    ]
    (host.world / "journal").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    host.boot()
    host._start(*host.command("/opt/easel/journal.sh"))
    shipped = host.world / "shipped"

    def lines() -> list[str]:
        text = shipped.read_text() if shipped.exists() else ""
        # A line that is being written has no end yet.
        batches = text[: text.rfind("\n") + 1].splitlines()
        return [event["message"] for batch in batches for event in json.loads(batch)]

    wait_for(lambda: len(lines()) == len(entries))
    assert lines()[:3] == ["?: pulling: 'it'", "?: \ufffdhi", "?: "]
    put = host.calls("aws logs put-log-events")[0]["words"]
    assert put[put.index("--log-stream-name") + 1] == f"{INSTANCE}/host"
    assert put[put.index("--log-group-name") + 1] == "/easel/art/studio"
    assert max(len(word) for call in host.calls("aws logs") for word in call["words"]) < 128 * 1024
    wait_for(lambda: host.run("cat", "/run/easel/cursor").stdout == f"s={len(entries) - 1}")


def test_what_the_container_says_is_shipped_as_far_as_it_may_cost(host: Machine) -> None:
    """Beyond the allowance a word that it is, once, and nothing; what was shipped is not shipped again."""
    program = host.root / "opt/easel/journal.py"
    program.write_text(program.read_text().replace("ALLOWANCE = 10_000_000", "ALLOWANCE = 20_000"))
    (host.world / "journal").write_text("")
    says = "\n".join(f"{number:04} {'x' * 969}" for number in range(40))
    host.say("registry.json", {"team/own:1": {"serves": ["/"], "says": says}})
    configure(host, image="team/own:1", load="requests", health="/", user=None)
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    shipper = host._start(*host.command("/opt/easel/journal.sh"))
    shipped = host.world / f"shipped.{INSTANCE}"

    def lines() -> list[str]:
        text = shipped.read_text() if shipped.exists() else ""
        batches = text[: text.rfind("\n") + 1].splitlines()
        return [event["message"] for batch in batches for event in json.loads(batch)]

    wait_for(lambda: len(lines()) == 21)
    assert [line[:4] for line in lines()[:20]] == [f"{number:04}" for number in range(20)]
    assert lines()[20].endswith("what follows is on this machine, by docker logs easel")
    place = "/run/easel/said"
    wait_for(lambda: host.run("cat", place).stdout.endswith("Z"))
    shipper.kill()
    host._start(*host.command("/opt/easel/journal.sh"))
    before = host.run("cat", place).stdout
    wait_for(lambda: len(host.calls("docker logs --follow")) >= 2)
    assert f"--since {before}" in host.calls("docker logs --follow")[-1]["line"]
    assert len(lines()) == 21
