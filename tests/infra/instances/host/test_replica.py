"""A replica's host, from power on to an answering container, in a machine of its own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.infra.instances.host.machine import Machine
from tests.infra.instances.host.replica import (
    CONFIG,
    IMAGE,
    NEWER,
    configure,
    host,
    pytestmark,
    steps,
    wait_for,
    write,
)

__all__ = ["host", "pytestmark"]


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
        "--log-driver local", "--log-opt max-size=20m", "--log-opt max-file=3",
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
