"""The arrows of docs/architecture.md: which part may import which."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import easel.models

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "easel": ROOT / "image" / "easel",
    "infra": ROOT / "infra",
    "scripts": ROOT / "scripts",
    "bench": ROOT / "bench",
}

# A module that begins with the first may not import one that begins with the second.
FORBIDDEN = [
    ("infra", "easel"),
    ("infra", "scripts"),
    ("easel", "infra"),
    ("easel", "scripts"),
    ("easel.models", "easel.studio"),
    ("easel.models", "easel.gateway"),
    ("easel.gateway", "easel.studio"),
    ("easel.gateway", "easel.models"),
    ("easel.studio", "easel.gateway"),
    # Both import it, and it knows neither.
    ("easel.assertion", "easel.studio"),
    ("easel.assertion", "easel.gateway"),
    ("easel.assertion", "easel.models"),
    ("easel.studio.engine", "easel.studio.api"),
    ("easel.studio.engine", "easel.studio.ui"),
    ("easel.studio.engine", "easel.studio.app"),
    ("easel.studio.engine", "fastapi"),
    ("easel.studio.engine", "starlette"),
    ("easel.studio.engine", "gradio"),
    ("easel.gateway", "torch"),
    ("easel.gateway", "gradio"),
    ("easel.gateway", "diffusers"),
    # The parent of everything stays light.
    ("scripts.commands.up", "torch"),
    ("infra.spec", "pulumi"),
    ("infra.stackfile", "pulumi"),
    ("infra.render", "pulumi"),
    ("infra.shapes", "pulumi"),
    ("infra.rules", "pulumi"),
    ("infra.schema", "pulumi"),
]


@functools.cache
def modules() -> tuple[tuple[str, Path], ...]:
    return tuple(_modules())


def _modules() -> Iterator[tuple[str, Path]]:
    for name, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((name, *(part for part in parts if part != "__init__"))), path


@functools.cache
def imports(name: str, path: Path, *, typed: bool = False) -> tuple[tuple[str, int], ...]:
    """What a module imports, anywhere in it; what only type checkers see if `typed`."""
    return tuple(_imports(name, path, typed))


def _imports(name: str, path: Path, typed: bool) -> Iterator[tuple[str, int]]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text(), str(path))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if not typed and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base, node.lineno
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)


def within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


@pytest.mark.parametrize(("part", "other"), FORBIDDEN, ids=lambda value: str(value))
def test_an_arrow_points_one_way(part: str, other: str) -> None:
    """`scripts → infra, easel`; infra and easel meet in files; `studio → models`; gateway imports neither."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in modules()
        if within(name, part)
        for imported, line in imports(name, path)
        if within(imported, other)
    ]
    assert not found, "\n".join(found)


def test_the_engine_is_spoken_to_through_its_public_names() -> None:
    """`easel.studio.engine` shows its names in one place, and nothing else is imported across: not by API and
    page, not by the benchmarks."""
    bench = [(f"bench.{path.stem}", path) for path in sorted((ROOT / "bench").glob("*.py"))]
    assert "bench.load" in dict(bench)
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in (*modules(), *bench)
        if not within(name, "easel.studio.engine")
        for imported, line in imports(name, path)
        if within(imported, "easel.studio.engine")
        and (ROOT / "image" / Path(*imported.split("."))).with_suffix(".py").is_file()
    ]
    assert not found, "\n".join(found)


def test_the_store_is_spoken_to_through_its_public_names() -> None:
    """`easel.models` is the one door: no module and no package behind it is imported from outside, not even
    for its types."""
    inner = [name for name, value in vars(easel.models).items() if isinstance(value, ModuleType)]
    door = {f"easel.models.{name}" for name in vars(easel.models) if name not in inner}
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in modules()
        if not within(name, "easel.models")
        for imported, line in imports(name, path, typed=True)
        if within(imported, "easel.models") and imported not in {"easel.models", *door}
    ]
    assert not found, "\n".join(found)


@functools.cache
def rooms() -> set[str]:
    """The packages of the gateway."""
    return {name for name, path in modules() if within(name, "easel.gateway") and path.name == "__init__.py"}


@functools.cache
def room_of(name: str) -> str:
    """The innermost room that a module is in; the hall is `easel.gateway` itself."""
    return max((room for room in rooms() if within(name, room)), key=len)


def test_a_room_of_the_gateway_is_entered_by_its_door() -> None:
    """What a room's `__init__` exports is what others may use. The hall's modules are everybody's."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {imported}"
        for name, path in modules()
        for imported, line in imports(name, path)
        if within(imported, "easel.gateway")
        and (ROOT / "image" / Path(*imported.split("."))).with_suffix(".py").is_file()
        and room_of(imported) not in ("easel.gateway", room_of(name) if within(name, "easel.gateway") else "")
    ]
    assert not found, "\n".join(found)


def test_the_walk_finds_the_parts() -> None:
    """A walk over nothing would forbid nothing."""
    names = {name for name, _ in modules()}
    assert {"infra.spec", "scripts.commands.up", "easel.gateway.door.forward_auth"} <= names
    assert "infra.render" in {
        imported for imported, _ in imports("scripts.x", FOLDERS["scripts"] / "local" / "configuration.py")
    }
