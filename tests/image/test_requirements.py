"""What each image installs: enough for what it runs, with hashes, from nowhere in particular."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "image" / "requirements"
EASEL = ROOT / "image" / "easel"


def locked(name: str) -> set[str]:
    text = (LOCKS / f"{name}.txt").read_text()
    return {_plain(line.split("==")[0]) for line in text.splitlines() if "==" in line}


def imported(package: str) -> Iterator[tuple[str, Path]]:
    """Top-level names of other people's packages that a part of easel imports, wherever in a file."""
    for path in (EASEL / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in (name.split(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name not in ("easel", "__future__"):
                    yield name, path


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("gateway", ["gateway", "models/fetch", "models/intake", "models/sources"]),  # it brings the models
        ("studio", ["studio", "models"]),
    ],
)
def test_an_image_has_what_its_parts_import(image: str, parts: list[str]) -> None:
    """A missing package shows on a host at midnight, when a model comes from S3 for the first time."""
    sources = importlib.metadata.packages_distributions()
    installed = locked(image)
    missing = {
        f"{name} ({path.relative_to(ROOT)})"
        for part in parts
        for name, path in imported(part)
        if not {_plain(each) for each in sources.get(name, [name])} & installed
    }
    assert not missing


def test_the_door_has_no_torch() -> None:
    """A small instance runs it, and every byte of it is pulled before the first page."""
    assert not locked("gateway") & {"torch", "diffusers", "gradio", "numpy"}
    assert locked("torch") <= locked("studio") | locked("torch")
    assert "torch" in locked("torch")


@pytest.mark.parametrize("name", ["gateway", "studio", "torch"])
def test_each_package_has_hashes_and_the_version_that_the_tests_run(name: str) -> None:
    """What is baked is what was tested, whichever mirror it comes from."""
    text = (LOCKS / f"{name}.txt").read_text()
    tested = (ROOT / "requirements" / "dev.txt").read_text()
    assert "://" not in text
    pins = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)(.*?)(?=^[a-z0-9]|\Z)", text, re.M | re.S)
    assert pins
    for package, version, rest in pins:
        assert "--hash=sha256:" in rest, package
        assert f"{package}=={version}" in tested, f"{package} {version}: run `make lock`"


def test_the_dockerfile_says_the_version_of_the_project() -> None:
    """In the container the package is not installed, so that no metadata says it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "image" / "Dockerfile").read_text()
    assert f"EASEL_VERSION={version}" in text
    assert set(re.findall(r'image\.version="([^"]+)"', text)) == {version}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
