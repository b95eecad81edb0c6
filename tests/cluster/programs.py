"""The programs that a cluster consists of, built once from their Go modules.

Each folder of `tools/` holds a go.mod that names one module's version and its commands; what they build to is
kept below `$XDG_CACHE_HOME/easel/cluster`, by a hash of go.mod and go.sum, so that a version that changes
is built anew and nothing else is. etcd is the distribution's (`etcd-server` in Debian).

`python -m tests.cluster.programs` builds what is missing: the first time some 20 minutes on two cores.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).with_name("tools")
COMMANDS = {
    "kubernetes": ("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    "kwok": ("kwok",),
    "keda": ("operator", "adapter"),
}
# Files of a module that are read as they are: definitions of custom resources, and how kwok plays nodes.
DEFINITIONS = {
    "kwok": ("sigs.k8s.io/kwok", "kustomize/stage/node/fast"),
    "keda": ("github.com/kedacore/keda/v2", "config/crd/bases"),
    "gateway-api": ("sigs.k8s.io/gateway-api", "config/crd/standard"),
    "karpenter": ("sigs.k8s.io/karpenter", "pkg/apis/crds"),
}


# What the modules ask for; an older one would fetch a newer one, or say so in its own way.
LEAST_GO = (1, 26)


class ProgramError(Exception):
    """A program of the cluster cannot be had; the message says what to install or what the compiler said."""


def lacking() -> list[str]:
    """What this machine lacks before anything can be built or started, in words."""
    lacks = [] if _go_version() >= LEAST_GO else [f"Go {'.'.join(map(str, LEAST_GO))} or later"]
    return lacks if shutil.which("etcd") else [*lacks, "etcd (Debian's etcd-server)"]


def program(name: str) -> Path:
    """A built program."""
    if name == "etcd":
        return Path(shutil.which("etcd") or "etcd")
    return _folder(next(tool for tool, names in COMMANDS.items() if name in names)) / name


def definitions(tool: str) -> Path:
    """The folder of a module's definitions; fetched if it isn't there."""
    module, folder = DEFINITIONS[tool]
    found = json.loads(_go(TOOLS / tool, "mod", "download", "-json", module))
    return Path(found["Dir"]) / folder


def missing() -> list[str]:
    """The tools that are not built yet."""
    return [
        tool for tool, names in COMMANDS.items() if not all((_folder(tool) / name).exists() for name in names)
    ]


def build(tool: str) -> None:
    """Build a tool's programs into the cache.

    Raises:
        ProgramError: the compiler failed.
    """
    into = _folder(tool)
    into.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place and moved there whole: a build that was cut leaves no half of a program to start.
    with tempfile.TemporaryDirectory(dir=into.parent) as made:
        _go(TOOLS / tool, "build", "-ldflags=-s -w", "-o", f"{made}{os.sep}", "tool")
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        for name in COMMANDS[tool]:
            os.replace(Path(made) / name, into / name)


def _go_version() -> tuple[int, ...]:
    if shutil.which("go") is None:
        return (0,)
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])


def _folder(tool: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(b"".join((TOOLS / tool / name).read_bytes() for name in ("go.mod", "go.sum")))
    return cache / "easel" / "cluster" / f"{tool}-{key.hexdigest()[:16]}"


def _go(folder: Path, *arguments: str) -> str:
    # -mod=mod would change go.sum, which is what a build is known by.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    done = subprocess.run(["go", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ProgramError(f"go {arguments[0]} in {folder.name}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def main() -> int:
    """Build what is missing; 1 if that cannot be done."""
    if lacks := lacking():
        print(f"a cluster of this machine needs {' and '.join(lacks)}", file=sys.stderr)
        return 1
    for tool in missing():
        print(f"building {tool}, which takes minutes once", file=sys.stderr)
        try:
            build(tool)
        except ProgramError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
