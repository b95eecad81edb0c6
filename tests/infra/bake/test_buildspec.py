"""image/buildspec.yml, run: `docker` and `aws` are stand-ins that write down how they were called."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from infra.bake.archive import FOLDER
from infra.bake.build import Order

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/easel/images"
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in *"${FAILS:-nothing fails}"*) exit 1 ;; esac
[ "$1" != login ] || cat >/dev/null
[ "$1" != ecr ] || echo password
"""


def run(tmp_path: Path, order: Order, fails: str = "nothing fails") -> tuple[int, list[str]]:
    """Run the build phase in a folder of its own."""
    for name in ("docker", "aws"):
        tool = tmp_path / name
        tool.write_text(STAND_IN)
        tool.chmod(0o755)
    spec = yaml.safe_load((FOLDER / "buildspec.yml").read_text())
    assert spec["env"]["shell"] == "bash"
    (command,) = spec["phases"]["build"]["commands"]
    calls = tmp_path / "calls"
    done = subprocess.run(
        ["bash", "-c", command],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "FAILS": fails,
            **order.variables(),
        },
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines()


def order(*targets: str, **cache: str) -> Order:
    return Order("easel-art-bake", "c0ffee", "bucket/key", REPOSITORY, targets, cache)


def test_all_are_built_before_one_is_pushed(tmp_path: Path) -> None:
    """A tag that is there cannot be pushed again, so half a bake is best not pushed at all."""
    code, calls = run(tmp_path, order("gateway", "studio"))
    assert code == 0
    steps = [call.split()[1] for call in calls if call.startswith("docker")]
    assert steps == ["login", "build", "build", "push", "push"]
    assert "--target gateway --provenance=false" in " ".join(calls)
    assert calls[-1].endswith(f"{REPOSITORY}:studio-c0ffee")
    assert not any("--cache-from" in call for call in calls), "the first build has no cache to name"


def test_the_password_is_in_no_argument(tmp_path: Path) -> None:
    """Arguments are in the log."""
    _, calls = run(tmp_path, order("gateway"))
    (login,) = [call for call in calls if " login " in call]
    assert "--password-stdin" in login
    assert login.endswith(" 123456789012.dkr.ecr.eu-west-1.amazonaws.com")


def test_only_what_is_missing_is_built_with_its_own_cache(tmp_path: Path) -> None:
    """The layers of the newest image of the same target."""
    _, calls = run(tmp_path, order("studio", studio=f"{REPOSITORY}:studio-before", gateway="not this one"))
    (build,) = [call for call in calls if " build " in call]
    assert f"--cache-from {REPOSITORY}:studio-before" in build
    assert "BUILDKIT_INLINE_CACHE=1" in build, "or the next build would find no cache in this one"
    assert not any("gateway" in call for call in calls)


@pytest.mark.parametrize("fails", ["--target studio", "get-login-password", "login", "push"])
def test_what_fails_fails_the_build(tmp_path: Path, fails: str) -> None:
    """And nothing is pushed that is not whole."""
    code, calls = run(tmp_path, order("gateway", "studio"), fails)
    assert code != 0
    assert sum(" push " in call for call in calls) == (1 if fails == "push" else 0)
