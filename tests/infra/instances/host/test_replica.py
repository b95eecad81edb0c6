"""A replica's host, from power on to an answering container, in a machine of its own."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.instances import user_data
from tests.infra.instances.host.machine import INSTANCE, METADATA, Machine, can_boot, machine

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


def test_from_power_on_to_ready(host: Machine) -> None:
    """Phases in their order; image and mounts before the hook, the hook before the container; the studio is
    locked in: read-only root, no rights, an ordinary user, private address; mounts by TLS and access point.
    """
    host.say("registry.json", {IMAGE: {"phases": ["importing", "loading quarter 1 of 4", "ready"]}})
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert host.phases() == ["booting", "pulling", "loading", "ready"]
    order = [" ".join(call["words"][:2]) for call in host.calls()]
    wanted = ["aws s3", "mount.efs fs-0123456789abcdef0:/", "docker pull", "aws autoscaling", "docker create"]
    assert [each for each in order if each in wanted] == [
        wanted[0], wanted[1], wanted[1], wanted[2], wanted[3], wanted[0], wanted[4],
    ]  # fmt: skip
    assert not (host.world / "hook-waits").exists()
    assert ("loading", "loading quarter 1 of 4") in host.tags()
    line = host.calls("docker create")[0]["line"]
    for part in (
        "--read-only", "--tmpfs /tmp:", "--cap-drop ALL", "--security-opt no-new-privileges",
        "--user 1000:1000", "--gpus all", "--publish 10.0.0.7:7860:7860", "--pull never",
        "--log-driver awslogs", "awslogs-group=/easel/art/studio", f"awslogs-stream={INSTANCE}",
        "--mount type=bind,source=/mnt/easel/models,target=/easel/models",
        "--mount type=bind,source=/mnt/easel/outputs,target=/easel/outputs/studio",
        "--mount type=bind,source=/run/easel/keys,target=/easel/keys,readonly",
        f"{IMAGE} python -m easel.studio --host 0.0.0.0 --port 7860 --home /easel --endpoint studio",
    ):  # fmt: skip
        assert part in line, part
    assert "--privileged" not in line
    assert "--network host" not in line
    options = [set(call["words"][4].split(",")) for call in host.calls("mount.efs")]
    assert [{"tls", "iam"} <= each for each in options] == [True, True]
    host.run("touch", "/mnt/easel/outputs/picture.png")
    assert (host.world / "efs" / "fsap-outputs" / "picture.png").exists(), "not on the root disk"
    assert (host.world / "efs" / "fsap-models" / "starter.safetensors").exists(), "the first picture needs it"


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ({"outputs": "fsap-outputs", "retention": 7776000}, ["--retention 7776000"]),
        ({"outputs": "fsap-outputs", "retention": None}, []),
        ({"outputs": None, "retention": None}, ["--retention 86400"]),
    ],
)
def test_pictures_are_kept_as_long_as_the_endpoint_says(
    host: Machine, storage: dict[str, Any], told: list[str]
) -> None:
    """For `storage.retention`, for ever without it, for a day on the replica's own disk if not at all."""
    write(host, {**CONFIG, "storage": {**CONFIG["storage"], **storage}})
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert re.findall(r"--retention \S+", host.calls("docker create")[0]["line"]) == told


def test_secrets_of_any_text_arrive_and_nobody_reads_them_on_the_way(host: Machine) -> None:
    """Quotes, newlines, dollars and edges of whitespace stay; no argument, tag or file holds them."""
    values = {
        "QUOTES": """a'b"c`d\\e""",
        "DOLLARS": "$(touch /tmp/x) ${HOME} %s #no",
        "KEY": "-----BEGIN-----\nline=2\n\n-----END-----\n",
        "EDGES": "  between  ",
        "RETURN": "one\r",
        "EMPTY": "",
        "LONG": "ü" * 40_000,
        "PATH": "/app/bin",
    }
    host.say("secrets.json", {f"arn:secret:{name}": value for name, value in values.items()})
    configure(host, secrets={name: f"arn:secret:{name}" for name in values})
    host.boot()
    steps(host, "settings", "storage", "image")
    serving = host._start(*host.command("/opt/easel/serve.sh"))
    wait_for(lambda: bool(host.calls("docker start")))
    created = host.calls("docker create")[0]
    assert {name: created["environment"][name] for name in values} == values
    assert created["environment"]["GREETING"] == CONFIG["env"]["GREETING"]
    told = [call["line"] for call in host.calls()] + [json.dumps(host.tags())]
    assert not [text for text in told if "line=2" in text or "touch /tmp/x" in text or "between" in text]
    assert serving.poll() is None
    left = host.run(
        "grep", "-rlE", "line=2|touch /tmp/x", "/run/easel", "/var/lib/easel", "/etc/easel"
    ).stdout
    assert left == ""


def test_a_secret_that_would_steer_docker_itself_is_refused(host: Machine) -> None:
    """A value of several lines reaches docker by its own environment, where DOCKER_HOST means something."""
    host.say("secrets.json", {"arn:secret": "tcp://elsewhere\n"})
    configure(host, secrets={"DOCKER_HOST": "arn:secret"})
    host.boot()
    assert not host.service("easel-replica").start()
    assert host.tags()[-1][0] == "failed"
    assert "DOCKER_HOST" in host.tags()[-1][1]
    assert "elsewhere" not in host.tags()[-1][1]


# What fails, what it says, and what the tag says then, in the letters that tags allow.
FAILURES = {
    "S3 denied": (
        "aws s3 cp",
        "fatal error: An error occurred (403) when calling the HeadObject operation: Forbidden",
        "cannot read s3://easel-art-config/config/studio.json: fatal error: An error occurred 403 when",
    ),
    "no file system": (
        "mount.efs",
        "mount.nfs4: access denied by server",
        "cannot mount models from fs-0123456789abcdef0: mount.nfs4: access denied",
    ),
    "registry refuses": (
        "docker login",
        "Error response from daemon: 401 Unauthorized",
        "cannot pull 123456789012.dkr.ecr.us-east-1.amazonaws.com/easel@sha256:",
    ),
    "no such image": (
        "docker pull",
        "manifest unknown: Requested image not found",
        "manifest unknown: Requested image not found",
    ),
    "hook refused": (
        "aws autoscaling",
        "An error occurred (AccessDenied) when calling it",
        "cannot complete the launch hook: An error occurred AccessDenied",
    ),
    "no GPU": (
        "docker start",
        'could not select device driver "" with capabilities: [[gpu]]',
        "cannot start the container: could not select device driver",
    ),
}


@pytest.mark.parametrize(("command", "said", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_what_fails_is_tagged_with_its_reason(host: Machine, command: str, said: str, told: str) -> None:
    """A failed step leaves `failed` and AWS's or docker's own words."""
    host.say("orders.json", {command: {"says": said}})
    host.boot()
    assert not host.service("easel-replica").start()
    phase, why = host.tags()[-1]
    assert phase == "failed"
    assert told in why
    assert len(why) <= 256


def test_each_failure_waits_longer_than_the_one_before(host: Machine) -> None:
    """What is down is not asked without end; five minutes are the longest wait; `ready` ends it."""
    host.say("orders.json", {"aws s3 cp": {"says": "503 Slow Down"}})
    host.boot()
    service = host.service("easel-replica")
    for _ in range(9):
        assert not service.start()
    assert [int(call["words"][1]) for call in host.calls("sleep")] == [5, 10, 20, 40, 80, 160, 300, 300]
    assert "start 9 after: cannot read s3://easel-art-config" in host.tags()[-2][1]
    host.say("orders.json", {})
    assert service.start(), service.output
    assert host.phases()[-1] == "ready"
    service.stop()
    host.forget()
    steps(host, "settings")
    assert not host.calls("sleep")


def test_a_host_that_may_not_tag_still_serves(host: Machine) -> None:
    """Tags are for the eyes; pictures do not wait for them."""
    host.say("orders.json", {"aws ec2 create-tags": {"says": "UnauthorizedOperation"}})
    host.boot()
    steps(host, "settings", "storage", "image", "starter", "hook")


def test_a_container_that_dies_tells_its_last_words(host: Machine) -> None:
    """The log's last lines are in the tag, in the letters that tags allow."""
    host.say("registry.json", {IMAGE: {"exits": 3, "says": "RuntimeError: <CUDA> is {not} here…"}})
    host.boot()
    assert not host.service("easel-replica").start()
    phase, why = host.tags()[-1]
    assert (phase, why) == ("failed", "the container ended code 3 false : RuntimeError: CUDA is not here ")


def test_a_container_that_never_answers_is_given_up(host: Machine) -> None:
    """The limit passes, the reason is told, and the container does not stay."""
    host.say("registry.json", {IMAGE: {"silent": True, "says": "waiting for Godot"}})
    host.boot()
    assert not host.service("easel-replica").start()
    phase, why = host.tags()[-1]
    assert phase == "failed"
    assert "no answer within 900 s" in why
    assert "waiting for Godot" in why
    assert host.run("docker", "inspect", "-f", "{{.State.Status}}", "easel").stdout == "exited\n"


def test_a_studio_that_says_failed_is_believed(host: Machine) -> None:
    """The engine's own reason is better than a time limit."""
    host.say("registry.json", {IMAGE: {"phases": ["loading", "failed out of memory at 22 GiB"]}})
    host.boot()
    assert not host.service("easel-replica").start()
    assert host.tags()[-1] == ("failed", "the container says that it failed: failed out of memory at 22 GiB")


def test_a_container_that_ends_later_is_started_again(host: Machine) -> None:
    """A crash after `ready` is a failure with a reason; `systemctl stop` is none."""
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    host.run("docker", "stop", "easel")  # not by stop.sh
    service.ends()
    assert host.tags()[-1][0] == "failed"
    assert service.start(), service.output
    service.stop()
    assert host.tags()[-1][0] == "ready"


def test_a_second_boot_reads_the_digest_and_pulls_nothing_that_is_there(host: Machine) -> None:
    """A warm instance wakes by a start; the hook is completed before anything slow."""
    host.boot()
    assert host.service("easel-replica").start()
    host.forget()
    (host.world / "hook-waits").touch()
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert not host.calls("docker pull")
    assert host.phases() == ["booting", "loading", "ready"]
    lines = [call["line"] for call in host.calls()]
    hook = next(place for place, line in enumerate(lines) if "complete-lifecycle-action" in line)
    assert hook < next(place for place, line in enumerate(lines) if line.startswith("mount.efs"))


def test_a_digest_that_changed_while_it_was_stopped_is_pulled(host: Machine) -> None:
    """User data is as old as the instance; what runs is what the configuration says now."""
    host.boot()
    assert host.service("easel-replica").start()
    configure(host, image=NEWER)
    host.forget()
    host.boot()
    service = host.service("easel-replica")
    assert service.start(), service.output
    assert [call["words"][-1] for call in host.calls("docker pull")] == [NEWER]
    assert NEWER in host.calls("docker create")[0]["line"]
    assert host.held() == NEWER
    assert json.loads((host.root / "var/lib/docker/images").read_text()) == [NEWER]


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


def wait_for(condition: Any, seconds: float = 20) -> None:
    import time

    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)
