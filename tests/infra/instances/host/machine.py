"""A machine that boots from user data: own mounts, network and processes around a root of its own.

Real: the user data's files, bash, python, curl, mount, flock, blkid, mkfs, iptables, the kernel's mounts and
addresses, HTTP to 169.254.169.254. Stand-ins (`stand_in.py`): aws, docker, mount.efs, systemctl, dnf, sleep,
date; and systemd, of which `Service` below does what a unit's lines ask for, in systemd's order.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import yaml
from botocore import xform_name

HERE = Path(__file__).resolve().parent
INSTANCE = "i-0123456789abcdef0"
ADDRESS = "10.0.0.7"
METADATA = {
    "instance-id": INSTANCE,
    "local-ipv4": ADDRESS,
    "autoscaling/target-lifecycle-state": "InService",
}
STAND_INS = ("aws", "docker", "sleep", "date", "systemctl", "dnf", "sysctl", "journalctl", "mount.efs")
# What a root of its own lacks and the host has. /sbin is apart from /usr/sbin: mount finds mount.efs there.
SETUP = """
set -e
mount --make-rprivate /
cd "$1"
for folder in usr lib lib64 bin etc/alternatives; do
    [ ! -d /$folder ] || { mkdir -p $folder; mount --rbind -o ro /$folder $folder; }
done
mkdir -p proc dev run sbin tmp mnt var/lib etc opt
cp -f /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
mount --rbind /dev dev
mount -t proc proc proc
mount -t tmpfs tmpfs run
ln -sf /stand-ins/mount.efs sbin/mount.efs
ip link set lo up
ip address add 169.254.169.254/32 dev lo
ip address add "$2/32" dev lo
# What a Docker daemon leaves in the host's network.
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
iptables -N DOCKER-USER
iptables -A FORWARD -j DOCKER-USER
echo up
exec sleep infinity
"""


class Machine:
    """`boot()` may be called again: the disk stays, memory, mounts and processes go."""

    def __init__(self, folder: Path, user_data: str, without: Sequence[str] = ()) -> None:
        self.root = folder / "root"
        self.world = self.root / "world"
        self._running: list[subprocess.Popen[str]] = []
        (self.world / "s3").mkdir(parents=True)
        tools = self.root / "stand-ins"
        tools.mkdir()
        shutil.copy(HERE / "stand_in.py", tools)
        (tools / "stand_in.py").chmod(0o755)
        for name in STAND_INS:
            if name not in without:
                (tools / name).symlink_to("stand_in.py")
        shutil.copy(HERE / "container.py", self.world)
        self.metadata(METADATA)
        self._unpack(yaml.safe_load(user_data))

    def _unpack(self, config: Mapping[str, Any]) -> None:
        """What cloud-init does with `write_files`, and the first of `runcmd`."""
        for file in config["write_files"]:
            path = self.root / file["path"].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            content = file["content"]
            path.write_bytes(base64.b64decode(content) if "encoding" in file else content.encode())
        first = config["runcmd"][0]
        subprocess.run([sys.executable, *first[1:4], self._inside(first[4]), self.root], check=True)

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    # --- the world around ---

    def metadata(self, values: Mapping[str, str]) -> None:
        """What the instance metadata service says from now on."""
        # As a whole or not at all: it is read at each question.
        new = self.world / "metadata.new"
        new.write_text(json.dumps(values))
        new.replace(self.world / "metadata.json")

    def put(self, address: str, content: str | bytes) -> None:
        """An object `bucket/key`."""
        path = self.world / "s3" / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def say(self, name: str, content: object) -> None:
        """A file of the world: `registry.json`, `secrets.json`, `orders.json`, `active.json`."""
        (self.world / name).write_text(json.dumps(content))

    def calls(self, beginning: str = "") -> list[dict[str, Any]]:
        """What was called so far, oldest first."""
        file = self.world / "calls"
        every = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call for call in every if call["line"].startswith(beginning)]

    def forget(self) -> None:
        """Count calls and tags from here."""
        for name in ("calls", "tags.json"):
            (self.world / name).unlink(missing_ok=True)

    def tags(self) -> list[tuple[str, str]]:
        """Phase and why, as they were tagged one after the other."""
        file = self.world / "tags.json"
        told = json.loads(file.read_text())["history"] if file.exists() else []
        return [(each["easel:phase"], each["easel:why"]) for each in told]

    def held(self) -> str:
        """The image that the host says is on its disk, by its last tags."""
        file = self.world / "tags.json"
        return (
            str(json.loads(file.read_text())["history"][-1].get("easel:image", "")) if file.exists() else ""
        )

    def phases(self) -> list[str]:
        """The phases in order, without repeats."""
        found = [phase for phase, _ in self.tags()]
        return [phase for place, phase in enumerate(found) if place == 0 or found[place - 1] != phase]

    # --- running ---

    def boot(self) -> None:
        """Switch it on, or off and on."""
        self.off()
        holder = self._start(
            "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
            "bash", "-c", SETUP, "setup", str(self.root), ADDRESS,
        )  # fmt: skip
        assert holder.stdout is not None
        said = holder.stdout.readline()
        assert said == "up\n", said + (holder.communicate()[0] or "")
        child = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0]
        self._enter = ["nsenter", "--target", child, "--mount", "--net", "--pid"]
        file = self.world / "metadata.json"
        service = self._start(*self._enter, sys.executable, str(HERE / "metadata.py"), str(file))
        assert service.stdout is not None
        assert service.stdout.readline() == "listening\n"

    def _start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._running.append(process)
        return process

    def off(self) -> None:
        """The power goes."""
        # The first holds the namespaces: with it goes every process in them, and then their pipes end.
        for process in self._running:
            process.kill()
        for process in self._running:
            process.communicate()
        self._running.clear()

    def command(self, *words: str) -> list[str]:
        """A command line that runs `words` inside."""
        clean = ["env", "-i", "PATH=/stand-ins:/usr/sbin:/usr/bin", "LANG=C.UTF-8"]
        return [*self._enter, "chroot", str(self.root), *clean, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one command inside."""
        return subprocess.run(
            self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )

    def service(self, name: str) -> Service:
        """A unit of the machine."""
        return Service(self, self.root / "etc/systemd/system" / f"{name}.service")


class Service:
    """What systemd does with one service unit: steps in order, the end after each start."""

    def __init__(self, machine: Machine, unit: Path) -> None:
        self._machine = machine
        self._lines: dict[str, list[str]] = {}
        for line in unit.read_text().splitlines():
            if "=" in line and not line.startswith(("#", ";")):
                key, value = line.split("=", 1)
                self._lines.setdefault(key, []).append(value)
        self._main: subprocess.Popen[str] | None = None
        self.output = ""

    def start(self) -> bool:
        """One attempt. Is it up? If not, what was to be done after the end was done."""
        for step in self._lines.get("ExecStartPre", []):
            if not self._step(step):
                return self._end("exit-code")
        self._main = subprocess.Popen(
            self._machine.command(self._lines["ExecStart"][0]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._machine._running.append(self._main)
        for step in self._lines.get("ExecStartPost", []):
            if not self._step(step):
                self._main.terminate()
                return self._end("exit-code")
        return True

    def stop(self) -> None:
        """`systemctl stop`."""
        for step in self._lines.get("ExecStop", []):
            self._step(step)
        assert self._main is not None
        if self._main.poll() is None and not self._ended_in(2):
            self._main.terminate()
            self._main.wait(20)
        self._end("success")

    def ends(self) -> None:
        """The main process is seen to end by itself."""
        assert self._main is not None
        code = self._main.wait(30)
        for step in self._lines.get("ExecStop", []):
            self._step(step)
        self._end("exit-code" if code else "success")

    def _ended_in(self, seconds: float) -> bool:
        assert self._main is not None
        try:
            self._main.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _step(self, step: str) -> bool:
        words = step.lstrip("-").split()
        done = self._machine.run(*words)
        self.output += f"{step}\n{done.stdout}"
        return done.returncode == 0 or step.startswith("-")

    def _end(self, result: str) -> bool:
        for step in self._lines.get("ExecStopPost", []):
            done = self._machine.run("env", f"SERVICE_RESULT={result}", "EXIT_STATUS=1", *step.split())
            self.output += f"{step}\n{done.stdout}"
            assert done.returncode == 0, done.stdout
        return False


def unknown_options(call: Mapping[str, Any]) -> set[str]:
    """What the command line of AWS would not take, by the service's own model. `aws s3` has none."""
    _, service, operation, *words = call["words"]
    if service == "s3" or operation == "get-login-password":  # the command line's own
        return set()
    model = botocore.session.get_session().get_service_model(service.replace("s3api", "s3"))
    named = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(named[operation]).input_shape
    members = {f"--{xform_name(name, '-')}" for name in shape.members} if shape else set()
    needed = {f"--{xform_name(name, '-')}" for name in shape.required_members} if shape else set()
    given = {word for word in words if word.startswith("--")}
    return (given - members - {"--output", "--query", "--region"}) | (needed - given)


@contextmanager
def machine(folder: Path, user_data: str, without: Sequence[str] = ()) -> Iterator[Machine]:
    """A machine that is switched off at the end, with nothing of it left mounted."""
    made = Machine(folder, user_data, without)
    try:
        yield made
        wrong = [call["line"] for call in made.calls("aws ") if unknown_options(call)]
        assert not wrong, wrong
    finally:
        made.off()


def can_boot() -> bool:
    """May this process have namespaces of its own?"""
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "true"]
    return os.geteuid() == 0 and subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0


def archive(user_data: str) -> tarfile.TarFile:
    """The files that travel in user data."""
    packed = next(file for file in yaml.safe_load(user_data)["write_files"] if "encoding" in file)
    return tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed["content"])))
