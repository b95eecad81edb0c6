"""Commands while nothing runs: help, status, doctor, schema, version."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.scripts.running import EASEL, ROOT, STACK, command, easel, environment

HEAVY = ("pydantic", "yaml", "httpx", "rich", "pulumi", "torch", "gradio", "diffusers", "easel")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    stack = tmp_path / "Pulumi.here.yaml"
    stack.write_text(STACK)
    return environment(tmp_path / "home", free_ports() + 1, stack)


def imported_by(code: str, env: dict[str, str] | None = None) -> set[str]:
    """Top-level modules that a Python has imported after this code."""
    code += "\nimport sys; print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def children_seconds() -> float:
    """Processor time of the programs that this one has run."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_imports_no_command(env: dict[str, str]) -> None:
    """`easel --help` answers at once: in under 0.3 s of processor time, however busy the machine is."""
    before = children_seconds()
    done = easel("--help", env=env)
    took = children_seconds() - before
    assert done.returncode == 0
    assert "Start every endpoint" in done.stdout
    assert took < 0.3
    assert not imported_by("import scripts.__main__") & set(HEAVY)


def test_help_says_no_name_of_a_class() -> None:
    """ "CommandStopped anywhere, the same command goes on" stood in the help of `easel models add`: a name
    that was replaced in words too."""
    import importlib

    import click

    from scripts.__main__ import COMMANDS

    asked = [importlib.import_module(module).command for module, _ in COMMANDS.values()]
    for one in asked:
        if isinstance(one, click.Group):
            asked += one.commands.values()
        said = one.get_help(click.Context(one))
        assert not re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", said), said


def test_logs_of_nobody(env: dict[str, str]) -> None:
    """A name that wrote nothing is told with those that did, or with what to start."""
    done = easel("logs", "nobody", env=env)
    assert done.returncode == 2
    assert "`easel up`" in done.stderr
    logs = Path(env["EASEL_HOME"]) / "logs"
    logs.mkdir(parents=True)
    (logs / "gateway.log").write_text("{}\n")
    (logs / "studio-1.log").write_text("{}\n")
    assert "there is: gateway, studio-1" in easel("logs", "nobody", env=env).stderr


def test_up_imports_little_before_the_gateway_starts() -> None:
    """The parent stays light, and what it imports is taken from the time until the door answers."""
    assert not imported_by(
        "import scripts.commands.up, scripts.local.gateway_process, scripts.local.configuration"
    ) & set(HEAVY)


def test_status_needs_nothing_heavy() -> None:
    """It is what scripts ask every second."""
    assert not imported_by("import scripts.commands.status, scripts.remote.operator_api") & set(HEAVY)


def test_status_without_a_gateway_is_an_answer(env: dict[str, str]) -> None:
    """Console null, endpoints of the stack file asleep, exit 0: a program that waits need not read errors."""
    done = command("status", "--json", env=env)
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "console": None,
        "endpoints": [
            {
                "name": "studio",
                "url": f"http://127.0.0.1:{env['EASEL_PORT']}/",
                "link": None,
                "state": "asleep",
                "models": None,
                "replicas": [],
            }
        ],
    }
    told = command("status", env=env)
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing runs under" in told.stdout
    assert not Path(env["EASEL_HOME"]).exists(), "asking changes nothing"


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"pid": "x"}', '{"pid": 99999999, "url": "u", "token": "t"}']
)
def test_what_a_killed_gateway_left_is_no_gateway(env: dict[str, str], content: str) -> None:
    """`run/gateway.json` counts while the process it names is there."""
    run = Path(env["EASEL_HOME"]) / "run"
    run.mkdir(parents=True)
    (run / "gateway.json").write_text(content)
    assert json.loads(command("status", "--json", env=env).stdout)["console"] is None


@pytest.mark.parametrize(
    "arguments", [("token", "list"), ("token", "new", "--endpoint", "studio", "--name", "a")]
)
def test_tokens_need_a_gateway(env: dict[str, str], arguments: tuple[str, ...]) -> None:
    """One line that says how to have one, exit 2."""
    done = command(*arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "start it with `make up`" in done.stderr


@pytest.mark.parametrize(
    ("typed", "meant"), [("upp", "up"), ("stats", "status"), ("tokens", "token"), ("doktor", "doctor")]
)
def test_a_misspelt_command_is_told_the_nearest(env: dict[str, str], typed: str, meant: str) -> None:
    """Exit 2, as for every refusal."""
    done = command(typed, env=env)
    assert done.returncode == 2
    assert f"did you mean {meant}?" in done.stderr


def test_version_is_the_packages(env: dict[str, str]) -> None:
    """And nothing else, so that a script can compare it."""
    from importlib.metadata import version

    assert easel("version", env=env).stdout == f"{version('easel')}\n"


def test_schema_check_tells_what_is_stale(env: dict[str, str]) -> None:
    """In this repository nothing is."""
    done = command("schema", "--check", env=env)
    assert (done.returncode, done.stdout) == (0, "")


def test_doctor_looks_at_everything(env: dict[str, str]) -> None:
    """A check for each thing that has kept an endpoint from starting."""
    done = command("doctor", "--json", env=env)
    checks = json.loads(done.stdout)
    assert {check["what"] for check in checks} == {
        "python", "packages", "memory", "disk", "caddy", "gpu", "stack", "port", "models",
    }  # fmt: skip
    assert all(check["advice"] for check in checks if check["verdict"] != "ok")
    assert done.returncode == any(check["verdict"] == "failed" for check in checks)
    assert not Path(env["EASEL_HOME"]).exists(), "looking changes nothing"


def test_doctor_shows_a_broken_stack_and_goes_on(env: dict[str, str]) -> None:
    """One thing that is wrong does not hide the others."""
    Path(env["EASEL_STACK"]).write_text("config: {easel:endpoints: {a: {shape: x}}}")
    done = command("doctor", env=env)
    assert done.returncode == 1
    assert "easel:endpoints.a.shape" in done.stdout
    assert "models" in done.stdout


def test_the_console_script_is_this_command() -> None:
    """What `make up` runs is what the tests run."""
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"easel": "scripts.__main__:main"}
    assert EASEL[1:] == ["-m", "scripts"]
