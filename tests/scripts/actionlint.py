"""actionlint, which knows GitHub's rules for workflows: from PATH, or built once by Go, below `.easel`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import filelock

from tests.gateway.proxy.pebble import TOOLS, go

VERSION = "v1.7.7"


def program() -> Path | None:
    """Where it is; None where there is neither actionlint nor Go."""
    if found := shutil.which("actionlint"):
        return Path(found)
    compiler = go()
    return _built(compiler) if compiler else None


def _built(compiler: str) -> Path:
    """Under a minute, the first time."""
    folder = TOOLS / f"actionlint-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / "lock"):
        if not (folder / "actionlint").exists():
            module = f"github.com/rhysd/actionlint/cmd/actionlint@{VERSION}"
            environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
            done = subprocess.run([compiler, "install", module], env=environment, capture_output=True)
            assert done.returncode == 0, done.stderr.decode()
    return folder / "actionlint"
