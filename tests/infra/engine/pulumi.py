"""Runs the real `pulumi` on a copy of the project, with state in a folder and AWS played by the stand-in.

As a user has it: the project's own Pulumi.yaml, `.venv` at its root, the plugin where `pulumi plugin install`
would put it. Nothing leaves the machine: every proxy is a closed port and no plugin may be fetched.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import uuid
import venv
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from tests.infra.engine.provider import VERSION

ROOT = Path(__file__).resolve().parents[3]
COPIED = ("Pulumi.yaml", "pyproject.toml", "image", "infra", "scripts", "stacks")
LOCAL = """\
config:
  easel:team:
    runs_on: local
  easel:endpoints:
    studio:
      shape: cpu.small
      replicas: {min: 1, max: 1}
"""
"""What `stacks/Pulumi.local.yaml` says in the copy."""
FOREIGN = ("PULUMI_", "AWS_", "EASEL_", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
"""Settings of whoever runs the tests, which the runs must not see."""
CLOSED = "http://127.0.0.1:9"

Plan = dict[str, frozenset[str]]
"""What a preview would do: names of resources by operation (`create`, `update`, `replace`, `delete`)."""


@dataclass
class Running:
    """A `pulumi` that is under way."""

    process: "subprocess.Popen[bytes]"
    log: IO[str]

    def said(self) -> str:
        """Everything that it said so far."""
        return Path(self.log.name).read_text()

    def interrupt(self) -> None:
        """Ctrl-C, which a terminal gives to the whole group of processes that it shows."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self, seconds: float) -> int:
        """Its exit status. Raises TimeoutExpired."""
        return self.process.wait(seconds)

    def away(self) -> None:
        """Nothing of it is left: neither itself nor its plugins, which are groups of their own."""
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            for each in below:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        self.process.wait()
        self.log.close()


@dataclass
class Engine:
    """One project and the stacks of it."""

    project: Path
    there: Path
    """The folder of the stand-in: a file for each resource that is there."""
    state: Path
    """The folder that Pulumi's state is in."""
    environment: dict[str, str]

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`pulumi` with these words, and what it said. Asks nothing, shows no colours."""
        return self._ran(["pulumi", "--non-interactive", "--color=never", *words], more)

    def did(self, *words: str, **more: str) -> str:
        """The same, which must succeed: what it said on standard output."""
        done = self.run(*words, **more)
        assert done.returncode == 0, told(done)
        return done.stdout

    def begin(self, *words: str) -> "Running":
        """The same, and do not wait for it."""
        log = (self.state.parent / f"{uuid.uuid4()}.log").open("w+")
        process = subprocess.Popen(
            ["pulumi", "--non-interactive", "--color=never", *words],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return Running(process, log)

    def easel(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The `easel` command of this project."""
        done = self._ran([str(self.project / ".venv/bin/python"), "-m", "scripts", *words], more)
        assert done.returncode == 0, told(done)
        return done

    def plan(self, stack: str) -> Plan:
        """What `pulumi up` would do now."""
        steps = json.loads(self.did("preview", "--json", "--stack", stack))["steps"]
        found: dict[str, set[str]] = defaultdict(set)
        for step in steps:
            found[step["op"]].add(named(step["urn"]))
        return {op: frozenset(urns) for op, urns in found.items() if op != "same"}

    def outputs(self, stack: str, *words: str) -> dict[str, Any]:
        """The stack's outputs."""
        return dict(json.loads(self.did("stack", "output", "--json", "--stack", stack, *words)))

    def file(self, stack: str) -> Path:
        """The stack file."""
        return self.project / "stacks" / f"Pulumi.{stack}.yaml"

    def resources(self) -> set[str]:
        """What is there, by type and name."""
        return {named(json.loads(file.read_text())["urn"]) for file in self.there.glob("*.json")}

    def contents(self) -> dict[str, str]:
        """What is there, whole: by type and name, with the id, which a replacement changes."""
        found = [json.loads(file.read_text()) for file in self.there.glob("*.json")]
        return {f"{named(one['urn'])} {one['id']}": json.dumps(one, sort_keys=True) for one in found}

    def _ran(self, words: list[str], more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.project,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


def engine(folder: Path, account: str, aws: str) -> Engine:
    """A copy of the project in this folder, which makes resources of `account`; boto3's calls go to `aws`."""
    project, home, state, there = (folder / name for name in ("easel", "home", "state", "there"))
    for each in (project, home, state, there):
        each.mkdir()
    copy_project(ROOT, project)
    _environment(project)
    _install(home, there, account)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return Engine(
        project,
        there,
        state,
        {
            **kept,
            "HOME": str(home),
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "words of the test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "AWS_ENDPOINT_URL": aws,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "HTTP_PROXY": CLOSED,
            "HTTPS_PROXY": CLOSED,
            "NO_PROXY": "127.0.0.1,localhost",
            # As pip leaves it: pulumi-aws without bytecode takes each `pulumi` ten seconds.
            "PYTHONPYCACHEPREFIX": str(ROOT / ".easel" / "tests" / "bytecode"),
        },
    )


def _environment(project: Path) -> None:
    """`.venv` of the copy: the copy as an editable install puts it there, and the libraries of this one."""
    venv.create(project / ".venv", symlinks=True)
    (site,) = (project / ".venv" / "lib").glob("python*/site-packages")
    (site / "easel.pth").write_text(f"{project}\n{project / 'image'}\n{sysconfig.get_path('purelib')}\n")


def _install(home: Path, there: Path, account: str) -> None:
    """Put the stand-in where the engine looks for a provider of this version."""
    plugin = home / "plugins" / f"resource-aws-v{VERSION}" / "pulumi-resource-aws"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        f"#!/bin/sh\ncd '{ROOT}' || exit 1\n"
        f"exec '{sys.executable}' -m tests.infra.engine.provider '{there}' '{account}' \"$@\"\n"
    )
    plugin.chmod(0o755)


def copy_project(root: Path, project: Path) -> None:
    """The project as a fresh clone has it: without leftovers and stack files of whoever works here."""
    for name in COPIED:
        source = root / name
        if source.is_dir():
            shutil.copytree(source, project / name, symlinks=True, ignore=_left_out)
        elif source.exists():
            shutil.copy(source, project / name)
    # The one stack file that comes with the project, as it comes: here it may be somebody's own by now.
    (project / "stacks" / "Pulumi.local.yaml").write_text(LOCAL)


def _left_out(folder: str, names: list[str]) -> set[str]:
    # A set: copytree asks it for each name, and a generator would be used up by the first.
    own = {name for name in names if Path(folder).name == "stacks" and name.startswith("Pulumi.")}
    return own | ({"__pycache__"} & set(names))


def named(urn: str) -> str:
    """`Group easel-art-studio` for the URN of one."""
    parts = urn.split("::")
    return f"{parts[2].rpartition(':')[2]} {parts[3]}"


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Everything that it said."""
    return f"{done.stdout}\n{done.stderr}"
