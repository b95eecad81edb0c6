"""The `easel` command with what `make up` installs and no more: a newcomer has neither Pulumi nor pytest."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.scripts.running import ROOT, environment

BLOCKED = """
import sys

class Missing:
    def find_spec(self, name, *rest):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Missing())
"""
MAIN = """
from scripts.__main__ import main
main()
"""


def absent() -> set[str]:
    """Modules that the tests' environment has and `make up` does not install."""
    named = {
        line.split("==")[0].strip().lower().replace("_", "-")
        for line in (ROOT / "requirements" / "up.txt").read_text().splitlines()
        if "==" in line
    } | {"easel", "pip", "setuptools"}
    return {
        module
        for module, owners in packages_distributions().items()
        if all(owner.lower().replace("_", "-").replace(".", "-") not in named for owner in owners)
    }


EACH = """
import importlib
from scripts.__main__ import COMMANDS
for module, _ in COMMANDS.values():
    importlib.import_module(module)
"""


@pytest.fixture
def newcomer(tmp_path: Path) -> Callable[..., str]:
    """Runs an `easel` that finds nothing but what `make up` installs, and gives what it prints."""
    missing = absent()
    assert {"pulumi", "pulumi_aws", "pytest"} <= missing, "or nothing is tested here"
    stack = tmp_path / "Pulumi.local.yaml"
    stack.write_text((ROOT / "stacks" / "Pulumi.local.yaml").read_text())

    def run(*arguments: str, code: str = MAIN) -> str:
        done = subprocess.run(
            [sys.executable, "-c", BLOCKED.format(absent=missing) + code, *arguments],
            cwd=ROOT,
            env=environment(tmp_path / "home", stack=stack),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-800:]
        return done.stdout

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["cost"],
        ["cost", "--table"],
        ["cost", "--json"],
        ["new", "art", "--domain", "art.example.com", "--shape", "gpu.a10"],
        ["new", "art", "--runs-on", "kubernetes"],
        ["clone", "studio", "portraits", "--dry-run"],
        ["status"],
        ["models", "list"],
    ],
    ids=" ".join,
)
def test_the_first_commands_of_the_readme_need_no_more(
    newcomer: Callable[..., str], arguments: list[str]
) -> None:
    """`easel new`, `easel clone` and `easel cost` are what README says next: they ended in a traceback, for
    a module of Pulumi's that only the tests' environment has."""
    newcomer(*arguments)


def test_every_command_can_be_asked_what_it_does(newcomer: Callable[..., str]) -> None:
    """`easel policy --help` ended in a traceback, for the same module."""
    newcomer(code=EACH)


def test_a_policy_is_printed_before_there_is_pulumi(newcomer: Callable[..., str]) -> None:
    """Who runs the account is asked for these rights first, by somebody who has not installed Pulumi yet."""
    newcomer("new", "art", "--domain", "art.example.com")
    for asked in ([], ["--boundary"]):
        assert json.loads(newcomer("policy", "art", *asked))["Statement"]


def test_every_kind_of_model_has_a_type() -> None:
    """Every kind of model that is drawn with can be named: `--type text_encoder` stood in the docs alone."""
    from easel.models import Kind
    from scripts.model_store import TYPES

    assert {Kind[name.upper()] for name in TYPES} == set(Kind) - {Kind.HYPERNETWORK}
