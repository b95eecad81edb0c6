"""Workflows of a team's repository (stacks/gitops), read by GitHub's rules: actionlint where it is."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.commands.new import WORKFLOWS
from tests.scripts import actionlint


def linted(folder: Path, *files: Path) -> "subprocess.CompletedProcess[str]":
    """What actionlint says of these files; skips where it can neither be found nor built."""
    program = actionlint.program()
    if program is None:
        pytest.skip("neither actionlint nor Go (https://go.dev/dl) is on PATH")
    return subprocess.run(
        [program, "-no-color", *files], capture_output=True, text=True, cwd=folder, check=False
    )


def installed(repository: Path) -> list[Path]:
    """The workflows where they call each other."""
    subprocess.run(["git", "init", "-q", repository], check=True)
    shutil.copytree(WORKFLOWS, repository / ".github" / "workflows")
    return sorted((repository / ".github" / "workflows").glob("*.yml"))


def test_actionlint_finds_nothing(tmp_path: Path) -> None:
    """GitHub's own rules: keys, expressions, permissions, shells, inputs of each other."""
    done = linted(tmp_path, *installed(tmp_path))
    assert done.returncode == 0, done.stdout


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    """An expression that leads nowhere: it was run, and knows GitHub's contexts."""
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        (WORKFLOWS / "easel-drift.yml").read_text().replace("needs.teams.outputs", "needs.team.outputs")
    )
    done = linted(tmp_path, wrong)
    assert done.returncode != 0
    assert 'property "team" is not defined' in done.stdout
    group = next(file for file in installed(tmp_path) if file.stem == "easel-up-group")
    group.write_text(group.read_text().replace("      team: ${{ inputs.first }}", "      teem: x"))
    assert 'input "teem" is not defined' in linted(tmp_path, group).stdout
