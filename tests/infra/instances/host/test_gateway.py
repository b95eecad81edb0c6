"""The gateway's host: its disk, its container, and how it goes over to another image and back."""

from __future__ import annotations

import json
import subprocess
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
VOLUME = "vol-0123456789abcdef0"
STORAGE = {"file_system": "fs-0123456789abcdef0", "models": "fsap-models"}
FACTS = user_data.GatewayFacts("us-east-1", "art", "easel-art-config", "/easel/art", VOLUME)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path, user_data.gateway(FACTS)) as made:
        configure(made, IMAGE)
        made.say("registry.json", {IMAGE: {}, NEWER: {}})
        (made.world / "efs" / "fsap-models").mkdir(parents=True)
        yield made


def configure(host: Machine, image: str) -> None:
    config = {"team": "art", "console": {"port": 443}, "gateway": {"image": image}, "storage": STORAGE}
    host.put("easel-art-config/config/team.json", json.dumps(config))


def boot(host: Machine) -> None:
    """With something mounted at /data, so that no disk is needed."""
    host.boot()
    host.run("mkdir", "-p", "/data", "/disk")
    assert host.run("mount", "--bind", "/disk", "/data").returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device of our own, all zeros as a new volume is."""
    file = tmp_path / "disk"
    with file.open("wb") as out:
        out.truncate(320 << 20)
    made = subprocess.run(["losetup", "--find", "--show", file], capture_output=True, text=True)
    if made.returncode or not Path("/usr/sbin/mkfs.xfs").exists():
        pytest.skip("needs a loop device and xfsprogs")
    yield made.stdout.strip()
    subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


def attach(host: Machine, device: str) -> None:
    """By the name that udev gives an EBS volume on Nitro. /dev is the machine's own from here on."""
    by_id = f"nvme-Amazon_Elastic_Block_Store_{VOLUME.replace('-', '')}"
    script = f"""
        mkdir -p /tmp/dev && mount -t tmpfs tmpfs /tmp/dev && cp -a /dev/null /dev/zero {device} /tmp/dev/ &&
        ln -s /proc/self/fd /tmp/dev/fd && mkdir -p /tmp/dev/disk/by-id &&
        ln -s {device} /tmp/dev/disk/by-id/{by_id} && mount --rbind /tmp/dev /dev"""
    done = host.run("bash", "-c", script)
    assert done.returncode == 0, done.stdout


def test_a_new_volume_is_formatted_once_and_kept_over_a_boot(host: Machine, disk: str) -> None:
    """What the gateway wrote before is there after; its folder is the container's user's alone."""
    host.boot()
    attach(host, disk)
    done = host.run("/opt/easel/disk.sh")
    assert done.returncode == 0, done.stdout
    assert host.run("stat", "-c", "%u %a", "/data/easel").stdout == "1000 700\n"
    host.run("touch", "/data/easel/certificate")
    host.run("umount", "/data")
    host.boot()
    attach(host, disk)
    assert host.run("/opt/easel/disk.sh").returncode == 0
    assert host.run("ls", "/data/easel").stdout == "certificate\n"
    host.run("umount", "/data")


@pytest.mark.parametrize(
    "content", [b"\x45\x3d\xcd\x28" * 1000, b"certificates, in no format that blkid knows"]
)
def test_a_volume_that_holds_anything_is_never_formatted(host: Machine, disk: str, content: bytes) -> None:
    """Better a gateway that does not start than certificates and pictures' records lost."""
    with Path(disk).open("r+b") as out:
        out.seek(8192)
        out.write(content)
    host.boot()
    attach(host, disk)
    done = host.run("/opt/easel/disk.sh")
    assert done.returncode != 0
    assert "is left as it is" in done.stdout
    with Path(disk).open("rb") as file:
        file.seek(8192)
        assert file.read(len(content)) == content


def test_a_volume_that_is_not_attached_is_waited_for_and_told(host: Machine) -> None:
    """It is attached after the instance has started; not for ever."""
    host.boot()
    done = host.run("/opt/easel/disk.sh")
    assert done.returncode != 0
    assert f"the data volume {VOLUME} is not attached" in done.stdout
    assert host.calls("sleep")


def test_a_full_root_disk_closes_no_door(host: Machine) -> None:
    """Nor a first start, which keeps nothing then, nor one after it."""
    boot(host)
    host.run("mkdir", "-p", "/var/lib/easel")
    host.run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "/var/lib/easel")
    host.run("dd", "if=/dev/zero", "of=/var/lib/easel/full", "bs=4k")
    assert host.run("bash", "-c", "echo x >/var/lib/easel/more").returncode, "it is full"
    service = host.service("easel-gateway")
    assert service.start(), service.output
    service.stop()
    host.run("rm", "/var/lib/easel/full")
    assert service.start(), service.output
    assert host.run("cat", "/var/lib/easel/good").stdout.strip() == IMAGE


def test_a_store_that_hangs_holds_no_door_up(host: Machine) -> None:
    """NFS waits for its server for ever: so does who looks at a folder of it, unless something ends it."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    service.stop()
    hangs = host.root / "stand-ins/mountpoint"
    hangs.write_text(
        '#!/bin/sh\n[ $2 != /mnt/easel/models ] || exec /usr/bin/sleep 1000\nexec /usr/bin/mountpoint "$@"\n'
    )
    hangs.chmod(0o755)
    assert service.start(), service.output
    line = host.calls("docker create")[-1]["line"]
    assert "EASEL_NO_STORE=models of fs-0123456789abcdef0 does not answer" in line
    assert "target=/data/easel/models" not in line
    hangs.unlink()
    assert host.run("/opt/easel/storage.sh").returncode == 0
    assert host.run("cat", "/run/easel/store/why").returncode, "follow.sh takes it when it answers"


def test_from_power_on_to_an_open_door(host: Machine) -> None:
    """The host's network, no rights, an ordinary user, a read-only root; docker is installed if missing."""
    (host.root / "stand-ins/docker").unlink()
    host.say("active.json", ["easel-gateway"])
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    assert [call["words"][-1] for call in host.calls("dnf")] == ["docker"]
    line = host.calls("docker create")[0]["line"]
    for part in (
        "--network host", "--user 1000:1000", "--read-only", "--tmpfs /tmp:", "--cap-drop ALL",
        "--security-opt no-new-privileges", "--mount type=bind,source=/data/easel,target=/data/easel",
        "--mount type=bind,source=/mnt/easel/models,target=/data/easel/models",
        "--log-driver local", "--log-opt max-size=20m", "--log-opt max-file=3",
        f"{IMAGE} python -m easel.gateway --home /data/easel --bucket easel-art-config --region us-east-1",
    ):  # fmt: skip
        assert part in line, part
    assert host.calls("sysctl -qw net.ipv4.ip_unprivileged_port_start=80")
    assert host.tags() == [], "its role tags nothing"
    (mounted,) = host.calls("mount.efs")
    assert {"tls", "iam", "accesspoint=fsap-models"} <= set(mounted["words"][4].split(","))
    host.run("touch", "/mnt/easel/models/x.safetensors")
    assert (host.world / "efs" / "fsap-models" / "x.safetensors").exists()


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (
            {"mount.efs": {"says": "mount.nfs4: access denied by server"}},
            "mount.nfs4: access denied by server",
        ),
        ({}, "the configuration names no file system"),
    ],
)
def test_the_door_opens_without_the_store_and_takes_it_when_it_is_there(
    host: Machine, broken: dict[str, Any], why: str
) -> None:
    """People get in while the file system does not answer, or was not named yet when the machine started; the
    gateway is told why it has none, and never writes models to its own small disk."""
    host.say("orders.json", broken)
    if not broken:
        host.put("easel-art-config/config/team.json", json.dumps(
            {"team": "art", "console": {"port": 443}, "gateway": {"image": IMAGE}}
        ))  # fmt: skip
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    (made,) = host.calls("docker create")
    assert "target=/data/easel/models" not in made["line"]
    assert why in made["environment"]["EASEL_NO_STORE"]
    host.forget()
    assert follow(host).returncode == 0
    assert not host.calls("systemctl restart"), "it is still not there"
    host.say("orders.json", {})
    configure(host, IMAGE)
    assert follow(host).returncode == 0
    assert len(host.calls("systemctl restart")) == 1
    service.stop()
    assert service.start(), service.output
    made = host.calls("docker create")[-1]
    assert "--mount type=bind,source=/mnt/easel/models,target=/data/easel/models" in made["line"]
    assert "EASEL_NO_STORE" not in made["environment"]
    host.forget()
    assert follow(host).returncode == 0
    assert not host.calls("systemctl restart"), "once is enough"


def test_the_door_opens_without_s3_after_it_once_opened(host: Machine) -> None:
    """A reboot while S3 does not answer: the configuration read last is good enough."""
    boot(host)
    service = host.service("easel-gateway")
    host.say("orders.json", {"aws s3": {"says": "503"}})
    assert not service.start(), "the first time there is nothing to go by"
    host.say("orders.json", {})
    assert service.start(), service.output
    host.say("orders.json", {"aws s3": {"says": "503"}})
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output


def follow(host: Machine) -> subprocess.CompletedProcess[str]:
    return host.run("/opt/easel/follow.sh")


def running(host: Machine) -> str:
    return host.run("docker", "inspect", "-f", "{{.Config.Image}}", "easel").stdout.strip()


def test_a_new_image_is_pulled_before_the_old_one_goes(host: Machine) -> None:
    """The timer finds another digest: first the pull, then the swap; nothing happens while it is the same."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    host.forget()
    assert follow(host).returncode == 0
    assert not host.calls("docker pull") + host.calls("systemctl restart")
    configure(host, NEWER)
    assert follow(host).returncode == 0
    order = [
        call["line"].split("@")[0][:14]
        for call in host.calls()
        if "pull" in call["line"] or "restart" in call["line"]
    ]
    assert order == ["docker pull --", "systemctl rest"]
    service.stop()
    assert service.start(), service.output
    assert running(host) == NEWER


def test_an_image_that_does_not_come_up_gives_way_to_the_one_that_did(host: Machine) -> None:
    """And is not tried again each minute; another digest is."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    host.say("registry.json", {IMAGE: {}, NEWER: {"exits": 1, "says": "ImportError"}})
    configure(host, NEWER)
    assert follow(host).returncode == 0
    service.stop()
    assert not service.start()
    assert "ImportError" in service.output
    assert service.start(), service.output
    assert running(host) == IMAGE
    host.forget()
    assert follow(host).returncode == 0
    assert not host.calls("systemctl restart")


def test_an_image_that_cannot_be_pulled_changes_nothing(host: Machine) -> None:
    """Neither while the door is open nor at a boot."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    configure(host, NEWER)
    host.say("orders.json", {"docker pull": {"says": "manifest unknown"}})
    assert follow(host).returncode != 0
    assert not host.calls("systemctl restart")
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    assert running(host) == IMAGE


def patch(host: Machine) -> subprocess.CompletedProcess[str]:
    return host.run("/opt/easel/patch.sh")


def test_security_updates_of_the_newest_release_are_taken(host: Machine) -> None:
    """The image's own release, which it is locked to, never has any; nothing is restarted for nothing."""
    boot(host)
    assert patch(host).returncode == 0
    assert patch(host).returncode == 0
    asked = [call["line"] for call in host.calls("dnf")]
    assert asked == [
        "dnf -y -q install smart-restart",
        *["dnf -y -q upgrade --security --releasever=latest"] * 2,
    ]
    spared = host.run("cat", "/etc/smart-restart-conf.d/easel-denylist").stdout.split()
    assert "easel-gateway.service" in spared
    assert not host.calls("systemctl reboot")


def test_updates_that_cannot_be_had_close_no_door(host: Machine) -> None:
    """It says why in its own log, and what the door's steps read stays as it is."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    host.say("orders.json", {"dnf -y -q upgrade": {"says": "Error: Failed to download metadata"}})
    done = patch(host)
    assert done.returncode != 0
    assert "cannot update the system: Error: Failed to download metadata" in done.stdout
    assert host.run("cat", "/run/easel/why").returncode != 0
    assert not host.calls("systemctl re")


@pytest.mark.parametrize(("busy", "waits"), [(0, 0), (2, 2), (10**6, 3)])
def test_the_machine_starts_again_once_nobody_draws_or_after_six_hours(
    host: Machine, busy: int, waits: int
) -> None:
    """A kernel is in use only after a restart: not in the middle of a picture, and not never."""
    boot(host)
    service = host.service("easel-gateway")
    assert service.start(), service.output
    host.say("kernel", "newer")
    host.say("draws", busy)
    host.forget()
    done = patch(host)
    assert done.returncode == 0, done.stdout
    assert len(host.calls("systemctl reboot")) == 1
    # A sleep of a minute is two and a half hours of the machine's clock.
    assert len(host.calls("sleep 60")) == waits
