"""What holds for the repository as a whole."""

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 400


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows, or would know."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [path for name in sorted(set(done.stdout.splitlines())) if (path := ROOT / name).is_file()]


def project() -> dict[str, object]:
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


@pytest.mark.parametrize("name", ["dev.txt", "up.txt"])
def test_requirements_are_pinned_and_name_no_index(name: str) -> None:
    """Where packages come from is the business of the machine that installs them."""
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; .+)?", line), line


def test_what_make_up_installs_is_what_the_tests_ran_with() -> None:
    """`up.txt` is a part of `dev.txt`, version for version."""
    up, dev = ((ROOT / "requirements" / name).read_text().splitlines() for name in ("up.txt", "dev.txt"))

    def names(lines: list[str]) -> set[str]:
        return {line.split(" ;")[0] for line in lines}

    assert names(up) <= names(dev)


def test_everything_the_project_names_is_locked() -> None:
    """A dependency that was added to pyproject.toml and not to the lock is missing on the next machine."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *extras["dependencies"],
        *(each for extra in extras["optional-dependencies"].values() for each in extra),
    ]
    locked = {line.split("==")[0] for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines()}
    assert {re.split(r"[<>=~\[ ]", each)[0] for each in wanted} <= locked


def test_files_are_short() -> None:
    """One noun a file; who needs more has two."""
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked("*.py", "*.sh", "*.js", "*.css", "*.html")
        if (count := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long


def test_names_say_what_a_file_is_about() -> None:
    """`utils` and `manager` say nothing."""
    empty = {"utils", "util", "manager", "helpers", "helper", "misc", "common"}
    assert not [path for path in tracked("*.py") if path.stem in empty]


def test_a_class_has_a_name_of_its_own() -> None:
    """Whoever reads a name anywhere knows which class it is: one meaning, one noun."""
    places: dict[str, list[str]] = {}
    for path in tracked("image/*.py", "infra/*.py", "scripts/*.py", "bench/*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert len(places) > 300
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_no_file_of_infra_or_scripts_hides_a_module_of_python() -> None:
    """Pulumi runs with infra/ first on the path, and scripts/ is when a script in it is run by hand."""
    import sys

    hidden = [
        path.relative_to(ROOT)
        for folder in ("infra", "scripts")
        for path in (ROOT / folder).glob("*.py")
        if path.stem in sys.stdlib_module_names
    ]
    assert not hidden


def test_the_version_is_in_the_changelog() -> None:
    """Whoever reads a version can read what it brought."""
    assert re.search(
        rf"^## \[?{re.escape(str(project()['version']))}\]?",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )


def test_the_licence_is_there() -> None:
    """Apache-2.0, in the file and in the packaging."""
    assert project()["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_nothing_is_addressed_to_one_machine() -> None:
    """No path of somebody's computer and no package index is in a committed file."""
    # Put together here, so that this file does not hold what it looks for.
    wrong = re.compile(
        "|".join(
            ["/" + "root/", "/" + "work/", r"\.\." + "/shared", "index" + "-url", "pypi" + r"\.org/simple"]
        )
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in wrong.finditer(text)]
    assert not found


def test_no_test_moves_the_clock_of_the_process() -> None:
    """A module's name for the clock is replaced, never the clock: event loops of other tests' servers in the
    same process read it too. One that took an hour from now for now slept for that hour, and every page of
    its studio stayed empty, in CI and not here. Nor what they sleep by: a server whose sleeps took no time
    turned for ever and ate 11 GB."""
    moves = re.compile(
        r"""setattr\(\s*(["'][\w.]*\b(time|asyncio|threading)\.\w+["']|(time|asyncio|threading),)"""
    )
    tests = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
    assert len(tests) > 100
    assert not [str(path.relative_to(ROOT)) for path in tests if moves.search(path.read_text())]


def test_generated_folders_are_not_in_git() -> None:
    """What a machine makes stays on it."""
    assert not [
        path for path in tracked() if {".venv", ".easel", "__pycache__"} & set(path.relative_to(ROOT).parts)
    ]


def test_scripts_that_are_run_may_be_run() -> None:
    """A clone keeps the executable bit, so CI and make can start them."""
    for name in (".ci/run", "scripts/venv.sh", "scripts/lock.sh"):
        assert (ROOT / name).stat().st_mode & 0o111, name


def test_pulumi_finds_the_program_and_the_stacks() -> None:
    """Pulumi.yaml as DESIGN says."""
    import yaml

    found = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert (found["name"], found["main"], found["stackConfigDir"]) == ("easel", "infra/", "stacks")
    assert found["runtime"]["name"] == "python"
    assert {key: each["type"] for key, each in found["config"].items()} == {
        "team": "object",
        "endpoints": "object",
    }
    assert json.dumps(found)
