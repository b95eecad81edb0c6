"""`make up` on machines that are not ready, and on the second start."""

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What `make up` reads, in a folder without an environment."""
    folder = tmp_path / "a clone with spaces"
    for name in (
        "Makefile",
        "pyproject.toml",
        "requirements/up.txt",
        "requirements/dev.txt",
        "scripts/venv.sh",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def _outside_of_make() -> dict[str, str]:
    """The environment without what `make test` leaves in it: a make inside another one talks differently."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def make(clone: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=clone,
        env=_outside_of_make() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def python(clone: Path, script: str) -> str:
    """A Python that behaves like this."""
    path = clone / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What it said, without make's own line about the failed target."""
    assert done.returncode == 2
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]


def test_without_python_one_line_says_so(clone: Path) -> None:
    """And which one to install."""
    assert said(make(clone, "up", PYTHON="python-of-nowhere")) == [
        "easel: there is no python-of-nowhere: install Python 3.11, 3.12 or 3.13"
    ]


def test_a_python_that_is_too_old_is_told_which_to_take(clone: Path) -> None:
    """And how to name another that is installed beside it."""
    old = python(clone, 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
    [line] = said(make(clone, "up", PYTHON=old))
    assert line.startswith("easel: Python 3.9.2 is not supported")
    assert "make PYTHON=python3.12" in line


def test_a_python_without_venv_is_told_what_to_install(clone: Path) -> None:
    """Debian splits it off, and its own message is ten lines."""
    split = python(clone, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    [line] = said(make(clone, "up", PYTHON=split))
    assert "apt-get install python3-venv" in line
    assert not (clone / ".venv").exists()


def ready(clone: Path) -> None:
    """As after a first start."""
    program = clone / ".venv" / "bin" / "easel"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "easel $*"\n')
    program.chmod(0o755)
    for stamp in (".up", ".dev"):
        (clone / ".venv" / stamp).touch()


def test_the_second_start_installs_nothing(clone: Path) -> None:
    """Make looks at times, in under 0.2 s of processor time, and hands over to easel."""
    ready(clone)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = make(clone, "up")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.2
    assert (done.returncode, done.stdout) == (0, "easel up\n")


def test_changed_requirements_are_installed(clone: Path) -> None:
    """After a pull, `make up` brings the environment up to date by itself."""
    ready(clone)
    later = time.time() + 5
    os.utime(clone / "requirements" / "up.txt", (later, later))
    assert "scripts/venv.sh up" in make(clone, "-n", "up").stdout
    assert "scripts/venv.sh" not in make(clone, "-n", "test").stdout


def test_help_is_what_make_alone_says(clone: Path) -> None:
    """Each target in a line."""
    assert make(clone).stdout == make(clone, "help").stdout
    assert "make up " in make(clone).stdout


def test_clean_leaves_data_alone(clone: Path) -> None:
    """Models and pictures are not what can be made again."""
    (clone / ".easel").mkdir()
    ready(clone)
    assert make(clone, "clean").returncode == 0
    assert (clone / ".easel").is_dir()
    assert not (clone / ".venv").exists()
